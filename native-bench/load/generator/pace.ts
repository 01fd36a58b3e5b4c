// What stands between when requests are sent and how: a pace decides the first, its clients do the second, and neither
// knows more of the other than this. Times are those of `performance.now()`.

/** One connection's worth of requests, one at a time. */
export interface Client {
  /**
   * Sends the next request, which was due at `dueMs`, over a new connection where there is none. Only while the client
   * is free: before its first request, and again each time it has told `Pace.free`.
   */
  begin(dueMs: number, nowMs: number): void;
  /** Drops the connection and what is under way; nothing is counted or told any more. */
  stop(): void;
}

/** Who decides when requests are sent. */
export interface Pace {
  /** The client's last request was answered or has failed, and it can be given the next. */
  free(client: Client, nowMs: number): void;
}

/** Runs a load over all clients and answers with the seconds that it took, once everything is over. */
export interface Run extends Pace {
  run(clients: readonly Client[]): Promise<number>;
}
