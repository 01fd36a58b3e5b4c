// The log that all event loops write to. What several of them say alike, such as that a certificate was replaced, is written
// once: that there are several is nothing that whoever reads the log wants to be told each time.

import { type Log, type LogFields, type LogLevel, levelOf, relayLog } from '../base/log.ts';

/** What another says alike within this time is the same message. */
const ALIKE_MS = 2000;
/** Messages remembered; more of them within that time are too many to be told apart. */
const MOST_REMEMBERED = 512;

interface Saying {
  readonly atMs: number;
  /** Who has said it. */
  readonly voices: Set<number>;
}

export class Chorus {
  readonly #log: Log;
  readonly #now: () => number;
  readonly #sayings = new Map<string, Saying>();

  /** `now`: a clock in ms that never goes back. */
  constructor(log: Log, now: () => number = () => performance.now()) {
    this.#log = log;
    this.#now = now;
  }

  /** The log of one of those who say the same things; `voice` tells them apart. */
  voice(voice: number): Log {
    return relayLog(levelOf(this.#log), (level, message, fields) => this.say(voice, level, message, fields), Date.now);
  }

  say(voice: number, level: LogLevel, message: string, fields: LogFields | undefined): void {
    if (this.#isHeard(voice, `${level} ${message} ${textOf(fields)}`)) this.#log[level](message, fields);
  }

  /** Whether this is to be written: nobody else has said it a moment ago, or this one says it again. */
  #isHeard(voice: number, text: string): boolean {
    const now = this.#now();
    const known = this.#sayings.get(text);
    if (known !== undefined && now - known.atMs < ALIKE_MS && !known.voices.has(voice)) {
      known.voices.add(voice);
      return false;
    }
    // The oldest stands first, since each is put at the end anew.
    this.#sayings.delete(text);
    this.#sayings.set(text, { atMs: now, voices: new Set([voice]) });
    for (const [old, { atMs }] of this.#sayings) {
      if (this.#sayings.size <= MOST_REMEMBERED && now - atMs < ALIKE_MS) break;
      this.#sayings.delete(old);
    }
    return true;
  }
}

function textOf(fields: LogFields | undefined): string {
  try {
    return JSON.stringify(fields, (_, value) => (value instanceof Error ? value.message : value)) ?? '';
  } catch {
    // What cannot be written as text is like nothing else.
    return `${Math.random()}`;
  }
}
