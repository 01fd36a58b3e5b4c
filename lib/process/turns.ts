// Things that are done one after the other, each once the one before has ended, however it ended.

export class Turns {
  #last: Promise<unknown> = Promise.resolve();

  /** Resolves once all have ended that were there when this was asked. Never rejects. */
  get last(): Promise<unknown> {
    return this.#last;
  }

  take<Result>(act: () => Promise<Result>): Promise<Result> {
    const done = this.#last.then(act);
    this.#last = done.catch(() => {});
    return done;
  }
}
