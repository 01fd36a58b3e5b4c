// A client whose hello has been read and whose certificate is still being ordered: kept for as long as a handshake may
// take, and not read meanwhile.

import type { Connection, Receiver } from '../io/connection.ts';

export class HeldClient implements Receiver {
  readonly #connection: Connection;
  readonly #withinMs: number;
  readonly #ended: (cause: string) => void;
  #holding = false;

  /** `ended` is told once, '' when the client was let go on, else why it is gone. */
  constructor(connection: Connection, withinMs: number, ended: (cause: string) => void) {
    this.#connection = connection;
    this.#withinMs = withinMs;
    this.#ended = ended;
  }

  /** Becomes the connection's receiver. */
  hold(): void {
    this.#holding = true;
    this.#connection.receiver = this;
    this.#connection.expireIn(this.#withinMs);
    this.#connection.pause();
  }

  /** Ends the wait; false when there is nobody any more. The connection needs another receiver then. */
  let(): boolean {
    if (!this.#holding) return false;
    this.#holding = false;
    this.#ended('');
    return !this.#connection.gone;
  }

  received(): void {
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
    this.#fail('certificate_timeout');
  }

  crashed(error: unknown): void {
    this.#fail('internal');
    throw error;
  }

  #fail(cause: string): void {
    if (!this.#holding) return;
    this.#holding = false;
    this.#ended(cause);
    this.#connection.destroy();
  }
}
