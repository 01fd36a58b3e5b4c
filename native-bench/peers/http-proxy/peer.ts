// http-proxy, the proxy most used in Node, on the runtime that Millrace runs on too: once with the keep-alive agent that
// its better users give it, once as its documentation first shows it, without one, so that it dials for every request.

import type { Launch } from '../../host/scope.ts';
import { launchNode, locatePackage } from '../node.ts';
import type { Peer, Site } from '../peer.ts';

export const httpProxy: Peer = {
  name: 'http-proxy',
  about: 'the usual Node proxy, with a keep-alive agent; same runtime as Millrace',
  setups: ['http', 'websocket'],
  node: true,
  locate: () => locatePackage('http-proxy'),
  prepare: (site) => launch(site, 'keep-alive'),
};

export const httpProxyDefault: Peer = {
  name: 'http-proxy-default',
  about: 'http-proxy without an agent, its default: one upstream connection per request',
  setups: ['http'],
  node: true,
  locate: () => locatePackage('http-proxy'),
  prepare: (site) => launch(site, 'default'),
};

function launch(site: Site, agent: 'keep-alive' | 'default'): Omit<Launch, 'cores'> {
  return launchNode('native-bench/peers/http-proxy/proxy', [String(site.port), String(site.originPort), agent], site);
}
