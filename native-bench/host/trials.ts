// What the programs that torment proxies side by side (chaos, lifecycle) have in common: which trials are asked for, what
// the proxies need besides their own lines, and the table at the end.

import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** Millrace's command line, from the sources. */
export const MAIN = fileURLToPath(new URL('../../lib/cli/main.ts', import.meta.url));

/** Where nginx keeps what it writes, as lines of its `http` block: nothing outside of the folder of the run. */
export function nginxPaths(folder: string): string {
  return ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((what) => `  ${what}_temp_path ${folder}/${what};`)
    .join('\n');
}

/** Those that the command line names, all by default; ends the process with 2 when it names one that there is not. */
export function wantedOf<Trial extends { readonly name: string }>(what: string, trials: readonly Trial[]): Trial[] {
  const wanted = process.argv.slice(2);
  const unknown = wanted.filter((name) => !trials.some((trial) => trial.name === name));
  if (unknown.length > 0) {
    console.error(`unknown ${what} ${unknown.join(', ')}; known: ${trials.map(({ name }) => name).join(', ')}`);
    process.exit(2);
  }
  return trials.filter(({ name }) => wanted.length === 0 || wanted.includes(name));
}

/** Those that this machine has; stderr says what is missing. */
export function presentOf<Proxy extends { readonly name: string; readonly command: string }>(
  proxies: readonly Proxy[],
): Proxy[] {
  return proxies.filter(({ name, command }) => {
    if (spawnSync(command, ['-v']).error === undefined) return true;
    console.error(`SKIPPED: ${name} is not installed`);
    return false;
  });
}

/** Columns as wide as they must be. */
export function formatTable(table: readonly (readonly string[])[]): string {
  const widths = table[0]!.map((_, column) => Math.max(...table.map((row) => (row[column] ?? '').length)));
  return table
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
