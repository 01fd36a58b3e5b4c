// Millrace as a peer like any other: started by its own command, configured by a file, with nothing that a user could
// not write. MILLRACE_MAIN names another main program (a bundle, say) to measure instead of this checkout's.

import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BUNDLED, ROOT, readAsset } from '../../../lib/base/asset.ts';
import about from '../../../package.json' with { type: 'json' };
import type { Launch } from '../../host/scope.ts';
import { writeCertificate } from '../certificate.ts';
import { isScript, launchFile, launchNode } from '../node.ts';
import { ALPN, isSecure, type Located, type Peer, ROUTES, type Setup, type Site } from '../peer.ts';
import { fillTemplate } from '../template.ts';

export const millrace: Peer = {
  name: 'millrace',
  about: 'default settings, one worker thread (or as many as asked for), errors alone logged, no access log',
  setups: ['http', 'http-routes', 'websocket', 'tcp', 'https', 'h2'],
  node: true,
  locate: locateOwn,
  prepare: (site) => prepare(site, chosenMain(), ROUTES),
};

/** The executable that `make binary` has made: the same program, for machines without Node. */
export const millraceBinary: Peer = {
  name: 'millrace-binary',
  about: 'as millrace, from the one executable',
  setups: millrace.setups,
  node: false,
  locate: locateBinary,
  prepare: (site) => prepare(site, BINARY, ROUTES),
};

/** The same program with a table of one route, under the requests of a table of ROUTES: what the table alone costs. */
export const millraceOneRoute: Peer = {
  name: 'millrace-one-route',
  about: 'as millrace, with one route where the others have a thousand',
  setups: ['http-routes'],
  node: true,
  locate: locateOwn,
  prepare: (site) => prepare(site, chosenMain(), 1),
};

/** Millrace as it stands in another source tree, such as another revision, below `folder`; with its dependencies. */
export function millraceAt(folder: string, name: string): Peer {
  const main = join(folder, `${MAIN}.ts`);
  return {
    name,
    about: `Millrace as it stands in ${folder}`,
    setups: millrace.setups,
    node: true,
    locate: () => locate(main, folder),
    prepare: (site) => prepare(site, main, ROUTES),
  };
}

const MAIN = 'lib/cli/main';
const BINARY = join(ROOT, 'dist/millrace');

/** WebSocket passes through a route like any other: there is nothing to say about it. */
const TEMPLATES: Readonly<Record<Setup, string>> = {
  http: 'http.yaml',
  'http-routes': 'http-routes.yaml',
  websocket: 'http.yaml',
  tcp: 'tcp.yaml',
  https: 'https.yaml',
  h2: 'https.yaml',
};

/** The main program that was named, else null: this very one. */
function chosenMain(): string | null {
  return process.env['MILLRACE_MAIN'] || null;
}

function locateOwn(): Located {
  const main = chosenMain();
  if (main === null) return { version: versionText(about.version) };
  if (!existsSync(main)) return { missing: `${main} does not exist` };
  if (BUNDLED && isScript(main))
    return { missing: `${main} needs Node, and an executable of Millrace has none to run it` };
  return { version: versionText(about.version) };
}

function locateBinary(): Located {
  if (!existsSync(BINARY)) return { missing: 'it has not been made; make binary does' };
  return { version: `${versionText(about.version)}, ${Math.round(statSync(BINARY).size / 1e6)} MB` };
}

function locate(main: string, folder: string): Located {
  if (!existsSync(main)) return { missing: `${main} does not exist` };
  const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version: string };
  return { version: versionText(version) };
}

function versionText(version: string): string {
  return `Millrace ${version} on Node ${process.version}`;
}

function prepare(site: Site, main: string | null, routes: number): Omit<Launch, 'cores'> {
  const { folder, setup, port, originPort, workers } = site;
  const template = readAsset(`native-bench/peers/millrace/${TEMPLATES[setup]}`);
  const values = {
    PORT: port,
    ORIGIN_PORT: originPort,
    ...(setup === 'http-routes' && { ROUTES: table(routes) }),
    ...(isSecure(setup) && tls(folder, ALPN[setup])),
  };
  const file = join(folder, 'millrace.yaml');
  writeFileSync(file, `${fillTemplate(template, values)}${workersLine(main, workers)}`);
  const args = ['run', '-c', file];
  return main === null ? launchNode(MAIN, args, site, true) : launchFile(main, args, site);
}

/** Revisions from before there were worker threads have one event loop, and no key for it. */
function workersLine(main: string | null, workers: number): string {
  const old = main?.endsWith(`${MAIN}.ts`) && !existsSync(join(main, '../../process/worker.ts'));
  if (!old) return `\nworkers: ${workers}\n`;
  if (workers > 1) throw new Error('that revision has one event loop alone');
  return '';
}

function tls(folder: string, alpn: string): Record<'CERT' | 'KEY' | 'ALPN', string> {
  const { cert, key } = writeCertificate(folder);
  return { CERT: cert, KEY: key, ALPN: alpn };
}

function table(routes: number): string {
  const paths = routes === 1 ? ['/*'] : Array.from({ length: routes }, (_, route) => `/service-${route}/*`);
  const lines = paths.map((path) => `      - { match: { path: "${path}" }, cluster: api }`);
  return [`${routes} of them`, ...lines].join('\n');
}
