// Caddy from Debian, at layer 7. Its worker count is the number of threads that Go may run at once.

import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readAsset } from '../../../lib/base/asset.ts';
import { findProgram } from '../../host/machine.ts';
import { type Located, type Peer, ROUTES, type Setup } from '../peer.ts';
import { fillTemplate } from '../template.ts';

export const caddy: Peer = {
  name: 'caddy',
  about: 'reverse_proxy with upstream keep-alive, GOMAXPROCS at the number of workers',
  setups: ['http', 'http-routes', 'websocket'],
  node: false,
  locate(): Located {
    const command = findProgram('caddy');
    if (command === null) return { missing: MISSING };
    const said = execFileSync(command, ['version'], { encoding: 'utf8' });
    return { version: `Caddy ${/^v?(\S+)/.exec(said)?.[1] ?? 'of unknown version'}` };
  },
  prepare({ folder, setup, port, originPort, workers }) {
    const template = readAsset('native-bench/peers/caddy/Caddyfile');
    const file = join(folder, 'Caddyfile');
    const values = { FOLDER: folder, PORT: port, ORIGIN_PORT: originPort, HANDLERS: handlers(setup) };
    writeFileSync(file, fillTemplate(template, values));
    const command = findProgram('caddy');
    if (command === null) throw new Error(MISSING);
    return {
      command,
      args: ['run', '--config', file, '--adapter', 'caddyfile'],
      // It would keep things in the user's home otherwise.
      env: { GOMAXPROCS: String(workers), HOME: folder, XDG_CONFIG_HOME: folder, XDG_DATA_HOME: folder },
    };
  },
};

const MISSING = 'caddy is not installed (Debian package caddy)';

/** WebSocket needs nothing: reverse_proxy passes upgrades on by itself. */
function handlers(setup: Setup): string {
  if (setup !== 'http-routes') return '\timport origin';
  const paths = Array.from({ length: ROUTES }, (_, route) => `/service-${route}/*`);
  return paths.map((path) => `\thandle ${path} {\n\t\timport origin\n\t}`).join('\n');
}
