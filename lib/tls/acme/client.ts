// The client's side of ACME (RFC 8555): account, orders, authorizations, certificates. How a challenge is met and what
// becomes of a certificate is left to others.

import { setTimeout as pause } from 'node:timers/promises';
import type { AccountKey } from './jws.ts';
import { type Reply, Transport } from './transport.ts';

/** The URL of the directory, and what the authority must know. */
export interface ClientOptions {
  readonly directory: string;
  /** PEM that the authority is verified with, '' for what Node believes in. */
  readonly ca: string;
  /** Contact of the account, '' for none. */
  readonly email: string;
  /** External account binding, null for none. `key` is base64url. */
  readonly binding: { readonly keyId: string; readonly key: string } | null;
}

/** A problem as the authority tells it (RFC 8555 6.7). */
export class Refusal extends Error {
  /** The last part of its type, such as `rateLimited`; '' when the reply was none of ACME's. */
  readonly kind: string;
  /** How long the authority wants to be left alone; 0 when it does not say. */
  readonly retryAfterMs: number;

  constructor(kind: string, message: string, retryAfterMs: number) {
    super(message);
    this.kind = kind;
    this.retryAfterMs = retryAfterMs;
  }
}

export interface Challenge {
  readonly type: string;
  readonly url: string;
  readonly token: string;
}

export interface Authorization {
  readonly url: string;
  /** Without the `*.` of a wildcard. */
  readonly name: string;
  readonly status: string;
  readonly challenges: readonly Challenge[];
}

export interface Order {
  readonly url: string;
  readonly status: string;
  readonly authorizations: readonly string[];
  readonly finalize: string;
  /** URL of what was issued, '' until then. */
  readonly certificate: string;
}

const PREFIX = 'urn:ietf:params:acme:error:';
/** What is still to be decided after this time is given up. */
const WAIT_MS = 5 * 60_000;
const POLL_MS = 1000;
const LONGEST_POLL_MS = 30_000;
/** Nonces run out, and authorities refuse some on purpose. */
const NONCE_TRIES = 8;
const MOST_AUTHORIZATIONS = 100;
/** RFC 8555 8.3: base64url of 128 bits at least. It becomes part of a file's name. */
export const TOKEN = /^[A-Za-z0-9_-]{22,128}$/;

/** A conversation with one authority under one account. Every method rejects with a `Refusal` or an error in words. */
export class Client {
  readonly #options: ClientOptions;
  readonly #key: AccountKey;
  readonly #signal: AbortSignal;
  readonly #transport: Transport;
  #directory: Readonly<Record<string, unknown>> = {};
  #account = '';
  #nonce = '';

  constructor(options: ClientOptions, key: AccountKey, signal: AbortSignal) {
    this.#options = options;
    this.#key = key;
    this.#signal = signal;
    this.#transport = new Transport(options.ca);
  }

  close(): void {
    this.#transport.close();
  }

  /** Reads the directory, and makes the account or finds it (RFC 8555 7.1.1, 7.3). */
  async open(): Promise<void> {
    const reply = await this.#transport.send('GET', this.#options.directory, null, this.#signal);
    if (reply.status !== 200) throw new Error(`${this.#options.directory}: ${reply.status} in place of a directory`);
    this.#directory = parse(reply);
    const { email, binding } = this.#options;
    const url = this.#place('newAccount');
    const meta = this.#directory['meta'] as { externalAccountRequired?: unknown } | undefined;
    if (meta?.externalAccountRequired === true && binding === null) {
      throw new Error('the authority wants an account of its own: set binding to the key that it gave you');
    }
    const made = await this.#post(url, {
      termsOfServiceAgreed: true,
      ...(email !== '' && { contact: [`mailto:${email}`] }),
      ...(binding !== null && { externalAccountBinding: this.#key.bind(url, binding.keyId, binding.key) }),
    });
    this.#account = locationOf(made);
  }

  /** Asks for a certificate for these names (RFC 8555 7.4). */
  async order(names: readonly string[]): Promise<Order> {
    const identifiers = names.map((value) => ({ type: 'dns', value }));
    const reply = await this.#post(this.#place('newOrder'), { identifiers });
    return readOrder(locationOf(reply), reply);
  }

  async authorization(url: string): Promise<Authorization> {
    return readAuthorization(url, await this.#post(url, null));
  }

  /** The text that meets a challenge, in one way or another (RFC 8555 8.1). */
  answerTo({ token }: Challenge): string {
    return `${token}.${this.#key.thumbprint}`;
  }

  /** Says that a challenge can be looked at, and waits for the authority's judgement. */
  async prove(authorization: Authorization, challenge: Challenge): Promise<void> {
    await this.#post(challenge.url, {});
    const reply = await this.#settled(authorization.url, ['pending']);
    if (parse(reply)['status'] !== 'valid') throw new Error(whyNot(authorization.name, parse(reply)));
  }

  /** Hands in the request (DER of PKCS #10) and answers the chain, once it is issued (RFC 8555 7.4, 7.4.2). */
  async finish(order: Order, request: Buffer): Promise<string> {
    await this.#settled(order.url, ['pending']);
    await this.#post(order.finalize, { csr: request.toString('base64url') });
    const reply = await this.#settled(order.url, ['processing', 'ready']);
    const done = readOrder(order.url, reply);
    if (done.status !== 'valid' || done.certificate === '') {
      const { error } = parse(reply) as { error?: { detail?: unknown } };
      throw new Error(`the order is ${done.status}: ${clean(error?.detail)}`);
    }
    const chain = await this.#post(done.certificate, null);
    return chain.body;
  }

  /** Asks again until the status is none of these. */
  async #settled(url: string, waiting: readonly string[]): Promise<Reply> {
    const until = performance.now() + WAIT_MS;
    for (let tries = 0; ; tries++) {
      const reply = await this.#post(url, null);
      if (!waiting.includes(String(parse(reply)['status']))) return reply;
      if (performance.now() > until) throw new Error('the authority has not decided in time');
      const asked = retryAfter(reply);
      // The first answers come soon with most authorities.
      await pause(Math.min(asked > 0 ? asked : POLL_MS * 1.5 ** Math.min(tries, 6) * 0.5, LONGEST_POLL_MS), null, {
        signal: this.#signal,
        ref: false,
      });
    }
  }

