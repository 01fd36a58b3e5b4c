// HAProxy from Debian, at layer 7 and layer 4.

import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findProgram } from '../../machine.ts';
import type { Located, Peer, Site } from '../../peer.ts';
import { fillTemplate } from '../../template.ts';

export const haproxy: Peer = {
  name: 'haproxy',
  about: 'one thread, http-reuse always; layer 4 in tcp mode',
  protocols: ['http', 'tcp'],
  locate(): Located {
    const command = findProgram('haproxy');
    if (command === null) return { missing: MISSING };
    const said = execFileSync(command, ['-v'], { encoding: 'utf8' });
    return { version: `HAProxy ${/version (\S+)/.exec(said)?.[1] ?? 'of unknown version'}` };
  },
  prepare({ folder, protocol, port, originPort }: Site) {
    const command = findProgram('haproxy');
    if (command === null) throw new Error(MISSING);
    const template = readFileSync(join(import.meta.dirname, `${protocol}.cfg`), 'utf8');
    const file = join(folder, 'haproxy.cfg');
    writeFileSync(file, fillTemplate(template, { PORT: port, ORIGIN_PORT: originPort }));
    // -db: stay in the foreground, one process.
    return { command, args: ['-db', '-f', file] };
  },
};

const MISSING = 'haproxy is not installed (Debian package haproxy)';
