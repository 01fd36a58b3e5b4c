// Connections of one endpoint: how many are open, and the idle ones, most recently used first so that the rest can grow
// old and be closed. Knows nothing of HTTP: what is kept is anything that can be reused or retired.

/** What a pool keeps. */
export interface Poolable {
  /** Not wanted any more: close. Must lead to `Pool.closed` sooner or later. */
  retire(): void;
}

export class Pool {
  /** Open connections, idle ones and those being dialed included. */
  open = 0;
  readonly #idle: Poolable[] = [];
  readonly #idleMax: number;
  readonly #openMax: number;
  #closing = false;

  /** Keeps at most `idleMax` idle connections; `openMax` 0 sets no cap. */
  constructor(idleMax: number, openMax: number) {
    this.#idleMax = idleMax;
    this.#openMax = openMax;
  }

  /** Whether an exchange could begin now: something idle, or room for one more connection. */
  get available(): boolean {
    return this.#idle.length > 0 || this.roomy;
  }

  /** Whether one more connection may be opened. */
  get roomy(): boolean {
    return this.#openMax === 0 || this.open < this.#openMax;
  }

  get idle(): number {
    return this.#idle.length;
  }

  /** Takes the idle connection that was used last, or null. */
  take(): Poolable | null {
    return this.#idle.pop() ?? null;
  }

  /** Keeps a connection for later; retires it when there are enough. */
  give(connection: Poolable): void {
    if (this.#closing || this.#idle.length >= this.#idleMax) connection.retire();
    else this.#idle.push(connection);
  }

  /** A connection is being dialed. */
  opened(): void {
    this.open++;
  }

  /** A connection is gone; if it was idle it is forgotten. */
  closed(connection: Poolable): void {
    this.open--;
    // Those that die idle are mostly the oldest, at the front.
    const at = this.#idle.indexOf(connection);
    if (at >= 0) this.#idle.splice(at, 1);
  }

  /** Retires what is idle; with `forGood` also whatever is given back later. */
  empty(forGood: boolean): void {
    this.#closing ||= forGood;
    for (const connection of this.#idle.splice(0)) connection.retire();
  }
}
