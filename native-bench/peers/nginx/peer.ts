// nginx from Debian: layer 7 with its http module, layer 4 with its stream module, which is a package of its own. At
// layer 7 also as nginx-streaming, which passes bodies on as they come instead of gathering them first, as Millrace does.

import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findProgram } from '../../machine.ts';
import type { Located, Peer, Site } from '../../peer.ts';
import { fillTemplate } from '../../template.ts';

export const nginx: Peer = {
  name: 'nginx',
  about: 'one worker, upstream keep-alive, buffering at its default; layer 4 by the stream module',
  protocols: ['http', 'tcp'],
  locate: locateNginx,
  prepare: (site) => (site.protocol === 'http' ? prepareHttp(site, 'on') : prepareStream(site)),
};

export const nginxStreaming: Peer = {
  name: 'nginx-streaming',
  about: 'as nginx, with proxy_buffering and proxy_request_buffering off',
  protocols: ['http'],
  locate: locateNginx,
  prepare: (site) => prepareHttp(site, 'off'),
};

/** Starts nginx in the foreground on the configuration `text`, with all that it writes inside `folder`. */
export function launchNginx(folder: string, text: string): { command: string; args: string[] } {
  const command = findProgram('nginx');
  if (command === null) throw new Error(MISSING);
  const file = join(folder, 'nginx.conf');
  writeFileSync(file, text);
  return { command, args: ['-e', 'stderr', '-p', folder, '-c', file] };
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

function prepareHttp({ folder, port, originPort }: Site, buffering: 'on' | 'off'): { command: string; args: string[] } {
  const template = readFileSync(join(import.meta.dirname, 'http.conf'), 'utf8');
  const values = { FOLDER: folder, PORT: port, ORIGIN_PORT: originPort, BUFFERING: buffering };
  return launchNginx(folder, fillTemplate(template, values));
}

function prepareStream({ folder, port, originPort }: Site): { command: string; args: string[] } {
  const template = readFileSync(join(import.meta.dirname, 'stream.conf'), 'utf8');
  const values = { FOLDER: folder, PORT: port, ORIGIN_PORT: originPort, MODULE: streamModule() };
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
