// Looks once at what a peer does before it is measured: a proxy that answers wrongly is fast at nothing, and one that
// adds fewer headers than the others does less work than they do. With Node's own clients, which know nothing of ours.

import { request } from 'node:http';
import type { RequestShape } from './load/load.ts';
import { ECHO_PATH, INSPECT_PATH, INSPECTED, letters, SINK_PATH, SINK_REPLY } from './origin/content.ts';
import type { Scenario } from './scenario.ts';

/** Headers that every layer 7 peer is to add to the request. */
export const FORWARDING_HEADERS: readonly string[] = INSPECTED;

/** Sends each of the scenario's requests once to `port`; throws when a reply is not the one that the origin gives. */
export async function probeReply(port: number, { load }: Pick<Scenario, 'load'>): Promise<void> {
  if (load.kind === 'websocket') return probeEcho(port, load.messageBytes);
  for (const shape of load.requests) {
    const { status, body } = await exchange(port, shape);
    if (status !== 200) throw new Error(`answers ${shape.path} with status ${status}`);
    if (body.length !== shape.replyBytes) {
      throw new Error(`answers ${shape.path} with ${body.length} bytes instead of ${shape.replyBytes}`);
    }
    // All that the origin has to give scenarios is one of these two.
    const expected = shape.path === SINK_PATH ? Buffer.from(SINK_REPLY, 'latin1') : letters(shape.replyBytes);
    if (!body.equals(expected)) throw new Error(`answers ${shape.path} with other bytes than the origin's`);
  }
}

/** Names of forwarding headers that do not reach the origin through `port`. `path`: where the origin tells of them. */
export async function probeHeaders(port: number, path: string = INSPECT_PATH): Promise<string[]> {
  const shape = { method: 'GET', path, fields: [], bodyBytes: 0, chunkBytes: 0 } as const;
  const { status, body } = await exchange(port, shape);
  if (status !== 200) throw new Error(`answers ${path} with status ${status}`);
  return missingHeaders(body.toString('latin1'));
}

/** The same from what the origin saw: one `name=value` a line, the value empty when the header was not there. */
export function missingHeaders(seen: string): string[] {
  const lines = seen.split('\n');
  return FORWARDING_HEADERS.filter((name) => !lines.some((line) => line.startsWith(`${name}=`) && line !== `${name}=`));
}

const PROBE_MS = 5_000;

function exchange(port: number, shape: Omit<RequestShape, 'replyBytes'>): Promise<{ status: number; body: Buffer }> {
  const { method, path, fields, bodyBytes, chunkBytes } = shape;
  const framing = chunkBytes > 0 ? { 'transfer-encoding': 'chunked' } : { 'content-length': bodyBytes };
  const headers = { ...Object.fromEntries(fields), ...(method === 'POST' && framing) };
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(PROBE_MS);
    const sent = request({ host: '127.0.0.1', port, path, method, headers, agent: false, signal }, (reply) => {
      const chunks: Buffer[] = [];
      reply.on('data', (chunk: Buffer) => chunks.push(chunk));
      reply.on('error', reject);
      reply.on('end', () => resolve({ status: reply.statusCode ?? 0, body: Buffer.concat(chunks) }));
    });
    sent.on('error', (error) => reject(new Error(`gives no answer to ${path}: ${error.message}`)));
    const body = Buffer.alloc(bodyBytes, 'm');
    for (let at = 0; chunkBytes > 0 && at < bodyBytes; at += chunkBytes) sent.write(body.subarray(at, at + chunkBytes));
    sent.end(chunkBytes > 0 ? undefined : body);
  });
}

/** One handshake, one message there and back. */
function probeEcho(port: number, messageBytes: number): Promise<void> {
  const message = Buffer.alloc(messageBytes, 'm');
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}${ECHO_PATH}`);
    socket.binaryType = 'arraybuffer';
    const timer = setTimeout(() => settle(new Error('gives no answer to a WebSocket message')), PROBE_MS);
    const settle = (error: Error | null): void => {
      clearTimeout(timer);
      socket.close();
      if (error === null) resolve();
      else reject(error);
    };
    socket.addEventListener('open', () => socket.send(message));
    socket.addEventListener('message', ({ data }) => {
      const same = data instanceof ArrayBuffer && message.equals(Buffer.from(data));
      settle(same ? null : new Error('answers a WebSocket message with another'));
    });
    socket.addEventListener('error', () => settle(new Error('does not pass WebSocket on')));
    socket.addEventListener('close', () => settle(new Error('closes a WebSocket')));
  });
}
