// HTTPS to an authority: one request, one bounded reply, in bounded time.

import type { IncomingHttpHeaders } from 'node:http';
import { Agent, request } from 'node:https';
import about from '../../../package.json' with { type: 'json' };

export interface Reply {
  readonly status: number;
  readonly fields: IncomingHttpHeaders;
  readonly body: string;
}

/** Replies are short JSON or a chain of certificates. */
const REPLY_BYTES = 512 * 1024;
const TIMEOUT_MS = 30_000;

export class Transport {
  readonly #agent: Agent;

  /** `ca`: PEM that the authority's own certificate is verified with, '' for what Node believes in. */
  constructor(ca: string) {
    this.#agent = new Agent({ keepAlive: true, maxSockets: 2, ...(ca !== '' && { ca }) });
  }

  /** Rejects with words for users. Redirects are replies like any other: nothing signed follows them. */
  send(method: 'GET' | 'HEAD' | 'POST', url: string, body: string | null, signal: AbortSignal): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const where = parseUrl(url);
      if (where === null) return reject(new Error(`${url.slice(0, 200)}: not an https URL`));
      const fail = (error: NodeJS.ErrnoException): void =>
        reject(new Error(`${where.origin}: ${error.code ?? error.message}`));
      const sent = request(
        where,
        {
          method,
          agent: this.#agent,
          signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
          headers: {
            'User-Agent': `millrace/${about.version}`,
            ...(body !== null && {
              'Content-Type': 'application/jose+json',
              'Content-Length': Buffer.byteLength(body),
            }),
          },
        },
        (reply) => {
          const parts: Buffer[] = [];
          let size = 0;
          reply.on('data', (part: Buffer) => {
            size += part.length;
            if (size > REPLY_BYTES) sent.destroy(new Error(`a reply of more than ${REPLY_BYTES} bytes`));
            else parts.push(part);
          });
          reply.on('end', () =>
            resolve({ status: reply.statusCode ?? 0, fields: reply.headers, body: Buffer.concat(parts).toString() }),
          );
          reply.on('error', fail);
        },
      );
      sent.on('error', fail);
      sent.end(body ?? undefined);
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}

function parseUrl(url: string): URL | null {
  const parsed = URL.canParse(url) ? new URL(url) : null;
  return parsed?.protocol === 'https:' ? parsed : null;
}
