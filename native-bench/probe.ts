// Looks once at what a peer does before it is measured: a proxy that answers wrongly is fast at nothing, and one that
// adds fewer headers than the others does less work than they do.

import { request } from 'node:http';
import type { Scenario } from './scenario.ts';

/** Headers that every layer 7 peer is to add to the request. */
export const FORWARDING_HEADERS = ['x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host', 'x-request-id', 'via'];

/** Sends the scenario's request once to `port`; throws when the reply is not the one that the origin gives. */
export async function probeReply(port: number, scenario: Scenario): Promise<void> {
  const { status, body } = await exchange(port, scenario.load.path, scenario.requestBytes);
  if (status !== 200) throw new Error(`answers ${scenario.load.path} with status ${status}`);
  if (body.length !== scenario.replyBytes) {
    throw new Error(`answers ${scenario.load.path} with ${body.length} bytes instead of ${scenario.replyBytes}`);
  }
}

/** Names of forwarding headers that do not reach the origin through `port`. */
export async function probeHeaders(port: number): Promise<string[]> {
  const { body } = await exchange(port, '/inspect', 0);
  return missingHeaders(body.toString('latin1'));
}

/** The same from what the origin saw: one `name=value` a line, the value empty when the header was not there. */
export function missingHeaders(seen: string): string[] {
  const lines = seen.split('\n');
  return FORWARDING_HEADERS.filter((name) => !lines.some((line) => line.startsWith(`${name}=`) && line !== `${name}=`));
}

const PROBE_MS = 5_000;

function exchange(port: number, path: string, requestBytes: number): Promise<{ status: number; body: Buffer }> {
  const method = requestBytes > 0 ? 'POST' : 'GET';
  const headers = requestBytes > 0 ? { 'content-length': requestBytes } : {};
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(PROBE_MS);
    const sent = request({ host: '127.0.0.1', port, path, method, headers, agent: false, signal }, (reply) => {
      const chunks: Buffer[] = [];
      reply.on('data', (chunk: Buffer) => chunks.push(chunk));
      reply.on('error', reject);
      reply.on('end', () => resolve({ status: reply.statusCode ?? 0, body: Buffer.concat(chunks) }));
    });
    sent.on('error', (error) => reject(new Error(`gives no answer to ${path}: ${error.message}`)));
    sent.end(Buffer.alloc(requestBytes, 'm'));
  });
}
