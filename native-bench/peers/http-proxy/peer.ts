// http-proxy, the proxy most used in Node, on the runtime that Millrace runs on too: once with the keep-alive agent that
// its better users give it, once as its documentation first shows it, without one, so that it dials for every request.

import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { Located, Peer, Site } from '../../peer.ts';

export const httpProxy: Peer = {
  name: 'http-proxy',
  about: 'the usual Node proxy, with a keep-alive agent; same runtime as Millrace',
  protocols: ['http'],
  locate: () => locatePackage('http-proxy'),
  prepare: (site) => launch(site, 'keep-alive'),
};

export const httpProxyDefault: Peer = {
  name: 'http-proxy-default',
  about: 'http-proxy without an agent, its default: one upstream connection per request',
  protocols: ['http'],
  locate: () => locatePackage('http-proxy'),
  prepare: (site) => launch(site, 'default'),
};

/** Version of an npm package as installed here, or how to install it. */
export function locatePackage(name: string): Located {
  try {
    const { version } = createRequire(import.meta.url)(`${name}/package.json`) as { version: string };
    return { version: `${name} ${version} on Node ${process.version}` };
  } catch {
    return { missing: `${name} is not installed (npm ci)` };
  }
}

function launch({ port, originPort }: Site, agent: 'keep-alive' | 'default') {
  const script = join(import.meta.dirname, 'proxy.ts');
  const args = [script, String(port), String(originPort), agent];
  return { command: process.execPath, args, env: { NODE_ENV: 'production' } };
}
