// `millrace reload`: a running proxy reads its configuration anew, or tells what that would change.

import type { ReloadResult } from '../admin/control.ts';
import type { Change } from '../config/compare.ts';
import { ADMIN_OPTION, refusedByAdmin, withAdmin } from './admin-client.ts';
import { type Command, EXIT_FINE, EXIT_USAGE } from './command.ts';
import { reportFailure, writeResult } from './output.ts';

/** Checking a large configuration and preparing it takes its time. */
const PATIENCE_MS = 60_000;

export const reloadCommand: Command = {
  name: 'reload',
  usage: '[--plan] [--json] [--admin ADDRESS]',
  summary: 'lets a running proxy read its configuration anew and go over to it, all or nothing',
  details: `
Nobody is cut off: exchanges finish under what they began with, and listeners, clusters and connections that have not
changed stay as they are. A configuration with errors changes nothing; they are printed, and the exit code is 2.`,
  options: {
    plan: { summary: 'only tell what would change, and what that does to what is open' },
    json: { summary: 'as JSON' },
    admin: ADMIN_OPTION,
  },
  operands: { least: 0, most: 0 },
  run: (given) =>
    withAdmin('reload', given, async (ask) => {
      const plan = given.options.has('plan');
      const answer = await ask('POST', '/v1/reload', { plan }, PATIENCE_MS);
      const result = answer.body as Partial<ReloadResult> | undefined;
      if ('fault' in answer && result?.errors === undefined) return refusedByAdmin(answer);
      const { errors = [], warnings = [], changes = [], generation = 0 } = result ?? {};
      if (given.options.has('json')) writeResult(`${JSON.stringify(result, null, 2)}\n`);
      for (const line of [...errors, ...warnings.map((warning) => `warning: ${warning}`)]) reportFailure(line);
      if (errors.length > 0) return EXIT_USAGE;
      if (!given.options.has('json')) writeResult(describe(changes, plan, generation));
      return EXIT_FINE;
    }),
};

function describe(changes: readonly Change[], plan: boolean, generation: number): string {
  if (changes.length === 0) return 'nothing has changed\n';
  const lines = changes.map(({ kind, name, what, values, effect }) => {
    const told = values.map(({ key, before, after }) => (before === '' ? key : `${key}: ${before} -> ${after}`));
    const which = told.length > 0 ? ` (${told.join(', ')})` : '';
    return `${what.padEnd(7)}  ${kind} ${name}${which}: ${effect}`;
  });
  const end = plan ? 'this was a plan: nothing has changed yet' : `reloaded: configuration ${generation} serves`;
  return [...lines, end].map((line) => `${line}\n`).join('');
}
