// The admin API as tests call it: raw enough to send what no well-behaved client would.

import { type IncomingHttpHeaders, request } from 'node:http';
import type { Status } from '../../lib/admin/control.ts';
import type { Program } from './process.ts';
import { PATIENCE_MS } from './wait.ts';

export interface AdminAnswer {
  readonly status: number;
  readonly fields: IncomingHttpHeaders;
  // biome-ignore lint/suspicious/noExplicitAny: what is in it is what tests look at.
  readonly body: any;
}

export interface AdminCall {
  readonly method?: string;
  readonly path: string;
  /** Sent as JSON; text is sent as it is. */
  readonly body?: unknown;
  /** `undefined` leaves a field out that would be sent otherwise. */
  readonly fields?: Readonly<Record<string, string | undefined>>;
}

export class Admin {
  readonly #target: { readonly port: number; readonly host: string } | { readonly socketPath: string };

  /** `where`: a port of this machine, or the path of a unix socket. */
  constructor(where: number | string) {
    this.#target = typeof where === 'number' ? { port: where, host: '127.0.0.1' } : { socketPath: where };
  }

  /** Of a proxy whose admin listener is bound to a port. */
  static async of(proxy: Program): Promise<Admin> {
    const address = await Admin.addressOf(proxy);
    return new Admin(Number(address.slice(address.lastIndexOf(':') + 1)));
  }

  /** As commands take it. */
  static async addressOf(proxy: Program): Promise<string> {
    const pattern = /"admin API","address":"([^"]+)"/;
    await proxy.until(({ err }) => pattern.test(err), 'its admin listener');
    return pattern.exec(proxy.err)![1]!;
  }

  /** Rejects when nobody answers. */
  call({ method = 'GET', path, body, fields = {} }: AdminCall): Promise<AdminAnswer> {
    const typed = method === 'GET' || method === 'DELETE' ? {} : { 'content-type': 'application/json' };
    const headers = Object.fromEntries(
      Object.entries({ ...typed, ...fields }).filter((field): field is [string, string] => field[1] !== undefined),
    );
    return new Promise((resolve, reject) => {
      const sent = request({ ...this.#target, method, path, headers, agent: false, timeout: PATIENCE_MS }, (reply) => {
        let text = '';
        reply.setEncoding('utf8');
        reply.on('data', (piece) => (text += piece));
        reply.on('error', reject);
        reply.on('end', () => {
          const { statusCode: status = 0, headers: found } = reply;
          resolve({ status, fields: found, body: text === '' ? undefined : JSON.parse(text) });
        });
      });
      sent.on('timeout', () => sent.destroy(new Error('no answer')));
      sent.on('error', reject);
      sent.end(body === undefined || typeof body === 'string' ? body : JSON.stringify(body));
    });
  }

  post(path: string, body: unknown = {}): Promise<AdminAnswer> {
    return this.call({ method: 'POST', path, body });
  }

  async status(): Promise<Status> {
    return (await this.call({ path: '/v1/status' })).body as Status;
  }
}
