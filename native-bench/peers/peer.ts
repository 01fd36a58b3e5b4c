// A proxy under measurement, Millrace included: how it is found, configured, started and trusted to be ready. What is
// particular to one of them lives in peers/NAME/.

import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from '../host/port.ts';
import type { Child, Launch, Scope } from '../host/scope.ts';

/**
 * What a peer is to be set up for: `http` one route at layer 7, with forwarding headers and pooled upstream connections;
 * `http-routes` the same with a table of ROUTES routes; `websocket` layer 7 with upgrades passed on; `tcp` layer 4; `https`
 * as `http` behind TLS 1.3, with a certificate on ECDSA P-256, session tickets, and HTTP/1.1 agreed on by ALPN; `h2` the
 * same with HTTP/2 towards the client.
 */
export type Setup = 'http' | 'http-routes' | 'websocket' | 'tcp' | SecureSetup;

/** Those behind TLS. */
export type SecureSetup = 'https' | 'h2';

/** What the two agree on by ALPN (RFC 7301 6). */
export const ALPN: Readonly<Record<SecureSetup, string>> = { https: 'http/1.1', h2: 'h2' };

/** Whether clients of this setup speak TLS. */
export function isSecure(setup: Setup): setup is SecureSetup {
  return setup === 'https' || setup === 'h2';
}

/**
 * The ciphers of TLS 1.3 in the order in which peers prefer them: Millrace's, and what Mozilla recommends to all of them.
 * By their own defaults some would take the client's first choice, AES of 256 bits, and be compared for that.
 */
export const CIPHERSUITES = 'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256';

/** Routes of the setup `http-routes`: `/service-0/` to `/service-999/`, all to the one origin, which they reach unchanged. */
export const ROUTES = 1_000;

/** Where a peer is to stand. `folder` is its own and empty. */
export interface Site {
  readonly folder: string;
  readonly setup: Setup;
  readonly port: number;
  readonly originPort: number;
  /** Event loops, threads or worker processes that it may use. */
  readonly workers: number;
}

export interface Peer {
  readonly name: string;
  /** In one line: what it is and how it is set. */
  readonly about: string;
  readonly setups: readonly Setup[];
  /** Whether it runs on Node, so that its garbage collector can be watched. */
  readonly node: boolean;
  /** Version text, or what is missing and which package brings it. */
  locate(): Located;
  /** Writes its configuration into `site.folder` and says what to start; the caller pins it. */
  prepare(site: Site): Omit<Launch, 'cores'>;
}

/** `broken`: it is there, but cannot be asked for its version. */
export type Located = { readonly version: string } | { readonly missing: string; readonly broken?: boolean };

/** A peer that accepts connections on `port`. */
export interface RunningPeer {
  readonly peer: Peer;
  readonly child: Child;
  readonly port: number;
  readonly folder: string;
  /** From its start until it accepted. */
  readonly acceptedAfterMs: number;
}

/** Finds a peer; one that cannot even tell its version must not end a run that others could go on with. */
export function locate(peer: Peer): Located {
  try {
    return peer.locate();
  } catch (error) {
    const said = error instanceof Error ? error.message.trim().replaceAll(/\s+/g, ' ') : String(error);
    return { missing: `it is installed but does not run: ${said}`, broken: true };
  }
}

/** Starts a peer on a free loopback port and waits until it accepts. Throws with what it said when it does not. */
export async function startPeer(
  scope: Scope,
  peer: Peer,
  place: Pick<Site, 'setup' | 'originPort' | 'workers'> & { readonly cores: readonly number[] },
): Promise<RunningPeer> {
  const port = await freePort();
  const { setup, originPort, workers, cores } = place;
  const folder = scope.folder();
  const launch = peer.prepare({ folder, setup, port, originPort, workers });
  const startedMs = performance.now();
  const child = scope.start(peer.name, { ...launch, cores });
  if (!(await accepting(child, port))) {
    await scope.stop(child);
    throw new Error(`did not start: ${lastWords(child)}`, { cause: child.stderr.trim() });
  }
  return { peer, child, port, folder, acceptedAfterMs: performance.now() - startedMs };
}

/** Waits until something accepts on loopback `port`; false when `child` ends first or ten seconds have passed. */
export async function accepting(child: Child, port: number): Promise<boolean> {
  for (let waitedMs = 0; waitedMs < START_MS; waitedMs += POLL_MS) {
    if (!child.running) return false;
    if (await accepts(port)) return child.running;
    await delay(POLL_MS);
  }
  return false;
}

/** Why a process ended, as far as it said: the line that names a JavaScript error, else the last lines, in one. */
export function lastWords({ stderr, stdout }: Pick<Child, 'stderr' | 'stdout'>): string {
  const lines = (stderr.trim() || stdout.trim()).split('\n').map((line) => line.trim());
  const named = lines.find((line) => /^\w*Error\b.*:/.test(line));
  return named ?? (lines.slice(-LAST_LINES).join(' | ') || 'it said nothing');
}

const START_MS = 10_000;
const POLL_MS = 4;
const LAST_LINES = 4;

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
