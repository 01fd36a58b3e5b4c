// The licences of everything that is inside the executable, for whoever passes it on. To stdout.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '..');
const { name, version, dependencies } = manifestOf(ROOT);

tell(`${name} ${version}`, licenceIn(ROOT));
for (const name of Object.keys(dependencies ?? {}).sort()) {
  const folder = join(ROOT, 'node_modules', name);
  tell(`${name} ${manifestOf(folder).version}`, licenceIn(folder));
}
const runtime = manifestOf(join(ROOT, 'node_modules/node')).version;
tell(`Node.js ${runtime}`, `https://github.com/nodejs/node/blob/v${runtime}/LICENSE\n`);

function tell(what: string, licence: string): void {
  process.stdout.write(`${what}\n${'='.repeat(what.length)}\n\n${licence.trim()}\n\n\n`);
}

function licenceIn(folder: string): string {
  const file = readdirSync(folder).find((one) => /^licen[cs]e/i.test(one));
  if (file === undefined) throw new Error(`${folder} has no licence`);
  return readFileSync(join(folder, file), 'utf8');
}

function manifestOf(folder: string): { name: string; version: string; dependencies?: Record<string, string> } {
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
}
