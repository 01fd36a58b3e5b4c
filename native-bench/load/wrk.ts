// Drives wrk: hands it our own bytes to send, and reads the exact line that wrk/send.lua prints beside wrk's rounded text.
// Closed loop, so latency here is queueing in the proxy; it begins when a request is written, which leaves dialing out.

import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readAsset } from '../../lib/base/asset.ts';
import type { Scope } from '../host/scope.ts';
import { type HttpLoad, LATENCY_SHARES, type Load, type LoadResult, type LoadRun } from './load.ts';
import { renderRequest } from './request.ts';

/** What of an HTTP load in a closed loop wrk cannot do, as in "wrk cannot ..."; null when it can do it. */
export function wrkObjection({ closing, tls, streams }: HttpLoad): string | null {
  if (streams !== undefined) return 'speak HTTP/2';
  // On connections that stay open there are so few that their kind is no matter.
  if (tls !== undefined && (closing || tls === 'resumed')) return 'tell whether a session was resumed';
  return null;
}

/** Runs wrk to its end. Throws with what it said when it gave no result. */
export async function runWrk(scope: Scope, program: string, load: Load, run: LoadRun): Promise<LoadResult> {
  if (load.kind !== 'http') throw new Error('wrk cannot speak WebSocket');
  const folder = scope.folder();
  const requests = join(folder, 'requests');
  const script = join(folder, 'send.lua');
  writeFileSync(requests, pack(load, run.port));
  // A copy, for wrk cannot look into an executable.
  writeFileSync(script, readAsset('native-bench/load/wrk/send.lua'));
  const threads = evenThreads(load.connections, run.cores.length);
  const child = scope.start('wrk', {
    command: program,
    args: [
      ...['-t', String(threads), '-c', String(load.connections), '-d', `${run.seconds}s`],
      ...[
        '--timeout',
        `${TIMEOUT_SECONDS}s`,
        '-s',
        script,
        `${load.tls === undefined ? 'http' : 'https'}://127.0.0.1:${run.port}/`,
      ],
    ],
    cores: run.cores,
    env: {
      MILLRACE_REQUESTS: requests,
      MILLRACE_CONNECTIONS: String(load.connections),
      MILLRACE_PERCENTILES: LATENCY_SHARES.map((share) => share * 100).join(' '),
    },
  });
  await child.exited;
  await scope.stop(child);
  rmSync(folder, { recursive: true, force: true });
  const result = parseWrkResult(child.stdout);
  if (result === null) throw new Error(`wrk gave no result: ${(child.stderr || child.stdout).trim()}`);
  return result;
}

/** Finds the line that wrk/send.lua prints among wrk's own output. Null when it is missing or not whole. */
export function parseWrkResult(output: string): LoadResult | null {
  const line = /^millrace-bench (.+)$/m.exec(output)?.[1];
  if (line === undefined) return null;
  const words = new Map<string, string>();
  for (const pair of line.split(' ')) {
    const [name = '', value = ''] = pair.split('=');
    words.set(name, value);
  }
  const numbers = NUMBERS.map((name) => whole(words.get(name)));
  const micros = (words.get('latency') ?? '').split(',').map(whole);
  if (numbers.includes(Number.NaN) || micros.includes(Number.NaN)) return null;
  if (micros.length !== LATENCY_SHARES.length) return null;
  const [answered, bytes, took, connect, read, write, timeout, status] = numbers as [number, ...number[]];
  // wrk counts an answer that came late or with an error status as a request all the same.
  const requests = Math.max(answered - status! - timeout!, 0);
  return {
    requests,
    bytes: bytes!,
    seconds: took! / 1e6,
    latency: answered === 0 ? [] : LATENCY_SHARES.map((share, index) => ({ share, micros: micros[index]! })),
    errors: { connect: connect!, read: read!, write: write!, timeout: timeout!, status: status! },
    unsent: 0,
  };
}

const TIMEOUT_SECONDS = 5;
const NUMBERS = ['requests', 'bytes', 'micros', 'connect', 'read', 'write', 'timeout', 'status'];

/** The lengths of all requests in one line, then their bytes: bodies of any size, and no escaping. */
function pack(load: HttpLoad, port: number): Buffer {
  const rendered = load.requests.map((shape) => renderRequest(shape, `127.0.0.1:${port}`, load.closing));
  return Buffer.concat([Buffer.from(`${rendered.map((bytes) => bytes.length).join(' ')}\n`), ...rendered]);
}

/** wrk rounds the connections of a thread down, so that only a divisor opens all of them. */
function evenThreads(connections: number, cores: number): number {
  let threads = Math.min(Math.max(cores, 1), connections);
  while (connections % threads !== 0) threads--;
  return threads;
}

function whole(text: string | undefined): number {
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : Number.NaN;
}
