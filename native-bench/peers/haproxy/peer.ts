// HAProxy from Debian, at layer 7 and layer 4.

import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readAsset } from '../../../lib/base/asset.ts';
import { findProgram } from '../../host/machine.ts';
import { writeCertificate } from '../certificate.ts';
import { ALPN, CIPHERSUITES, isSecure, type Located, type Peer, ROUTES, type Setup, type Site } from '../peer.ts';
import { fillTemplate } from '../template.ts';

export const haproxy: Peer = {
  name: 'haproxy',
  about: 'one thread, http-reuse always, routes in a map file; layer 4 in tcp mode',
  setups: ['http', 'http-routes', 'websocket', 'tcp', 'https', 'h2'],
  node: false,
  locate(): Located {
    const command = findProgram('haproxy');
    if (command === null) return { missing: MISSING };
    const said = execFileSync(command, ['-v'], { encoding: 'utf8' });
    return { version: `HAProxy ${/version (\S+)/.exec(said)?.[1] ?? 'of unknown version'}` };
  },
  prepare(site) {
    const file = join(site.folder, 'haproxy.cfg');
    writeFileSync(file, configuration(site));
    const command = findProgram('haproxy');
    if (command === null) throw new Error(MISSING);
    // -db: stay in the foreground, one process.
    return { command, args: ['-db', '-f', file] };
  },
};

const MISSING = 'haproxy is not installed (Debian package haproxy)';

/** WebSocket needs nothing: once the origin has switched protocols, the connection is a tunnel. */
function configuration({ folder, setup, port, originPort, workers }: Site): string {
  const values = { PORT: port, ORIGIN_PORT: originPort, WORKERS: workers };
  if (setup === 'tcp') return fillTemplate(read('tcp.cfg'), values);
  return fillTemplate(read('http.cfg'), {
    ...values,
    ...tls(folder, setup),
    BACKEND: backend(folder, setup === 'http-routes'),
  });
}

/** Tickets are on by default, and so is the order of ciphers being ours. */
function tls(folder: string, setup: Setup): Record<'GLOBAL' | 'TLS' | 'SCHEME', string> {
  if (!isSecure(setup)) return { GLOBAL: '', TLS: '', SCHEME: 'http' };
  return {
    GLOBAL: `  ssl-default-bind-options ssl-min-ver TLSv1.3\n  ssl-default-bind-ciphersuites ${CIPHERSUITES}`,
    TLS: ` ssl crt ${writeCertificate(folder).both} alpn ${ALPN[setup]}`,
    SCHEME: 'https',
  };
}

function backend(folder: string, routes: boolean): string {
  if (!routes) return 'default_backend origin';
  const file = join(folder, 'routes.map');
  writeFileSync(file, Array.from({ length: ROUTES }, (_, route) => `/service-${route}/ origin\n`).join(''));
  // The manual's way to many routes: a map is a tree, where as many rules would be walked one after the other.
  return `use_backend %[path,map_beg(${file})]`;
}

function read(name: string): string {
  return readAsset(`native-bench/peers/haproxy/${name}`);
}
