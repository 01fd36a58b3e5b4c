// Connections of one endpoint: how many are open, and the idle ones, most recently used first so that the rest can grow
// old and be closed. Knows nothing of HTTP: what is kept is anything that can be reused or retired.

/** What a pool keeps. */
export interface Poolable {
  /** Not wanted any more: close. Must lead to `Pool.closed` sooner or later. */
  retire(): void;
}

/** A connection that serves several exchanges at a time. */
export interface Shareable extends Poolable {
  /** Whether it takes one more. */
  readonly roomy: boolean;
  /** Whether it serves nobody at present. */
  readonly vacant: boolean;
}

/** A dial that several wait for. */
export interface Joinable {
  /** Whether one more may wait for it. */
  readonly roomy: boolean;
}

export class Pool {
  /** The dial that whoever comes meanwhile can wait for, as its connection will serve several. */
  gathering: Joinable | null = null;
  /** Whether the last connection has turned out to serve one at a time, where it might have served several. */
  single = false;
  /** Counts up when the connections so far are not to be used again. */
  era = 0;
  /** Open connections, idle ones and those being dialed included. */
  open = 0;
  /** Of these, who serve nobody new and end with what they have. They may last as long as a stream does. */
  leaving = 0;
  readonly #idle: Poolable[] = [];
  /** Those that serve several at a time, the oldest first so that the others can grow old. */
  readonly #shared: Shareable[] = [];
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
    return this.#idle.length > 0 || this.roomy || this.share() !== null || this.gathering?.roomy === true;
  }

  /** Whether one could have a connection alone: something idle, room for one more, or one in whose place it may come. */
  get spare(): boolean {
    return this.#idle.length > 0 || this.roomy || this.#vacant() !== null;
  }

  /** Whether an exchange could begin now, or what wants a connection `alone`. */
  offers(alone: boolean): boolean {
    return alone ? this.spare : this.available;
  }

  /** Whether one more connection may be opened. */
  get roomy(): boolean {
    // Nobody waits for the end of those that are leaving.
    return this.#openMax === 0 || this.open - this.leaving < this.#openMax;
  }

  get idle(): number {
    return this.#idle.length;
  }

  /** A connection that takes one more exchange beside those that it serves, or null. */
  share(): Shareable | null {
    for (const connection of this.#shared) if (connection.roomy) return connection;
    return null;
  }

  #vacant(): Shareable | null {
    for (const connection of this.#shared) if (connection.vacant) return connection;
    return null;
  }

  /** Retires one that is kept for later, for something that is wanted now; that is to be counted first. */
  yield(): void {
    (this.take() ?? this.#vacant())?.retire();
  }

  /** From now on this one serves several at a time. */
  admit(connection: Shareable): void {
    if (this.#closing) connection.retire();
    else this.#shared.push(connection);
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
    if (this.#shared.length > 0) this.#forget(connection as Shareable);
  }

  /** It serves nobody new, though it is still open; `left` is to follow once it is not. */
  leave(connection: Shareable): void {
    this.leaving++;
    this.#forget(connection);
  }

  /** One that was leaving is gone. */
  left(): void {
    this.leaving--;
    this.open--;
  }

  #forget(connection: Shareable): void {
    const at = this.#shared.indexOf(connection);
    if (at >= 0) this.#shared.splice(at, 1);
  }

  /** Connections so far serve nobody new: those that are busy retire by themselves, since they are of an earlier era. */
  renew(): void {
    this.era++;
    this.empty(false);
    for (const connection of this.#shared.splice(0)) connection.retire();
  }

  /** Retires what is idle; with `forGood` also whatever is given back later. */
  empty(forGood: boolean): void {
    this.#closing ||= forGood;
    for (const connection of this.#idle.splice(0)) connection.retire();
    if (forGood) for (const connection of this.#shared.splice(0)) connection.retire();
  }
}
