// Where words go: results to standard output, diagnostics to standard error, readable on a terminal and as JSON elsewhere.

import { createLog, escapeControls, LOG_LEVELS, type Log, type LogLevel } from '../base/log.ts';
import { didYouMean } from '../base/nearest.ts';
import { type ConfigError, formatConfigError } from '../config/error.ts';

/** What `--log` asked for; what it left open is decided by the terminal and the configuration. */
export interface LogChoice {
  readonly format?: 'text' | 'json';
  readonly level?: LogLevel;
}

/** Reads the value of `--log`: a format, a level, or both with a comma between them. */
export function readLogChoice(text: string | undefined): LogChoice | { fault: string } {
  let choice: LogChoice = {};
  for (const word of text?.split(',') ?? []) {
    if (word === 'text' || word === 'json') choice = { ...choice, format: word };
    else if ((LOG_LEVELS as readonly string[]).includes(word)) choice = { ...choice, level: word as LogLevel };
    else
      return {
        fault: `--log: "${word}" is not text, json or a level${didYouMean(word, ['text', 'json', ...LOG_LEVELS])}`,
      };
  }
  return choice;
}

/** The log of a running command on standard error. `level` holds when `--log` names none. */
export function openLog(choice: LogChoice, level: LogLevel): Log {
  ignoreBrokenPipes();
  const { stderr } = process;
  return createLog({
    level: choice.level ?? level,
    format: choice.format ?? (stderr.isTTY ? 'text' : 'json'),
    colours: stderr.isTTY && process.env['TERM'] !== 'dumb' && !process.env['NO_COLOR'],
    write: (line) => {
      // A reader that has stopped reading must cost lines, not memory.
      if (stderr.writableLength < MOST_WAITING_BYTES) stderr.write(line);
    },
    now: Date.now,
  });
}

/** Writes the faults of a configuration: one line each, or JSON lines that carry the place as fields as well. */
export function reportConfigErrors(errors: readonly ConfigError[], level: 'error' | 'warn', json: boolean): void {
  if (json) {
    const log = openLog({ format: 'json' }, 'warn');
    for (const { file, line, column, path, message } of errors) log[level](message, { file, line, column, path });
    return;
  }
  for (const error of errors) {
    const message = level === 'warn' ? `warning: ${error.message}` : error.message;
    process.stderr.write(`${formatConfigError({ ...error, message })}\n`);
  }
}

/** Writes a result. */
export function writeResult(text: string): void {
  ignoreBrokenPipes();
  process.stdout.write(text);
}

/** Says what is wrong with how the command was written. */
export function reportUsage(faults: readonly string[], help: string): void {
  for (const fault of faults) process.stderr.write(`millrace: ${escapeControls(fault)}\n`);
  process.stderr.write(`Try: ${help}\n`);
}

/** Says why a command could not do what it was asked to. */
export function reportFailure(fault: string): void {
  process.stderr.write(`millrace: ${escapeControls(fault)}\n`);
}

const MOST_WAITING_BYTES = 1024 * 1024;
let brokenPipesIgnored = false;

/** Without listeners, a reader that goes away (`millrace run 2>&1 | head`) would bring the proxy down. */
function ignoreBrokenPipes(): void {
  if (brokenPipesIgnored) return;
  brokenPipesIgnored = true;
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
}
