// A real authority that speaks ACME, Pebble of Let's Encrypt, with a DNS of its own in which every name is this machine.

import { execFileSync } from 'node:child_process';
import { Resolver } from 'node:dns/promises';
import { writeFileSync } from 'node:fs';
import { get } from 'node:https';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { Certificates } from './certificates.ts';
import { findProgram, freePort, type Program, startOnFreePort, startProgram } from './process.ts';

export const pebble = findProgram('pebble', 'pebble');

export interface Authority {
  readonly program: Program;
  readonly directory: string;
  /** PEM file that it is verified with itself. */
  readonly caFile: string;
  /** What a configuration says of both. */
  readonly lines: string;
  /** PEM of its root, which clients believe. */
  readonly root: string;
  /** Where it looks for challenges. */
  readonly httpPort: number;
  readonly tlsPort: number;
  /** Where DNS records are set, by POST to `/set-txt` and `/clear-txt`. */
  readonly dnsUrl: string;
  /** Certificates that it has issued. */
  issued(): number;
  /** Orders that it was asked for. */
  ordered(): number;
}

export interface AuthorityOptions {
  /** How long certificates hold. */
  readonly validityS?: number;
  /** Key that accounts must be bound with, in base64url, by its id. */
  readonly bindings?: Readonly<Record<string, string>>;
}

/** Starts an authority that refuses a fifth of all nonces; it is stopped when the test ends. */
export async function startAuthority(t: TestContext, options: AuthorityOptions = {}): Promise<Authority> {
  const certificates = new Certificates(t);
  const own = certificates.leaf(['localhost', '127.0.0.1']);
  const [httpPort, tlsPort, managementPort] = [await freePort(), await freePort(), await freePort()];
  const dnsPort = await freePort();
  const dns = await startOnFreePort((port) =>
    startProgram(t, 'pebble-challtestsrv', [
      ...['-http01', '', '-https01', '', '-tlsalpn01', '', '-defaultIPv6', ''],
      ...['-dns01', `127.0.0.1:${dnsPort}`, '-management', `127.0.0.1:${port}`],
    ]),
  );
  await untilResolving(dnsPort);
  const { program, port } = await startOnFreePort((listening) => {
    const file = join(certificates.folder, 'pebble.json');
    const settings = {
      listenAddress: `127.0.0.1:${listening}`,
      managementListenAddress: `127.0.0.1:${managementPort}`,
      certificate: own.certFile,
      privateKey: own.keyFile,
      httpPort,
      tlsPort,
      ocspResponderURL: '',
      certificateValidityPeriod: options.validityS ?? 7_776_000,
      externalAccountBindingRequired: options.bindings !== undefined,
      externalAccountMACKeys: options.bindings ?? {},
    };
    writeFileSync(file, JSON.stringify({ pebble: settings }));
    return startProgram(t, 'pebble', ['-config', file, '-dnsserver', `127.0.0.1:${dnsPort}`], {
      PEBBLE_VA_NOSLEEP: '1',
      PEBBLE_WFE_NONCEREJECT: '20',
      PEBBLE_AUTHZREUSE: '0',
    });
  });
  const count = (pattern: RegExp): number => (program.out + program.err).match(pattern)?.length ?? 0;
  const directory = `https://localhost:${port}/dir`;
  const { caFile } = certificates;
  return {
    program,
    directory,
    caFile,
    lines: `directory: ${JSON.stringify(directory)}, ca: ${JSON.stringify(caFile)}`,
    root: await fetchText(`https://localhost:${managementPort}/roots/0`, certificates.authority.cert),
    httpPort,
    tlsPort,
    dnsUrl: `http://127.0.0.1:${dns.port}`,
    issued: () => count(/Issued certificate serial/g),
    ordered: () => count(/Added order "/g),
  };
}

/** A hook for DNS records, as an operator would write it. */
export function writeHook(folder: string, dnsUrl: string): string {
  const file = join(folder, 'hook.sh');
  const text = `#!/bin/sh -eu
case $1 in
  set) curl -sf -d "{\\"host\\":\\"$2.\\",\\"value\\":\\"$3\\"}" ${dnsUrl}/set-txt ;;
  remove) curl -sf -d "{\\"host\\":\\"$2.\\"}" ${dnsUrl}/clear-txt ;;
esac
echo "$1 $2" >>${folder}/hook.log
`;
  writeFileSync(file, text, { mode: 0o755 });
  execFileSync('chmod', ['755', file]);
  return file;
}

async function untilResolving(port: number): Promise<void> {
  const resolver = new Resolver({ timeout: 100, tries: 100 });
  resolver.setServers([`127.0.0.1:${port}`]);
  await resolver.resolve4('ready.example.org');
}

function fetchText(url: string, ca: string): Promise<string> {
  return new Promise((resolve, reject) => {
    get(url, { ca, agent: false }, (reply) => {
      let text = '';
      reply.on('data', (part) => {
        text += part;
      });
      reply.on('end', () => resolve(text));
    }).on('error', reject);
  });
}
