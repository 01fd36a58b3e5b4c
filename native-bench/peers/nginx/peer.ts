// nginx from Debian: layer 7 with its http module, layer 4 with its stream module, which is a package of its own. At
// layer 7 also as nginx-streaming, which passes bodies on as they come instead of gathering them first, as Millrace does.

import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readAsset } from '../../../lib/base/asset.ts';
import { findProgram } from '../../host/machine.ts';
import type { Launch } from '../../host/scope.ts';
import { writeCertificate } from '../certificate.ts';
import { CIPHERSUITES, isSecure, type Located, type Peer, ROUTES, type Setup, type Site } from '../peer.ts';
import { fillTemplate } from '../template.ts';

export const nginx: Peer = {
  name: 'nginx',
  about: 'one worker, upstream keep-alive, buffering at its default; layer 4 by the stream module',
  setups: ['http', 'http-routes', 'websocket', 'tcp', 'https', 'h2'],
  node: false,
  locate: locateNginx,
  prepare: (site) => (site.setup === 'tcp' ? prepareStream(site) : prepareHttp(site, site.setup, 'on')),
};

export const nginxStreaming: Peer = {
  name: 'nginx-streaming',
  about: 'as nginx, with proxy_buffering and proxy_request_buffering off',
  setups: ['http'],
  node: false,
  locate: locateNginx,
  prepare: (site) => prepareHttp(site, 'http', 'off'),
};

/** Starts nginx in the foreground on the configuration `text`, with all that it writes inside `folder`. */
export function launchNginx(folder: string, text: string): Omit<Launch, 'cores'> {
  const command = findProgram('nginx');
  if (command === null) throw new Error(MISSING);
  const file = join(folder, 'nginx.conf');
  writeFileSync(file, text);
  return { command, args: ['-e', 'stderr', '-p', folder, '-c', file] };
}

/** What a server of nginx's is given to speak TLS: behind its port, and in lines of their own. Both empty where it is not to. */
export function nginxTls(folder: string, setup: Setup): { readonly TLS: string; readonly CERTIFICATE: string } {
  if (!isSecure(setup)) return { TLS: '', CERTIFICATE: '' };
  const { cert, key } = writeCertificate(folder);
  const lines = [
    `ssl_certificate ${cert};`,
    `ssl_certificate_key ${key};`,
    'ssl_protocols TLSv1.3;',
    'ssl_prefer_server_ciphers on;',
    `ssl_conf_command Ciphersuites ${CIPHERSUITES};`,
    SESSIONS,
  ];
  return { TLS: setup === 'h2' ? ' ssl http2' : ' ssl', CERTIFICATE: lines.map((line) => `    ${line}`).join('\n') };
}

/** nginx's version, or the package that brings it. */
export function locateNginx(): Located {
  const command = findProgram('nginx');
  if (command === null) return { missing: MISSING };
  // nginx -v writes to stderr.
  const { stderr } = spawnSync(command, ['-v'], { encoding: 'utf8' });
  return { version: `nginx ${/nginx\/(\S+)/.exec(stderr)?.[1] ?? 'of unknown version'}` };
}

const MISSING = 'nginx is not installed (Debian package nginx)';

/** Tickets are on by default; TLS 1.3 keeps nothing else. */
const SESSIONS = 'ssl_session_timeout 1d;';

/** Upstream keep-alive needs an empty Connection; passing upgrades on needs what its manual has for WebSocket. */
const KEEP_ALIVE = 'proxy_set_header Connection "";';
const UPGRADES = 'proxy_set_header Upgrade $http_upgrade;\n    proxy_set_header Connection $connection_upgrade;';

function prepareHttp(site: Site, setup: Exclude<Setup, 'tcp'>, buffering: 'on' | 'off'): Omit<Launch, 'cores'> {
  const { folder, port, originPort, workers } = site;
  const template = readAsset('native-bench/peers/nginx/http.conf');
  return launchNginx(
    folder,
    fillTemplate(template, {
      FOLDER: folder,
      PORT: port,
      ORIGIN_PORT: originPort,
      WORKERS: workers,
      BUFFERING: buffering,
      CONNECTION: setup === 'websocket' ? UPGRADES : KEEP_ALIVE,
      ...nginxTls(folder, setup),
      LOCATIONS: setup === 'http-routes' ? table() : locationAt('/'),
    }),
  );
}

/** `^~` makes a prefix final: nginx then looks for no regular expression. */
function table(): string {
  return Array.from({ length: ROUTES }, (_, route) => locationAt(`^~ /service-${route}/`)).join('\n');
}

function locationAt(path: string): string {
  return `    location ${path} { proxy_pass http://origin; }`;
}

function prepareStream({ folder, port, originPort, workers }: Site): Omit<Launch, 'cores'> {
  const template = readAsset('native-bench/peers/nginx/stream.conf');
  const values = { FOLDER: folder, PORT: port, ORIGIN_PORT: originPort, WORKERS: workers, MODULE: streamModule() };
  return launchNginx(folder, fillTemplate(template, values));
}

/** The absolute path of the stream module: a relative one would be looked for below our temporary prefix. */
function streamModule(): string {
  const command = findProgram('nginx');
  if (command === null) throw new Error(MISSING);
  const settings = execFileSync('sh', ['-c', '"$0" -V 2>&1', command], { encoding: 'utf8' });
  const folder = /--modules-path=(\S+)/.exec(settings)?.[1] ?? '/usr/lib/nginx/modules';
  const module = join(folder, 'ngx_stream_module.so');
  if (!existsSync(module)) throw new Error('nginx has no stream module (Debian package libnginx-mod-stream)');
  return module;
}
