// The handshake with a client: from its ClientHello, which has been read already, to an encrypted connection of which the
// protocol and the client's certificate are known. Which certificate serves is the terminator's choice.

import type { Connection, Receiver } from '../io/connection.ts';
import type { SecureLink } from '../io/secure.ts';
import { flush } from '../io/send.ts';
import type { HandshakeGate, Waiting } from './gate.ts';
import type { Entry } from './store.ts';

/** Who waits for a handshake. */
export interface Accepted {
  /** Done: the connection carries what the client says from here on, and needs a receiver before this returns. */
  secured(link: SecureLink): void;
  /** Not done, for the cause given in one or a few words; the connection is closed. */
  refused(cause: string): void;
}

/** How a listener makes its handshakes. */
export interface AcceptOptions {
  readonly alpn: Buffer | null;
  readonly clients: 'ignored' | 'optional' | 'require';
  readonly timeoutMs: number;
}

/** Alert for when there is no context yet that could send one (RFC 8446 6.2). */
export const INTERNAL_ERROR = 80;

/** Sends a fatal alert and closes. */
export function alert(connection: Connection, description: number): void {
  const record = Buffer.from([21, 3, 3, 0, 2, 2, description]);
  connection.send(record, 0, record.length);
  connection.close();
}

/** One handshake. Becomes the connection's receiver at once, and is over when one of `accepted` is called. */
export class Handshake implements Receiver, Waiting {
  readonly #connection: Connection;
  readonly #entry: Entry;
  readonly #options: AcceptOptions;
  readonly #accepted: Accepted;
  readonly #gate: HandshakeGate;
  #early: Buffer | null;
  #over = false;

  /** `early`: what has been read of the client, its own. Follow up with the gate's `enter`. */
  constructor(
    connection: Connection,
    entry: Entry,
    options: AcceptOptions,
    early: Buffer,
    gate: HandshakeGate,
    accepted: Accepted,
  ) {
    this.#connection = connection;
    this.#entry = entry;
    this.#options = options;
    this.#early = early;
    this.#gate = gate;
    this.#accepted = accepted;
    connection.receiver = this;
    connection.expireIn(options.timeoutMs);
    // Until its turn; a client waits for our word anyway. Encrypting resumes it.
    connection.pause();
  }

  begin(): boolean {
    const early = this.#early;
    this.#early = null;
    const connection = this.#connection;
    if (this.#over || connection.gone) return false;
    const { alpn, clients } = this.#options;
    const { context, ocsp } = this.#entry;
    connection.encrypt(
      {
        context,
        server: true,
        alpn,
        asking: clients !== 'ignored',
        ocsp,
        established: (link) => this.#established(link),
        failed: (error) => this.#fail(describeFailure(error)),
      },
      early,
    );
    return true;
  }

  #established(link: SecureLink): void {
    if (this.#over || this.#connection.gone) return;
    const { clients } = this.#options;
    if (clients !== 'ignored') {
      const sent = link.peerCertificate() !== null;
      const fault = sent ? link.verifyFault() : '';
      if (fault !== '') return this.#fail(`client_certificate ${fault}`);
      if (!sent && clients === 'require') return this.#fail('client_certificate none');
    }
    this.#end();
    this.#connection.expireIn(0);
    this.#accepted.secured(link);
    // What was made of it leaves now: nothing may be on its way from the client that would bring a turn.
    queueMicrotask(flush);
  }

  received(): void {
    // Nothing can be received before the handshake is over: a client that is read before its turn would lose bytes.
    this.#fail('client_early');
  }

  finished(): void {
    this.#fail('client_gone');
  }

  drained(): void {}

  closed(error: NodeJS.ErrnoException | null): void {
    this.#fail(error?.code ?? 'client_gone');
  }

  expired(): void {
    this.#fail('handshake_timeout');
  }

  crashed(error: unknown): void {
    this.#fail('internal');
    throw error;
  }

  #fail(cause: string): void {
    if (this.#over) return;
    this.#end();
    this.#accepted.refused(cause);
    // An alert that OpenSSL has made is with the kernel already.
    this.#connection.destroy();
  }

  #end(): void {
    this.#over = true;
    this.#early = null;
    this.#gate.leave();
  }
}

/** OpenSSL's reason in its own words, without numbers of its lines: `no shared cipher`, `unsupported protocol`, ... */
function describeFailure(error: NodeJS.ErrnoException & { reason?: string }): string {
  const reason = error.reason ?? error.code ?? error.message;
  return reason.replace(/[^\x20-\x7e]/g, ' ').slice(0, 100);
}
