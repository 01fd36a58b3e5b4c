// Who may call the admin API. A browser can be made to send requests to addresses of its own machine by any page that it
// shows: such requests are told by their Host (a name that was made to lead here, DNS rebinding) and by their Origin.

import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { isLocal, isLoopback } from '../base/address.ts';
import type { AdminOptions } from '../config/configuration.ts';

/** Why a request is refused. */
export interface Denial {
  readonly status: 401 | 403 | 415;
  readonly fault: string;
}

export class Access {
  readonly #local: boolean;
  readonly #digest: Buffer | null;

  constructor({ bind, token }: AdminOptions) {
    this.#local = bind.kind === 'tcp' && isLocal(bind);
    this.#digest = token === '' ? null : digest(token);
  }

  /** Null for a request that may be answered. */
  judge({ method = '', headers }: IncomingMessage): Denial | null {
    if (this.#local && !isLocalHost(headers.host ?? '')) {
      return { status: 403, fault: 'the Host field names another machine; call it by its loopback address' };
    }
    const { origin } = headers;
    const site = headers['sec-fetch-site'];
    const own = origin === undefined || origin === `http://${headers.host}`;
    if (!own || !(site === undefined || site === 'same-origin' || site === 'none')) {
      return { status: 403, fault: 'requests of pages of other origins are not answered' };
    }
    if (this.#digest !== null && !matches(headers.authorization ?? '', this.#digest)) {
      return { status: 401, fault: 'a token is needed: Authorization: Bearer TOKEN' };
    }
    // What a form of a page can send without asking first (Fetch 3.2.2) is never of this type.
    if ((method === 'POST' || method === 'PATCH') && !/^application\/json\b/i.test(headers['content-type'] ?? '')) {
      return { status: 415, fault: 'changes are sent as application/json' };
    }
    return null;
  }
}

function isLocalHost(field: string): boolean {
  const host = /^(?:\[([0-9a-f:.]+)\]|([^:]+))(?::\d{1,5})?$/i.exec(field);
  const name = (host?.[1] ?? host?.[2] ?? '').toLowerCase();
  return name === 'localhost' || isLoopback(name);
}

/** Of equal length whatever was sent, so that how long the comparison takes says nothing. */
function digest(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}

function matches(authorization: string, expected: Buffer): boolean {
  const [, token = ''] = /^Bearer +(\S+)$/i.exec(authorization) ?? [];
  return timingSafeEqual(digest(token), expected);
}
