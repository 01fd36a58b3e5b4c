// Starts the common origin: nginx, which is known to be quick and is not ours. Small reply, 1 MiB reply, a sink for
// POSTs that reads the whole body, and a look at the headers that arrived.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { accepting, freePort, lastWords } from '../peer.ts';
import { launchNginx } from '../peers/nginx/peer.ts';
import type { Scope } from '../scope.ts';
import { fillTemplate } from '../template.ts';

/** Starts the origin on `cores`, one worker each, and returns its loopback port. Throws with what it said otherwise. */
export async function startOrigin(scope: Scope, cores: readonly number[]): Promise<number> {
  const folder = scope.folder();
  const port = await freePort();
  mkdirSync(join(folder, 'files'));
  writeFileSync(join(folder, 'files/1m'), Buffer.alloc(1_048_576, LETTERS));
  const template = readFileSync(join(import.meta.dirname, 'nginx.conf'), 'utf8');
  const values = { FOLDER: folder, PORT: port, WORKERS: Math.max(cores.length, 1), SMALL: SMALL_REPLY };
  const launch = launchNginx(folder, fillTemplate(template, values));
  const child = scope.start('origin', { ...launch, cores });
  if (!(await accepting(child, port))) throw new Error(`the origin did not start: ${lastWords(child)}`);
  return port;
}

const LETTERS = 'abcdefghijklmnopqrstuvwxyz';
const SMALL_REPLY = LETTERS.repeat(5).slice(0, 129);
