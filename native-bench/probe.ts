// Looks once at what a peer does before it is measured: a proxy that answers wrongly is fast at nothing, and one that
// adds fewer headers than the others does less work than they do. With Node's own clients, which know nothing of ours.

import { request } from 'node:http';
import { connect as connectH2 } from 'node:http2';
import { request as requestSecurely } from 'node:https';
import { connect as connectSecurely } from 'node:tls';
import type { RequestShape } from './load/load.ts';
import { ECHO_PATH, INSPECT_PATH, INSPECTED, letters, SINK_PATH, SINK_REPLY } from './origin/content.ts';
import { ALPN, CIPHERSUITES, isSecure, type SecureSetup, type Setup } from './peers/peer.ts';
import type { Scenario } from './scenario.ts';

/** Headers that every layer 7 peer is to add to the request. */
export const FORWARDING_HEADERS: readonly string[] = INSPECTED;

/** Sends each of the scenario's requests once to `port`; throws when a reply is not the one that the origin gives. */
export async function probeReply(
  port: number,
  { load, setup = 'http' }: Pick<Scenario, 'load'> & Partial<Pick<Scenario, 'setup'>>,
): Promise<void> {
  if (load.kind === 'websocket') return probeEcho(port, load.messageBytes);
  for (const shape of load.requests) {
    const { status, body } = await exchange(port, shape, setup);
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
export async function probeHeaders(
  port: number,
  path: string = INSPECT_PATH,
  setup: Setup = 'http',
): Promise<string[]> {
  const shape = { method: 'GET', path, fields: [], bodyBytes: 0, chunkBytes: 0 } as const;
  const { status, body } = await exchange(port, shape, setup);
  if (status !== 200) throw new Error(`answers ${path} with status ${status}`);
  return missingHeaders(body.toString('latin1'));
}

/** The same from what the origin saw: one `name=value` a line, the value empty when the header was not there. */
export function missingHeaders(seen: string): string[] {
  const lines = seen.split('\n');
  return FORWARDING_HEADERS.filter((name) => !lines.some((line) => line.startsWith(`${name}=`) && line !== `${name}=`));
}

/**
 * Looks at how a peer encrypts: throws when it is not as all are set, and when a session cannot be resumed. Twice, since
 * the second handshake needs the ticket of the first.
 */
export async function probeHandshakes(port: number, setup: SecureSetup): Promise<void> {
  const first = await handshake(port, setup, null);
  for (const [name, value, wanted] of [
    ['version', first.version, 'TLSv1.3'],
    ['cipher', first.cipher, CIPHERSUITES.split(':')[0]],
    ['protocol', first.alpn, ALPN[setup]],
    ['key', first.key, 'prime256v1'],
  ] as const) {
    if (value !== wanted) throw new Error(`answers a handshake with the ${name} ${value} instead of ${wanted}`);
  }
  if (first.resumed) throw new Error('resumes a session that there is not');
  if (first.session === null) throw new Error('gives no ticket for its sessions');
  if (!(await handshake(port, setup, first.session)).resumed)
    throw new Error('does not resume a session by its ticket');
}

const PROBE_MS = 5_000;

/** What became of one handshake. */
interface Shaken {
  readonly version: string | null;
  readonly cipher: string;
  readonly alpn: string | false | null;
  /** The curve of the certificate's key. */
  readonly key: string | undefined;
  readonly resumed: boolean;
  readonly session: Buffer | null;
}

function handshake(port: number, setup: SecureSetup, session: Buffer | null): Promise<Shaken> {
  return new Promise((resolve, reject) => {
    const ALPNProtocols = [ALPN[setup]];
    const offered = session === null ? {} : { session };
    const socket = connectSecurely({ host: '127.0.0.1', port, rejectUnauthorized: false, ALPNProtocols, ...offered });
    const settle = (ticket: Buffer | null): void => {
      const { asn1Curve: key } = socket.getPeerCertificate() as { asn1Curve?: string };
      const [version, cipher] = [socket.getProtocol(), socket.getCipher().name];
      resolve({ version, cipher, alpn: socket.alpnProtocol, key, resumed: socket.isSessionReused(), session: ticket });
      socket.destroy();
    };
    // A ticket comes behind the handshake (RFC 8446 4.6.1); who has resumed a session need not wait for another.
    if (session === null) socket.once('session', settle);
    else socket.once('secureConnect', () => settle(null));
    socket.setTimeout(PROBE_MS, () => settle(null));
    socket.on('error', (error) => reject(new Error(`makes no handshake: ${error.message}`)));
    socket.once('close', () => reject(new Error('makes no handshake: it closes the connection')));
  });
}

interface Answer {
  readonly status: number;
  readonly body: Buffer;
}

function exchange(port: number, shape: Omit<RequestShape, 'replyBytes'>, setup: Setup): Promise<Answer> {
  if (setup === 'h2') return exchangeH2(port, shape);
  const ask = isSecure(setup) ? requestSecurely : request;
  const { method, path, fields, bodyBytes, chunkBytes } = shape;
  const framing = chunkBytes > 0 ? { 'transfer-encoding': 'chunked' } : { 'content-length': bodyBytes };
  const headers = { ...Object.fromEntries(fields), ...(method === 'POST' && framing) };
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(PROBE_MS);
    const target = { host: '127.0.0.1', port, path, method, headers, agent: false, signal, rejectUnauthorized: false };
    const sent = ask(target, (reply) => {
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

/** A GET; scenarios over HTTP/2 have nothing else. */
function exchangeH2(port: number, { path }: Pick<RequestShape, 'path'>): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const session = connectH2(`https://127.0.0.1:${port}`, { rejectUnauthorized: false });
    const fail = (error: Error): void => {
      session.destroy();
      reject(new Error(`gives no answer to ${path}: ${error.message}`));
    };
    session.on('error', fail);
    const stream = session.request({ ':path': path });
    const chunks: Buffer[] = [];
    let status = 0;
    stream.setTimeout(PROBE_MS, () => fail(new Error('it takes too long')));
    stream.on('response', (headers) => {
      status = headers[':status'] ?? 0;
    });
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('error', fail);
    stream.on('end', () => {
      session.close();
      resolve({ status, body: Buffer.concat(chunks) });
    });
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
