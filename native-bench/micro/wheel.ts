// Deadlines: our wheel beside Node's timers and beside `socket.setTimeout`, which is what most servers use, while 10,000
// others are set. Node keeps one list for each duration, and all here have the same: its best case.

import { Socket } from 'node:net';
import { Timed, Wheel } from '../../lib/io/wheel.ts';
import type { Case, Subject, Trial } from './subject.ts';

export const wheel: Subject = {
  name: 'wheel',
  about: `set, move and clear one deadline while ${(10_000).toLocaleString('en')} are set`,
  prepare: () => [setAndForget(), setAndClear(), move()],
};

const SET = 10_000;
const PER_RUN = 1_000;
const DEADLINE_MS = 60_000;
const TICK_MS = 100;

/** Sets itself anew when it passes, so that the number of those that are set stays as it is. */
class Deadline extends Timed {
  readonly #wheel: Wheel;

  constructor(wheel: Wheel) {
    super();
    this.#wheel = wheel;
  }

  expire(): void {
    this.#wheel.arm(this, DEADLINE_MS);
  }
}

/** A connection comes and goes. */
function setAndForget(): Trial {
  const ours = new OurDeadlines();
  const theirs = new NodeDeadlines();
  return {
    name: 'set and forget, as for a new connection',
    cases: [
      {
        name: 'millrace',
        ours: true,
        note: '',
        perRun: PER_RUN,
        run() {
          const { wheel, spare } = ours;
          for (let i = 0; i < PER_RUN; i++) {
            wheel.arm(spare, DEADLINE_MS);
            wheel.remove(spare);
          }
          return wheel.size;
        },
        answer: () => ours.answer((entry) => ours.wheel.remove(entry)),
      },
      timeoutCase(theirs),
    ],
    close() {
      ours.close();
      theirs.close();
    },
  };
}

/** A deadline for one request on a connection that stays. */
function setAndClear(): Trial {
  const ours = new OurDeadlines();
  const theirs = new NodeDeadlines();
  const socket = new Socket();
  return {
    name: 'set and clear, as for a request',
    cases: [
      {
        name: 'millrace',
        ours: true,
        note: '',
        perRun: PER_RUN,
        run() {
          const { wheel, spare } = ours;
          let sum = 0;
          for (let i = 0; i < PER_RUN; i++) {
            wheel.arm(spare, DEADLINE_MS);
            sum += spare.deadlineMs;
            wheel.disarm(spare);
          }
          ours.tick();
          return sum;
        },
        answer: () => ours.answer((entry) => ours.wheel.disarm(entry)),
      },
      timeoutCase(theirs),
      {
        name: 'socket.setTimeout',
        ours: false,
        note: '',
        perRun: PER_RUN,
        run() {
          let sum = 0;
          for (let i = 0; i < PER_RUN; i++) {
            socket.setTimeout(DEADLINE_MS);
            sum += socket.timeout!;
            socket.setTimeout(0);
          }
          return sum;
        },
        answer() {
          socket.setTimeout(DEADLINE_MS);
          const set = socket.timeout === DEADLINE_MS;
          socket.setTimeout(0);
          return [set, socket.timeout === 0];
        },
      },
    ],
    close() {
      ours.close();
      theirs.close();
      socket.destroy();
    },
  };
}

/** Connections show signs of life: 1,000 of 10,000 in each tick. */
function move(): Trial {
  const ours = new OurDeadlines();
  const theirs = new NodeDeadlines();
  const sockets = Array.from({ length: SET }, () => new Socket().setTimeout(DEADLINE_MS));
  let ourNext = 0;
  let theirNext = 0;
  let socketNext = 0;
  return {
    name: 'move, as for progress of a body',
    cases: [
      {
        name: 'millrace',
        ours: true,
        note: '',
        perRun: PER_RUN,
        run() {
          const { wheel, entries } = ours;
          for (let i = 0; i < PER_RUN; i++) {
            wheel.arm(entries[ourNext]!, DEADLINE_MS);
            ourNext = ourNext + 1 < SET ? ourNext + 1 : 0;
          }
          ours.tick();
          return wheel.nowMs;
        },
        answer: () => ours.answer((entry) => ours.wheel.disarm(entry)),
      },
      {
        name: 'timer.refresh()',
        ours: false,
        note: 'less: the turns of the loop that look after the lists are not counted, ours are',
        perRun: PER_RUN,
        run() {
          for (let i = 0; i < PER_RUN; i++) {
            theirs.timers[theirNext]!.refresh();
            theirNext = theirNext + 1 < SET ? theirNext + 1 : 0;
          }
          return theirNext;
        },
        answer: () => theirs.answer(),
      },
      {
        name: 'socket.setTimeout',
        ours: false,
        note: 'less: as timer.refresh()',
        perRun: PER_RUN,
        run() {
          for (let i = 0; i < PER_RUN; i++) {
            sockets[socketNext]!.setTimeout(DEADLINE_MS);
            socketNext = socketNext + 1 < SET ? socketNext + 1 : 0;
          }
          return socketNext;
        },
        answer: () => theirs.answer(),
      },
    ],
    close() {
      ours.close();
      theirs.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

function timeoutCase(theirs: NodeDeadlines): Case {
  return {
    name: 'setTimeout, clearTimeout',
    ours: false,
    note: '',
    perRun: PER_RUN,
    run() {
      for (let i = 0; i < PER_RUN; i++) clearTimeout(setTimeout(expired, DEADLINE_MS));
      return theirs.timers.length;
    },
    answer: () => theirs.answer(),
  };
}

/** A wheel with its own time, so that a minute of it passes in no time. */
class OurDeadlines {
  readonly wheel: Wheel;
  readonly entries: readonly Deadline[];
  readonly spare: Deadline;
  #nowMs = 0;

  constructor() {
    this.wheel = new Wheel(() => this.#nowMs);
    this.spare = new Deadline(this.wheel);
    this.entries = Array.from({ length: SET }, () => {
      const entry = new Deadline(this.wheel);
      this.wheel.arm(entry, DEADLINE_MS);
      return entry;
    });
  }

  tick(): void {
    this.#nowMs += TICK_MS;
    this.wheel.turn();
  }

  /** Whether a deadline is set once it is armed, and not any more after `clear`. */
  answer(clear: (entry: Deadline) => void): boolean[] {
    this.wheel.arm(this.spare, DEADLINE_MS);
    const set = this.spare.deadlineMs > 0;
    clear(this.spare);
    return [set, this.spare.deadlineMs === 0];
  }

  close(): void {
    for (const entry of [...this.entries, this.spare]) this.wheel.remove(entry);
    // With nothing left to wait for a turn stops its timer.
    this.wheel.turn();
  }
}

/** They keep the loop alive, as those of a server with open sockets do: `close` lets it go. */
class NodeDeadlines {
  readonly timers: readonly NodeJS.Timeout[] = Array.from({ length: SET }, () => setTimeout(expired, DEADLINE_MS));

  /** As `OurDeadlines.answer`. Node tells whether a timer is set only in a field that its types leave out. */
  answer(): boolean[] {
    const timer = setTimeout(expired, DEADLINE_MS) as NodeJS.Timeout & { readonly _idleTimeout: number };
    const set = timer.refresh() === timer && timer._idleTimeout === DEADLINE_MS;
    clearTimeout(timer);
    return [set, timer._idleTimeout === -1];
  }

  close(): void {
    for (const timer of this.timers) clearTimeout(timer);
  }
}

function expired(): void {}
