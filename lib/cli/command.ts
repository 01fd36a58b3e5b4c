// What a command is: how it is written, which options it takes, and its arguments once they have been read. Every mistake in
// them is told at once.

import { parseArgs } from 'node:util';
import { didYouMean } from '../base/nearest.ts';

export const EXIT_FINE = 0;
export const EXIT_FAILED = 1;
export const EXIT_USAGE = 2;
/** It has done what it was told, and something that did not finish in time was cut off. */
export const EXIT_CUT = 3;

export interface OptionDescription {
  /** One letter, without its dash. */
  readonly short?: string;
  /** What its value is called in the help; without it the option is a switch. */
  readonly value?: string;
  readonly summary: string;
}

/** Arguments of a command, read and checked against its options. */
export interface Arguments {
  /** By long name. */
  readonly options: ReadonlyMap<string, string>;
  readonly operands: readonly string[];
}

export interface Command {
  readonly name: string;
  /** After the name, as in `FROM TO...`. */
  readonly usage: string;
  readonly summary: string;
  /** Paragraphs and examples below the summary. */
  readonly details: string;
  readonly options: Readonly<Record<string, OptionDescription>>;
  /** Fewest and most operands. */
  readonly operands: { readonly least: number; readonly most: number };
  /** Does the work; resolves to the exit code. */
  run(given: Arguments): Promise<number>;
}

/** The options that every command takes. */
export const COMMON_OPTIONS: Readonly<Record<string, OptionDescription>> = {
  help: { short: 'h', summary: 'show this help' },
};

export const LOG_OPTION: OptionDescription = {
  value: 'HOW',
  summary: 'text or json, and a level: debug, info, warn or error; --log json,debug for both',
};

/** Reads the arguments after a command's name, or says everything that is wrong with them. Values are not judged here. */
export function readArguments(command: Command, args: readonly string[]): Arguments | { faults: string[] } {
  const known = { ...command.options, ...COMMON_OPTIONS };
  const faults: string[] = [];
  const options = new Map<string, string>();
  const operands: string[] = [];
  const { tokens } = parseArgs({
    args: [...args],
    options: Object.fromEntries(
      Object.entries(known).map(([name, { short, value }]) => [
        name,
        { type: value === undefined ? 'boolean' : 'string', ...(short !== undefined && { short }) } as const,
      ]),
    ),
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  for (const token of tokens) {
    if (token.kind === 'positional') operands.push(token.value);
    if (token.kind !== 'option') continue;
    const description = Object.hasOwn(known, token.name) ? known[token.name] : undefined;
    if (description === undefined) {
      const long = token.rawName.startsWith('--');
      const meant = long ? didYouMean(token.name, Object.keys(known)).replace('"', '"--') : '';
      faults.push(`unknown option "${token.rawName}"${meant}`);
    } else if (description.value === undefined) {
      if (token.value !== undefined) faults.push(`${token.rawName} takes no value`);
      options.set(token.name, '');
    } else if (token.value === undefined || token.value === '' || (!token.inlineValue && token.value.startsWith('-'))) {
      faults.push(`${token.rawName} needs a value: ${token.rawName} ${description.value}`);
    } else if (options.has(token.name)) {
      faults.push(`${token.rawName} is given twice`);
    } else options.set(token.name, token.value);
  }
  const { least, most } = command.operands;
  if (!options.has('help') && (operands.length < least || operands.length > most)) {
    const extra = operands.length > most ? `unexpected argument "${operands[most]}"` : 'too few arguments';
    faults.push(`${extra}; write: ${usageLine(command)}`);
  }
  return faults.length > 0 ? { faults } : { options, operands };
}

/** `millrace http FROM TO... [options]`. */
export function usageLine(command: Command): string {
  return ['millrace', command.name, command.usage].filter((part) => part !== '').join(' ');
}

/** What `--help` prints for one command. */
export function commandHelp(command: Command): string {
  const rows = Object.entries({ ...command.options, ...COMMON_OPTIONS }).map(
    ([name, { short, value, summary }]): [string, string] => [
      `${short === undefined ? '    ' : `-${short}, `}--${name}${value === undefined ? '' : ` ${value}`}`,
      summary,
    ],
  );
  const details = command.details === '' ? '' : `\n${command.details.trim()}\n`;
  return `Usage: ${usageLine(command)}\n\n${sentence(command.summary)}\n${details}\nOptions:\n${table(rows)}`;
}

/** Two columns, indented. */
export function table(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}\n`).join('');
}

function sentence(text: string): string {
  return `${text[0]?.toUpperCase() ?? ''}${text.slice(1)}.`;
}
