// Diagnostics: one line per message, for people on a terminal and as JSON elsewhere. Where the lines go, whether colours are
// wanted and what time it is are passed in. The access log is not this.

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const satisfies readonly LogLevel[];

/** Values that go with a message; an Error is written with its stack. */
export type LogFields = Readonly<Record<string, unknown>>;

export type LogFunction = (message: string, fields?: LogFields) => void;

/** Functions, not methods: they may be taken off and passed on. A disabled level is `disabledLevel`, which does nothing. */
export interface LogLevels {
  readonly debug: LogFunction;
  readonly info: LogFunction;
  readonly warn: LogFunction;
  readonly error: LogFunction;
}

export interface Log extends LogLevels {
  /**
   * The same log for a message that bad luck or malice could repeat without end: one line per `everyMs` for each key, and
   * how many were held back since as `suppressed` on the next one. Keys are constants of the code, not what clients send.
   */
  limited(key: string, everyMs: number): LogLevels;
}

export interface LogSetup {
  readonly level: LogLevel;
  readonly format: 'text' | 'json';
  readonly colours: boolean;
  /** Gets whole lines with their line feed. What it throws is dropped: a full disk must not stop the proxy. */
  readonly write: (line: string) => void;
  /** Wall-clock time in ms since 1970. */
  readonly now: () => number;
}

/** Takes a message of an enabled level. */
export type LogRelay = (level: LogLevel, message: string, fields: LogFields | undefined) => void;

/** The least that a log writes. */
export function levelOf(log: LogLevels): LogLevel {
  return LOG_LEVELS.find((level) => log[level] !== disabledLevel) ?? 'error';
}

export const disabledLevel: LogFunction = () => {};

/** Makes a log. None of its functions ever throws. */
export function createLog(setup: LogSetup): Log {
  return relayLog(setup.level, (level, message, fields) => emit(setup, level, message, fields), setup.now);
}

/** A log whose messages somebody else writes, who must not throw. */
export function relayLog(level: LogLevel, relay: LogRelay, now: () => number): Log {
  const levels = pickLevels(level, relay);
  const limits = new Map<string, LogLevels>();
  return {
    ...levels,
    limited(key, everyMs) {
      let found = limits.get(key);
      if (found === undefined) {
        // A caller that breaks the rule about constant keys costs messages, not memory.
        if (limits.size >= MOST_KEYS) return limits.values().next().value!;
        found = limitLevels(level, relay, now, everyMs);
        limits.set(key, found);
      }
      return found;
    },
  };
}

/**
 * Text with everything that could forge a line or drive a terminal written as escapes: C0 and C1 controls, DEL, line and
 * paragraph separators, the marks that reorder text, and lone surrogates.
 */
export function escapeControls(text: string): string {
  return text.toWellFormed().replace(UNSAFE, (unit) => {
    const code = unit.charCodeAt(0);
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16).padStart(4, '0')}`;
  });
}

const MOST_KEYS = 1024;
const LONGEST_TEXT = 8192;
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
const COLOURS: Record<LogLevel, string> = { debug: '\x1b[90m', info: '\x1b[36m', warn: '\x1b[33m', error: '\x1b[31m' };
const DIM = '\x1b[2m';
const PLAIN = '\x1b[0m';

function pickLevels(lowest: LogLevel, write: LogRelay): LogLevels {
  const from = LOG_LEVELS.indexOf(lowest);
  const level = (name: LogLevel): LogFunction =>
    LOG_LEVELS.indexOf(name) < from ? disabledLevel : (message, fields) => write(name, message, fields);
  return { debug: level('debug'), info: level('info'), warn: level('warn'), error: level('error') };
}

function limitLevels(lowest: LogLevel, relay: LogRelay, now: () => number, everyMs: number): LogLevels {
  let openAt = Number.NEGATIVE_INFINITY;
  let suppressed = 0;
  return pickLevels(lowest, (level, message, fields) => {
    const time = now();
    if (time < openAt) {
      suppressed++;
      return;
    }
    openAt = time + everyMs;
    const held = suppressed;
    suppressed = 0;
    relay(level, message, held === 0 ? fields : { ...fields, suppressed: held });
  });
}

function emit(setup: LogSetup, level: LogLevel, message: string, fields: LogFields | undefined): void {
  try {
    const line =
      setup.format === 'json' ? jsonLine(setup, level, message, fields) : textLine(setup, level, message, fields);
    setup.write(line);
  } catch {
    // A field with a throwing accessor or a broken stream: nothing is left to tell it to.
  }
}

function jsonLine(setup: LogSetup, level: LogLevel, message: string, fields: LogFields | undefined): string {
  const record: Record<string, unknown> = { time: new Date(setup.now()).toISOString(), level, message: clip(message) };
  for (const key in fields) {
    const name = key in record ? `${key}_` : key;
    record[name] = plain(fields[key]);
  }
  // JSON escapes C0 only; the rest would still drive a terminal that shows the file.
  return `${JSON.stringify(record).replace(UNSAFE, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)}\n`;
}

function textLine(setup: LogSetup, level: LogLevel, message: string, fields: LogFields | undefined): string {
  const time = new Date(setup.now()).toISOString().slice(11, 23);
  const name = level.padEnd(5);
  let line = setup.colours
    ? `${DIM}${time}${PLAIN} ${COLOURS[level]}${name}${PLAIN} ${escapeControls(clip(message))}`
    : `${time} ${name} ${escapeControls(clip(message))}`;
  let stack = '';
  for (const key in fields) {
    const value = fields[key];
    if (value === undefined) continue;
    if (value instanceof Error) {
      // The one value of several lines: each is indented, so that it cannot pass for a line of its own.
      stack += `${clip(value.stack ?? String(value))
        .split('\n')
        .map((part) => `\n    ${escapeControls(part)}`)
        .join('')}`;
      continue;
    }
    const text = shown(value);
    line += setup.colours ? ` ${DIM}${escapeControls(key)}=${PLAIN}${text}` : ` ${escapeControls(key)}=${text}`;
  }
  return `${line}${stack}\n`;
}

function shown(value: unknown): string {
  const simple = plain(value);
  const text = typeof simple === 'string' ? simple : (JSON.stringify(simple) ?? String(simple));
  return text === '' || (typeof simple === 'string' && /[\s"=]/.test(text))
    ? escapeControls(JSON.stringify(text))
    : escapeControls(text);
}

function plain(value: unknown): unknown {
  if (typeof value === 'string') return clip(value);
  if (typeof value === 'bigint' || typeof value === 'symbol' || typeof value === 'function') return String(value);
  if (typeof value === 'object' && value !== null) {
    if (value instanceof Error) return clip(value.stack ?? String(value));
    try {
      const text = JSON.stringify(value);
      return text.length > LONGEST_TEXT ? clip(text) : value;
    } catch {
      return '[unprintable]';
    }
  }
  return value;
}

function clip(text: string): string {
  return text.length > LONGEST_TEXT ? `${text.slice(0, LONGEST_TEXT)}... (${text.length} characters)` : text;
}
