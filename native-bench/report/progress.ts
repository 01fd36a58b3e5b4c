// How far a run is, while it runs. On a terminal one live line below whatever is printed, elsewhere a plain line now and
// then. Knows the plan in seconds and what has begun; measures nothing.

import { plainText } from './wording.ts';

/** How long one scenario should take, in seconds, all peers and warm-ups included. */
export interface PlannedScenario {
  readonly scenario: string;
  readonly seconds: number;
}

export interface ProgressOptions {
  readonly stream: { write(text: string): unknown };
  /** Whether the stream is a terminal that obeys escape sequences. */
  readonly terminal: boolean;
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
  /** Columns of the terminal, asked at each redraw since a window may change. */
  readonly width: () => number;
  /** How often the live line moves by itself, in ms; 0 for only when something happens. 500 unless told. */
  readonly everyMs?: number;
}

export class Progress {
  readonly #options: ProgressOptions;
  #plan: readonly PlannedScenario[] = [];
  /** Place in the plan of what runs now; -1 before the first step. */
  #current = -1;
  #peer = '';
  #round = 0;
  #rounds = 0;
  #beganMs = 0;
  #scenarioBeganMs = 0;
  #drawnMs = Number.NEGATIVE_INFINITY;
  #shown = false;
  #running = false;
  #timer: NodeJS.Timeout | null = null;

  constructor(options: ProgressOptions) {
    this.#options = options;
  }

  /** Starts the clock on `plan`. */
  begin(plan: readonly PlannedScenario[]): void {
    this.#plan = plan;
    this.#current = -1;
    this.#running = true;
    this.#beganMs = this.#scenarioBeganMs = this.#options.now();
    const everyMs = this.#options.everyMs ?? EVERY_MS;
    if (!this.#options.terminal || everyMs === 0) return;
    this.#timer ??= setInterval(() => this.#redraw(), everyMs).unref();
  }

  /** A round of `peer` begins, 0 for its warm-up. What the plan does not have is not shown. */
  step(scenario: string, peer: string, round: number, rounds: number): void {
    if (!this.#running) return;
    const place = this.#plan.findIndex((planned) => planned.scenario === scenario);
    if (place < 0) return;
    const entered = place !== this.#current;
    if (entered) {
      this.#current = place;
      this.#scenarioBeganMs = this.#options.now();
    }
    this.#peer = plainText(peer);
    this.#round = round;
    this.#rounds = rounds;
    if (this.#options.terminal) this.#redraw();
    else this.#tell(entered);
  }

  /** Prints `text` for good, above the live line. */
  line(text: string): void {
    this.pause(() => this.#options.stream.write(`${text}\n`));
  }

  /** Takes the live line away while `print` writes to the same terminal by another way. */
  pause(print: () => void): void {
    this.#clear();
    print();
    this.#redraw();
  }

  /** The run is over: nothing is drawn any more, and no timer is left. */
  end(): void {
    this.#clear();
    this.#running = false;
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  #clear(): void {
    if (!this.#shown) return;
    this.#options.stream.write(CLEAR);
    this.#shown = false;
  }

  /** Ten times a second at most, however much happens: where it is left out, the timer makes up for it. */
  #redraw(): void {
    const { terminal, now, stream, width } = this.#options;
    if (!terminal || !this.#running || this.#current < 0) return;
    const nowMs = now();
    if (nowMs - this.#drawnMs < REDRAW_MS) return;
    this.#drawnMs = nowMs;
    this.#shown = true;
    // A line of the full width would wrap on some terminals, and could then not be taken back.
    stream.write(`${CLEAR}${this.#liveLine(nowMs, Math.max(0, width() - 1))}`);
  }

  #tell(entered: boolean): void {
    const nowMs = this.#options.now();
    if (!entered && nowMs - this.#drawnMs < TELL_MS) return;
    this.#drawnMs = nowMs;
    this.#options.stream.write(`${this.#parts(nowMs).join(', ')}\n`);
  }

  /** As much as fits: the bar goes first, then parts from the end. */
  #liveLine(nowMs: number, columns: number): string {
    const parts = this.#parts(nowMs);
    const text = parts.join(', ');
    const room = columns - text.length - 1;
    if (room >= LEAST_BAR) return `${bar(this.#shareDone(nowMs), Math.min(room, MOST_BAR))} ${text}`;
    while (parts.length > 1 && parts.join(', ').length > columns) parts.pop();
    return parts.join(', ').slice(0, columns);
  }

  #parts(nowMs: number): string[] {
    const scenario = this.#plan[this.#current]?.scenario ?? '';
    const round = this.#round === 0 ? 'warm-up' : `round ${this.#round}/${this.#rounds}`;
    const name = `${this.#current + 1}/${this.#plan.length} ${plainText(scenario)}`;
    return [name, this.#peer, round, leftText(this.#leftMs(nowMs))];
  }

  #leftMs(nowMs: number): number {
    const plannedMs = this.#plannedMs();
    const pace = this.#pace();
    const laterMs = this.#plan.slice(this.#current + 1).reduce((sum, { seconds }) => sum + seconds * 1000, 0);
    // Where the plan was too short the time that really passed says more.
    const wholeMs = Math.max(plannedMs * pace, nowMs - this.#scenarioBeganMs);
    return wholeMs * (1 - this.#scenarioShare(nowMs)) + laterMs * pace;
  }

  #shareDone(nowMs: number): number {
    const leftMs = this.#leftMs(nowMs);
    const passedMs = nowMs - this.#beganMs;
    return passedMs + leftMs === 0 ? 0 : passedMs / (passedMs + leftMs);
  }

  /** Share of the scenario at hand: by time, but never outside the round that has begun. */
  #scenarioShare(nowMs: number): number {
    const wholeMs = this.#plannedMs() * this.#pace();
    const byTime = wholeMs === 0 ? 0 : (nowMs - this.#scenarioBeganMs) / wholeMs;
    const least = this.#rounds === 0 ? 0 : (this.#round - 1) / this.#rounds;
    const most = this.#rounds === 0 ? 1 : Math.max(1, this.#round) / this.#rounds;
    return Math.min(Math.max(byTime, least, 0), most, MOST_SHARE);
  }

  /** How much longer than planned the scenarios took that are done: 1 as long as none is. */
  #pace(): number {
    const plannedMs = this.#plan
      .slice(0, Math.max(0, this.#current))
      .reduce((sum, { seconds }) => sum + seconds * 1000, 0);
    return plannedMs === 0 ? 1 : Math.max(LEAST_PACE, (this.#scenarioBeganMs - this.#beganMs) / plannedMs);
  }

  #plannedMs(): number {
    return (this.#plan[this.#current]?.seconds ?? 0) * 1000;
  }
}

const CLEAR = '\r\u001b[2K';
const REDRAW_MS = 100;
const EVERY_MS = 500;
const TELL_MS = 10_000;
const LEAST_BAR = 8;
const MOST_BAR = 32;
/** Never wholly done before its end: the last round takes as long as it takes. */
const MOST_SHARE = 0.99;
/** Scenarios that were left out take no time at all; the others will. */
const LEAST_PACE = 0.5;

function bar(share: number, columns: number): string {
  const done = Math.round(Math.min(1, Math.max(0, share)) * columns);
  return `${'━'.repeat(done)}${'─'.repeat(columns - done)}`;
}

function leftText(ms: number): string {
  const seconds = Math.ceil(ms / 1000);
  if (seconds < 100) return `${seconds} s left`;
  const minutes = Math.round(seconds / 60);
  return minutes < 100 ? `${minutes} min left` : `${(minutes / 60).toFixed(1)} h left`;
}
