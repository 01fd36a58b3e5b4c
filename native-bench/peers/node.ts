// What all proxies on Node have in common: the same runtime, the same way to start, and the probe of their garbage
// collector, so that they differ in nothing but themselves.

import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { BUNDLED, callProgram, callWithin, fileOf } from '../../lib/base/asset.ts';
import type { Launch } from '../host/scope.ts';
import type { Located, Site } from './peer.ts';

/**
 * How to start `program` (see lib/base/asset.ts) on Node with the probe in it. Throws when more than one worker is wanted
 * and the program has none (`threaded`).
 */
export function launchNode(
  program: string,
  args: readonly string[],
  site: Site,
  threaded = false,
): Omit<Launch, 'cores'> {
  if (site.workers > 1 && !threaded) throw new Error('has one event loop, and no workers of its own');
  return { ...callProgram(program, args, PROBE), env: probed(site) };
}

/** The same for a file that is not this program's own: a script, or an executable of Millrace. */
export function launchFile(file: string, args: readonly string[], site: Site): Omit<Launch, 'cores'> {
  if (!isScript(file)) {
    return { command: file, args: callWithin('lib/cli/main', args, PROBE), env: probed(site) };
  }
  return { command: process.execPath, args: ['--import', fileOf(PROBE), file, ...args], env: probed(site) };
}

/** Whether a file needs a Node to run it, which the executable does not have. */
export function isScript(file: string): boolean {
  return /\.[cm]?[jt]s$/.test(file);
}

/** Version of an npm package as installed here, or how to install it. */
export function locatePackage(name: string): Located {
  if (BUNDLED) return { missing: `${name} is an npm package: it is measured from a checkout of Millrace` };
  // Not every package lets its package.json be required.
  for (const folder of createRequire(import.meta.url).resolve.paths(name) ?? []) {
    const file = join(folder, name, 'package.json');
    if (!existsSync(file)) continue;
    const { version } = JSON.parse(readFileSync(file, 'utf8')) as { version: string };
    return { version: `${name} ${version} on Node ${process.version}` };
  }
  return { missing: `${name} is not installed (npm ci)` };
}

const PROBE = 'native-bench/host/gc-probe';

function probed({ folder }: Site): Record<string, string> {
  return { NODE_ENV: 'production', MILLRACE_BENCH_PROBE: join(folder, 'probe.sock') };
}
