// Which configuration file a command works on, and reading it with every fault reported.

import { existsSync } from 'node:fs';
import type { ReadResult } from '../config/read.ts';
import { loadConfiguration } from '../config/read.ts';
import type { Arguments, OptionDescription } from './command.ts';

export const CONFIG_OPTION: OptionDescription = {
  short: 'c',
  value: 'FILE',
  summary: 'the configuration (default ./millrace.yaml, then ./millrace.config.ts)',
};

/** The file to read: named by `-c`, else the first default that is there. */
export function chooseFile(given: Arguments): { file: string } | { fault: string } {
  const named = given.options.get('config');
  if (named !== undefined) return { file: named };
  const found = DEFAULT_FILES.find((file) => existsSync(file));
  if (found !== undefined) return { file: found };
  return { fault: `there is no ${DEFAULT_FILES.join(' or ')} here; name a configuration with -c FILE` };
}

/** Reads a configuration with this process's environment. */
export function readFileOf(file: string): Promise<ReadResult> {
  return loadConfiguration(file, process.env);
}

const DEFAULT_FILES = ['./millrace.yaml', './millrace.config.ts'];
