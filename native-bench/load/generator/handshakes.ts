// TLS under the clients of a thread: their connections are encrypted before anything is said over them, by whole
// handshakes or by resuming one session again and again, and each is counted as what it really was.

import { createSecureContext, type SecureContext } from 'node:tls';
import type { Address } from '../../../lib/base/address.ts';
import { type Connection, NOBODY } from '../../../lib/io/connection.ts';
import { type Dialer, dial } from '../../../lib/io/dial.ts';
import type { SecureLink } from '../../../lib/io/secure.ts';
import { protocolList } from '../../../lib/tls/alpn.ts';
import type { HandshakeCounts, HandshakeKind } from '../load.ts';

export class Handshakes {
  readonly counts: { -readonly [Kind in keyof HandshakeCounts]: number } = { full: 0, resumed: 0 };
  readonly #resuming: boolean;
  readonly #context: SecureContext = createSecureContext({ minVersion: 'TLSv1.3', ecdhCurve: GROUP });
  #session: Buffer | null = null;

  constructor(kind: HandshakeKind) {
    this.#resuming = kind === 'resumed';
  }

  /**
   * Where sessions are to be resumed: gets the one that all are resumed from. Tickets may be used more than once (RFC 8446
   * appendix C.4 advises clients against it, so that nobody can tell that they are the same), and the server does the same work each time. Without one
   * whole handshakes follow, and are counted.
   */
  async prepare(address: Address): Promise<void> {
    if (!this.#resuming) return;
    this.#session = await new Promise<Buffer | null>((resolve) => new TicketClient(address, this, resolve).begin());
  }

  /** Encrypts a connection that stands. Exactly one of both is called, unless the connection is gone before. */
  begin(connection: Connection, established: () => void, failed: () => void): void {
    this.encrypt(
      connection,
      this.#session,
      null,
      (link) => {
        if (link.resumed) this.counts.resumed++;
        else this.counts.full++;
        established();
      },
      failed,
    );
  }

  /** For this file's own use. */
  encrypt(
    connection: Connection,
    session: Buffer | null,
    remember: ((session: Buffer) => void) | null,
    established: (link: SecureLink) => void,
    failed: () => void,
  ): void {
    const shared = { context: this.#context, server: false, alpn: HTTP, serverName: 'localhost' };
    connection.encrypt({ ...shared, session, remember, established, failed }, null);
  }
}

/** What all servers know, whatever OpenSSL they come with, so that all agree on the same exchange of keys. */
const GROUP = 'X25519';
const HTTP = protocolList(['http/1.1']);
const TICKET_MS = 2_000;

/** Waits for a ticket and leaves. */
class TicketClient implements Dialer {
  readonly #address: Address;
  readonly #handshakes: Handshakes;
  readonly #resolve: (session: Buffer | null) => void;
  #connection: Connection | null = null;

  constructor(address: Address, handshakes: Handshakes, resolve: (session: Buffer | null) => void) {
    this.#address = address;
    this.#handshakes = handshakes;
    this.#resolve = resolve;
  }

  begin(): void {
    this.#connection = dial(this.#address, this);
    this.#connection.expireIn(TICKET_MS);
  }

  connected(): void {
    const failed = (): void => this.#leave(null);
    this.#handshakes.encrypt(
      this.#connection!,
      null,
      (session) => this.#leave(session),
      () => {},
      failed,
    );
  }

  received(): void {}

  finished(): void {
    this.#leave(null);
  }

  drained(): void {}

  closed(): void {
    this.#leave(null);
  }

  expired(): void {
    this.#leave(null);
  }

  crashed(error: unknown): never {
    throw error;
  }

  /** Not in the middle of OpenSSL telling us something. */
  #leave(session: Buffer | null): void {
    this.#connection!.receiver = NOBODY;
    setImmediate(() => this.#connection!.destroy());
    this.#resolve(session);
  }
}
