// Millrace as a peer like any other: started by its own command, configured by a file, with nothing that a user could
// not write. MILLRACE_MAIN names another main program (a bundle, say) to measure instead of this checkout's.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../../host/revision.ts';
import type { Launch } from '../../host/scope.ts';
import { writeCertificate } from '../certificate.ts';
import { launchThreads } from '../node.ts';
import { ALPN, isSecure, type Located, type Peer, ROUTES, type Setup, type Site } from '../peer.ts';
import { fillTemplate } from '../template.ts';

export const millrace: Peer = {
  name: 'millrace',
  about: 'default settings, one worker thread (or as many as asked for), errors alone logged, no access log',
  setups: ['http', 'http-routes', 'websocket', 'tcp', 'https', 'h2'],
  node: true,
  locate: () => locate(mainProgram(), ROOT),
  prepare: (site) => prepare(site, mainProgram(), ROUTES, workersLine(ROOT, site.workers)),
};

/** The same program with a table of one route, under the requests of a table of ROUTES: what the table alone costs. */
export const millraceOneRoute: Peer = {
  name: 'millrace-one-route',
  about: 'as millrace, with one route where the others have a thousand',
  setups: ['http-routes'],
  node: true,
  locate: () => locate(mainProgram(), ROOT),
  prepare: (site) => prepare(site, mainProgram(), 1, workersLine(ROOT, site.workers)),
};

/** Millrace as it stands in another source tree, such as another revision, below `folder`; with its dependencies. */
export function millraceAt(folder: string, name: string): Peer {
  const main = join(folder, MAIN);
  return {
    name,
    about: `Millrace as it stands in ${folder}`,
    setups: millrace.setups,
    node: true,
    locate: () => locate(main, folder),
    prepare: (site) => prepare(site, main, ROUTES, workersLine(folder, site.workers)),
  };
}

const MAIN = 'lib/cli/main.ts';

/** WebSocket passes through a route like any other: there is nothing to say about it. */
const TEMPLATES: Readonly<Record<Setup, string>> = {
  http: 'http.yaml',
  'http-routes': 'http-routes.yaml',
  websocket: 'http.yaml',
  tcp: 'tcp.yaml',
  https: 'https.yaml',
  h2: 'https.yaml',
};

function mainProgram(): string {
  return process.env['MILLRACE_MAIN'] || join(ROOT, MAIN);
}

function locate(main: string, folder: string): Located {
  if (!existsSync(main)) return { missing: `${main} does not exist` };
  const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version: string };
  return { version: `Millrace ${version} on Node ${process.version}` };
}

function prepare(site: Site, main: string, routes: number, workers: string): Omit<Launch, 'cores'> {
  const { folder, setup, port, originPort } = site;
  const template = readFileSync(join(import.meta.dirname, TEMPLATES[setup]), 'utf8');
  const values = {
    PORT: port,
    ORIGIN_PORT: originPort,
    ...(setup === 'http-routes' && { ROUTES: table(routes) }),
    ...(isSecure(setup) && tls(folder, ALPN[setup])),
  };
  const file = join(folder, 'millrace.yaml');
  writeFileSync(file, `${fillTemplate(template, values)}${workers}`);
  return launchThreads(main, ['run', '-c', file], site);
}

/** Revisions from before there were worker threads have one event loop, and no key for it. */
function workersLine(folder: string, workers: number): string {
  if (existsSync(join(folder, 'lib/process/worker.ts'))) return `\nworkers: ${workers}\n`;
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
