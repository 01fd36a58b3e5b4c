// Speaking to the admin API of a running proxy: what status and drain have in common.

import { request } from 'node:http';
import { type Address, formatAddress } from '../base/address.ts';
import { readAddress } from '../config/schema/values.ts';
import { type Arguments, EXIT_FAILED, EXIT_USAGE, type OptionDescription } from './command.ts';
import { reportFailure, reportUsage } from './output.ts';

export const ADMIN_OPTION: OptionDescription = {
  value: 'ADDRESS',
  summary:
    'where its admin API listens (default 127.0.0.1:9901); MILLRACE_ADMIN_TOKEN holds the token, if it wants one',
};

const DEFAULT = '127.0.0.1:9901';
const SLOWEST_MS = 10_000;
const MOST_BYTES = 64 * 1024 * 1024;

/** What a command says to the proxy that `--admin` names, once that is an address. */
export type Ask = (
  method: 'GET' | 'POST',
  path: string,
  body?: unknown,
  withinMs?: number,
) => ReturnType<typeof askAdmin>;

/** Runs a command that speaks to a proxy; answers its exit code. */
export async function withAdmin(
  name: string,
  { options }: Arguments,
  act: (ask: Ask) => Promise<number>,
): Promise<number> {
  const found = readAddress(options.get('admin') ?? DEFAULT, true);
  if (!('fault' in found)) return act((...asked) => askAdmin(found, ...asked));
  reportUsage([`--admin: ${found.fault}`], `millrace ${name} --help`);
  return EXIT_USAGE;
}

/** Says why the proxy did not do what it was asked to; answers the exit code. */
export function refusedByAdmin({ fault }: { readonly fault: string }): number {
  reportFailure(fault);
  return EXIT_FAILED;
}

/**
 * Asks; answers the body of a reply that went well, or the fault in words, with the body where it is one of the API.
 * `withinMs`: longest wait for it.
 */
export function askAdmin(
  address: Address,
  method: 'GET' | 'POST',
  path: string,
  body?: unknown,
  withinMs = SLOWEST_MS,
  token = process.env['MILLRACE_ADMIN_TOKEN'] ?? '',
): Promise<{ readonly body: unknown } | { readonly fault: string; readonly body?: unknown }> {
  const where = formatAddress(address);
  const target = address.kind === 'unix' ? { socketPath: address.path } : { host: address.host, port: address.port };
  return new Promise((resolve) => {
    const failed = (words: string): void => resolve({ fault: `${where}: ${words}` });
    const asked = request(
      {
        ...target,
        method,
        path,
        timeout: withinMs,
        headers: {
          Host: address.kind === 'unix' ? 'localhost' : where,
          ...(method === 'POST' && { 'Content-Type': 'application/json' }),
          ...(token !== '' && { Authorization: `Bearer ${token}` }),
        },
      },
      (reply) => {
        const pieces: Buffer[] = [];
        let length = 0;
        reply.on('data', (piece: Buffer) => {
          length += piece.length;
          if (length > MOST_BYTES) asked.destroy(new Error('the answer is too long'));
          else pieces.push(piece);
        });
        reply.on('error', (error) => failed(error.message));
        reply.on('end', () => {
          let answer: unknown;
          try {
            answer = JSON.parse(Buffer.concat(pieces).toString('utf8'));
          } catch {
            return failed('what answers there is not the admin API of Millrace');
          }
          const status = reply.statusCode ?? 0;
          if (status >= 200 && status < 300) resolve({ body: answer });
          else {
            const words = String((answer as { error?: unknown } | null)?.error ?? `status ${status}`);
            resolve({ fault: `${where}: ${words}`, body: answer });
          }
        });
      },
    );
    asked.on('timeout', () => asked.destroy(new Error('no answer')));
    asked.on('error', (error: NodeJS.ErrnoException) => failed(FAULTS[error.code ?? ''] ?? error.message));
    asked.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

const FAULTS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nobody listens there; is the proxy running, with admin in its configuration?',
  ENOENT: 'there is no such socket; is the proxy running, with admin in its configuration?',
  EACCES: 'permission denied',
};
