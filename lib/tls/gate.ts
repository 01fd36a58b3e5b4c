// Handshakes in flight: a handshake costs as much as a dozen requests, so only a few begin in one turn of the event loop
// and live traffic gets its turns between them; whoever waits does so in order, and there is a cap on all of them.

/** Handshakes begun in one turn: about a millisecond of work. */
const PER_TURN = 4;

export interface Waiting {
  /** Its turn has come. Answers false when it is gone meanwhile, and then another one goes. */
  begin(): boolean;
}

export class HandshakeGate {
  /** Begun and not over, and waiting to begin. */
  inFlight = 0;
  readonly #most: number;
  readonly #waiting: Waiting[] = [];
  #first = 0;
  #begun = 0;
  #pumping = false;

  /** `most` in flight; 0 sets no limit. */
  constructor(most: number) {
    this.#most = most;
  }

  /** Lets `handshake` begin, now or soon; false: there are too many. Who was let in must `leave`, once. */
  enter(handshake: Waiting): boolean {
    if (this.#most > 0 && this.inFlight >= this.#most) return false;
    this.inFlight++;
    if (this.#begun < PER_TURN) {
      this.#begun++;
      this.#pumpLater();
      handshake.begin();
    } else this.#waiting.push(handshake);
    return true;
  }

  leave(): void {
    this.inFlight--;
  }

  #pumpLater(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    setImmediate(pump, this);
  }

  /** Once a turn, for as long as somebody waits. */
  pump(): void {
    this.#pumping = false;
    this.#begun = 0;
    while (this.#begun < PER_TURN && this.#first < this.#waiting.length) {
      const next = this.#waiting[this.#first]!;
      this.#first++;
      if (next.begin()) this.#begun++;
    }
    if (this.#first === this.#waiting.length) {
      this.#waiting.length = 0;
      this.#first = 0;
    } else if (this.#first > 1024) {
      this.#waiting.splice(0, this.#first);
      this.#first = 0;
    }
    if (this.#begun > 0) this.#pumpLater();
  }
}

function pump(gate: HandshakeGate): void {
  gate.pump();
}
