// What all proxies on Node have in common: the same runtime, the same way to start, and the probe of their garbage
// collector, so that they differ in nothing but themselves.

import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { Launch } from '../host/scope.ts';
import type { Located, Site } from './peer.ts';

/** How to start `script` on Node with the probe in it. Throws when more than one worker is wanted: others have none. */
export function launchNode(script: string, args: readonly string[], site: Site): Omit<Launch, 'cores'> {
  if (site.workers > 1) throw new Error('has one event loop, and no workers of its own');
  return launchThreads(script, args, site);
}

/** The same for a program that has worker threads of its own. */
export function launchThreads(script: string, args: readonly string[], site: Site): Omit<Launch, 'cores'> {
  return {
    command: process.execPath,
    args: ['--import', PROBE, script, ...args],
    env: { NODE_ENV: 'production', MILLRACE_BENCH_PROBE: join(site.folder, 'probe.sock') },
  };
}

/** Version of an npm package as installed here, or how to install it. */
export function locatePackage(name: string): Located {
  // Not every package lets its package.json be required.
  for (const folder of createRequire(import.meta.url).resolve.paths(name) ?? []) {
    const file = join(folder, name, 'package.json');
    if (!existsSync(file)) continue;
    const { version } = JSON.parse(readFileSync(file, 'utf8')) as { version: string };
    return { version: `${name} ${version} on Node ${process.version}` };
  }
  return { missing: `${name} is not installed (npm ci)` };
}

const PROBE = join(import.meta.dirname, '../host/gc-probe.ts');
