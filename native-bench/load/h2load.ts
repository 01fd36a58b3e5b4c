// Drives h2load, over HTTP/2 and HTTP/1.1: text for the counts, its log of single requests for the latencies. It renders requests
// its own way (a user-agent of its own, names in lower case), so figures taken with it stand beside its own only.

import { createReadStream, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RecordableHistogram } from 'node:perf_hooks';
import { createInterface } from 'node:readline';
import type { Scope } from '../host/scope.ts';
import { latencyHistogram, latencyPoints, recordMicros } from './latency.ts';
import type { HttpLoad, Load, LoadResult, LoadRun } from './load.ts';
import { FILLING } from './request.ts';

/** What of an HTTP load in a closed loop h2load cannot do, as in "h2load cannot ..."; null when it can do it. */
export function h2loadObjection({ closing, requests, tls }: HttpLoad): string | null {
  if (tls === 'resumed') return 'resume sessions';
  if (closing) return 'open a connection for each request';
  if (requests.length !== 1) return 'send requests of several kinds in turn';
  const { method, bodyBytes, chunkBytes } = requests[0]!;
  if (chunkBytes > 0) return 'send a body in chunks';
  if ((method === 'POST') !== bodyBytes > 0) return 'send a GET with a body or a POST without one';
  return null;
}

/** Runs h2load to its end. Throws with what it said when it gave no result. */
export async function runH2load(scope: Scope, program: string, load: Load, run: LoadRun): Promise<LoadResult> {
  if (load.kind !== 'http') throw new Error('h2load cannot speak WebSocket');
  const { connections, requests, tls, streams } = load;
  const { path, fields, bodyBytes } = requests[0]!;
  const folder = scope.folder();
  const log = join(folder, 'log');
  const threads = Math.min(Math.max(run.cores.length, 1), connections);
  // With TLS it is ALPN that says so; without, HTTP/2 is known to be spoken beforehand (RFC 9113 3.3).
  const version = streams === undefined ? ['--h1', '-m', '1'] : ['-m', String(streams)];
  const args = [...version, '-t', String(threads), '-c', String(connections), '-D', String(run.seconds)];
  args.push('--connection-inactivity-timeout', String(TIMEOUT_SECONDS), '--log-file', log);
  for (const [name, value] of fields) args.push('-H', `${name}: ${value}`);
  if (bodyBytes > 0) {
    const body = join(folder, 'body');
    writeFileSync(body, Buffer.alloc(bodyBytes, FILLING));
    args.push('-d', body);
  }
  args.push(`${tls === undefined ? 'http' : 'https'}://127.0.0.1:${run.port}${path}`);
  const child = scope.start('h2load', { command: program, args, cores: run.cores });
  await child.exited;
  await scope.stop(child);
  const latency = await readH2loadLog(log);
  rmSync(folder, { recursive: true, force: true });
  const result = parseH2load(child.stdout, latency);
  if (result === null) throw new Error(`h2load gave no result: ${child.stderr.trim() || 'it could not send anything'}`);
  return result;
}

/**
 * The latencies in a log of h2load, line by line, since it has one for each request (start, status, duration, in
 * microseconds): of those that were answered below 400. Empty when there is no such file.
 */
export async function readH2loadLog(path: string): Promise<RecordableHistogram> {
  const histogram = latencyHistogram();
  try {
    for await (const line of createInterface({ input: createReadStream(path), crlfDelay: Number.POSITIVE_INFINITY })) {
      const [, status = '', duration = ''] = line.split('\t');
      const code = Number(status);
      if (code >= 200 && code < 400 && /^\d+$/.test(duration)) recordMicros(histogram, Number(duration));
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  return histogram;
}

/** Reads what h2load printed, and what its log held. Null when it did not get to send anything. */
export function parseH2load(output: string, log: RecordableHistogram): LoadResult | null {
  const finished = /^finished in ([\d.]+)(us|ms|s|m|h)\b/m.exec(output);
  const counts = /^requests: .* (\d+) started, .* (\d+) errored, (\d+) timeout/m.exec(output);
  const codes = /^status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx/m.exec(output);
  const traffic = /^traffic: \S+ \((\d+)\) total/m.exec(output);
  if (finished === null || counts === null || codes === null || traffic === null) return null;
  const [started, errored, timeout] = counts.slice(1).map(Number) as [number, number, number];
  const [found, elsewhere, bad, broken] = codes.slice(1).map(Number) as [number, number, number, number];
  if (started === 0) return null;
  return {
    requests: found + elsewhere,
    bytes: Number(traffic[1]),
    seconds: Number(finished[1]) * SECONDS_OF[finished[2] as keyof typeof SECONDS_OF],
    latency: latencyPoints(log),
    // h2load's errored are connections that broke; it does not say in which direction.
    errors: { connect: 0, read: errored, write: 0, timeout, status: bad + broken },
    unsent: 0,
  };
}

const TIMEOUT_SECONDS = 5;
const SECONDS_OF = { us: 1e-6, ms: 1e-3, s: 1, m: 60, h: 3600 } as const;
