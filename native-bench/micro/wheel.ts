// Deadlines: our wheel beside Node's timers and beside `socket.setTimeout`, which is what most servers use, while 10,000
// others are set. Node keeps one list for each duration, and all here have the same: its best case.

import { Socket } from 'node:net';
import { Timed, Wheel } from '../../lib/io/wheel.ts';
import { type Case, ours, type Subject, type Trial, theirs } from './subject.ts';

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
  const mine = new OurDeadlines();
  const { wheel, spare } = mine;
  const timers = new NodeDeadlines();
  return {
    name: 'set and forget, as for a new connection',
    cases: [
      ours(PER_RUN, {
        operate() {
          wheel.arm(spare, DEADLINE_MS);
          wheel.remove(spare);
          return wheel.size;
        },
        answer: () => mine.answer((entry) => wheel.remove(entry)),
      }),
      timeoutCase(timers),
    ],
    close() {
      mine.close();
      timers.close();
    },
  };
}

/** A deadline for one request on a connection that stays. */
function setAndClear(): Trial {
  const mine = new OurDeadlines();
  const { wheel, spare } = mine;
  const timers = new NodeDeadlines();
  const socket = new Socket();
  return {
    name: 'set and clear, as for a request',
    cases: [
      ours(PER_RUN, {
        operate(i) {
          if (i === 0) mine.tick();
          wheel.arm(spare, DEADLINE_MS);
          const { deadlineMs } = spare;
          wheel.disarm(spare);
          return deadlineMs;
        },
        answer: () => mine.answer((entry) => wheel.disarm(entry)),
      }),
      timeoutCase(timers),
      theirs(PER_RUN, 'socket.setTimeout', '', {
        operate() {
          socket.setTimeout(DEADLINE_MS);
          const timeout = socket.timeout!;
          socket.setTimeout(0);
          return timeout;
        },
        answer() {
          socket.setTimeout(DEADLINE_MS);
          const set = socket.timeout === DEADLINE_MS;
          socket.setTimeout(0);
          return [set, socket.timeout === 0];
        },
      }),
    ],
    close() {
      mine.close();
      timers.close();
      socket.destroy();
    },
  };
}

/** Connections show signs of life: 1,000 of 10,000 in each tick. */
function move(): Trial {
  const mine = new OurDeadlines();
  const { wheel, entries } = mine;
  const timers = new NodeDeadlines();
  const sockets = Array.from({ length: SET }, () => new Socket().setTimeout(DEADLINE_MS));
  let ourNext = 0;
  let timerNext = 0;
  let socketNext = 0;
  return {
    name: 'move, as for progress of a body',
    cases: [
      ours(PER_RUN, {
        operate(i) {
          if (i === 0) mine.tick();
          wheel.arm(entries[ourNext]!, DEADLINE_MS);
          ourNext = ourNext + 1 < SET ? ourNext + 1 : 0;
          return ourNext;
        },
        answer: () => mine.answer((entry) => wheel.disarm(entry)),
      }),
      theirs(
        PER_RUN,
        'timer.refresh()',
        'less: the turns of the loop that look after the lists are not counted, ours are',
        {
          operate() {
            timers.all[timerNext]!.refresh();
            timerNext = timerNext + 1 < SET ? timerNext + 1 : 0;
            return timerNext;
          },
          answer: () => timers.answer(),
        },
      ),
      theirs(PER_RUN, 'socket.setTimeout', 'less: as timer.refresh()', {
        operate() {
          sockets[socketNext]!.setTimeout(DEADLINE_MS);
          socketNext = socketNext + 1 < SET ? socketNext + 1 : 0;
          return socketNext;
        },
        answer: () => timers.answer(),
      }),
    ],
    close() {
      mine.close();
      timers.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

function timeoutCase(timers: NodeDeadlines): Case {
  return theirs(PER_RUN, 'setTimeout, clearTimeout', '', {
    operate() {
      clearTimeout(setTimeout(expired, DEADLINE_MS));
      return timers.all.length;
    },
    answer: () => timers.answer(),
  });
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
  readonly all: readonly NodeJS.Timeout[] = Array.from({ length: SET }, () => setTimeout(expired, DEADLINE_MS));

  /** As `OurDeadlines.answer`. Node tells whether a timer is set only in a field that its types leave out. */
  answer(): boolean[] {
    const timer = setTimeout(expired, DEADLINE_MS) as NodeJS.Timeout & { readonly _idleTimeout: number };
    const set = timer.refresh() === timer && timer._idleTimeout === DEADLINE_MS;
    clearTimeout(timer);
    return [set, timer._idleTimeout === -1];
  }

  close(): void {
    for (const timer of this.all) clearTimeout(timer);
  }
}

function expired(): void {}
