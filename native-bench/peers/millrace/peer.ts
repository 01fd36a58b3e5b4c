// Millrace as a peer like any other: started by its own command, configured by a file, with nothing that a user could
// not write. MILLRACE_MAIN names another main program (a bundle, another checkout) to measure instead of this one.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Located, Peer, Site } from '../../peer.ts';
import { fillTemplate } from '../../template.ts';

export const millrace: Peer = {
  name: 'millrace',
  about: 'default settings, one event loop, errors alone logged, no access log',
  protocols: ['http', 'tcp'],
  locate(): Located {
    const main = mainProgram();
    if (!existsSync(main)) return { missing: `${main} does not exist` };
    const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
    return { version: `Millrace ${version} on Node ${process.version}` };
  },
  prepare({ folder, protocol, port, originPort }: Site) {
    const template = readFileSync(join(import.meta.dirname, `${protocol}.yaml`), 'utf8');
    const file = join(folder, 'millrace.yaml');
    writeFileSync(file, fillTemplate(template, { PORT: port, ORIGIN_PORT: originPort }));
    return { command: process.execPath, args: [mainProgram(), 'run', '-c', file] };
  },
};

const ROOT = join(import.meta.dirname, '../../..');

function mainProgram(): string {
  return process.env['MILLRACE_MAIN'] || join(ROOT, 'lib/cli/main.ts');
}