  /** A signed request; `payload` null reads what is there (RFC 8555 6.3). */
  async #post(url: string, payload: unknown): Promise<Reply> {
    for (let tries = 1; ; tries++) {
      const body = this.#key.signRequest(
        url,
        await this.#takeNonce(),
        this.#account,
        payload === null ? '' : JSON.stringify(payload),
      );
      const reply = await this.#transport.send('POST', url, body, this.#signal);
      this.#keepNonce(reply);
      if (reply.status >= 200 && reply.status < 300) return reply;
      const refusal = readRefusal(url, reply);
      if (refusal.kind !== 'badNonce' || tries === NONCE_TRIES) throw refusal;
    }
  }

  async #takeNonce(): Promise<string> {
    if (this.#nonce === '') {
      this.#keepNonce(await this.#transport.send('HEAD', this.#place('newNonce'), null, this.#signal));
      if (this.#nonce === '') throw new Error('the authority gives no nonce');
    }
    const nonce = this.#nonce;
    this.#nonce = '';
    return nonce;
  }

  #keepNonce({ fields }: Reply): void {
    const nonce = fields['replay-nonce'];
    if (typeof nonce === 'string' && /^[A-Za-z0-9_-]{1,256}$/.test(nonce)) this.#nonce = nonce;
  }

  #place(name: string): string {
    const url = this.#directory[name];
    if (typeof url !== 'string') throw new Error(`${this.#options.directory}: no ${name} in this directory`);
    return url;
  }
}

function readOrder(url: string, reply: Reply): Order {
  const { status, authorizations, finalize, certificate } = parse(reply);
  const urls = Array.isArray(authorizations) ? authorizations.filter((one) => typeof one === 'string') : [];
  if (typeof status !== 'string' || typeof finalize !== 'string' || urls.length > MOST_AUTHORIZATIONS) {
    throw new Error('the authority answers with an order that makes no sense');
  }
  return {
    url,
    status,
    authorizations: urls,
    finalize,
    certificate: typeof certificate === 'string' ? certificate : '',
  };
}

function readAuthorization(url: string, reply: Reply): Authorization {
  const { status, identifier, challenges } = parse(reply) as {
    status?: unknown;
    identifier?: { value?: unknown };
    challenges?: unknown;
  };
  const found = Array.isArray(challenges) ? (challenges as Record<string, unknown>[]) : [];
  const known = found.flatMap(({ type, url, token }) =>
    typeof type === 'string' && typeof url === 'string' && typeof token === 'string' && TOKEN.test(token)
      ? [{ type, url, token }]
      : [],
  );
  const name = identifier?.value;
  if (typeof status !== 'string' || typeof name !== 'string') {
    throw new Error('the authority answers with an authorization that makes no sense');
  }
  return { url, name: name.toLowerCase(), status, challenges: known };
}

/** Why a name was not believed to be ours: the error of the challenge that was tried. */
function whyNot(name: string, authorization: Readonly<Record<string, unknown>>): string {
  const tried = Array.isArray(authorization['challenges']) ? (authorization['challenges'] as unknown[]) : [];
  const details = tried.flatMap((one) => (one as { error?: { detail?: unknown } } | null)?.error?.detail ?? []);
  return `${name}: ${clean(details[0] ?? authorization['status'])}`;
}

function readRefusal(url: string, reply: Reply): Refusal {
  const { type, detail } = reply.fields['content-type']?.startsWith('application/problem+json') ? parse(reply) : {};
  const kind = typeof type === 'string' && type.startsWith(PREFIX) ? type.slice(PREFIX.length) : '';
  const said = detail === undefined ? `${reply.status} from ${url}` : clean(detail);
  return new Refusal(kind, kind === '' ? said : `${kind}: ${said}`, retryAfter(reply));
}

/** Retry-After (RFC 9110 10.2.3) in ms from now, at most a day; 0 without one. */
function retryAfter({ fields }: Reply): number {
  const value = fields['retry-after'] ?? '';
  const ms = /^\d{1,9}$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return ms > 0 ? Math.min(ms, 24 * 60 * 60_000) : 0;
}

function locationOf({ fields }: Reply): string {
  const { location } = fields;
  if (location === undefined) throw new Error('the authority does not say where to go on');
  return location;
}

function parse({ body }: Reply): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(body);
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  } catch {
    // Told below.
  }
  throw new Error('the authority answers with something that is not JSON');
}

/** Words of the authority that can go into a log. */
function clean(said: unknown): string {
  return String(said)
    .replace(/[^\x20-\x7e]+/g, ' ')
    .slice(0, 300);
}
