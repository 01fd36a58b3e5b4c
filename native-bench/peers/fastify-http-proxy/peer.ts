// @fastify/http-proxy, the proxy of the Fastify family, on the runtime that Millrace runs on too.

import { launchNode, locatePackage } from '../node.ts';
import type { Peer } from '../peer.ts';

export const fastifyHttpProxy: Peer = {
  name: 'fastify-http-proxy',
  about: '@fastify/http-proxy with its undici client; same runtime as Millrace',
  setups: ['http', 'websocket'],
  node: true,
  locate: () => locatePackage('@fastify/http-proxy'),
  prepare: (site) =>
    launchNode(
      'native-bench/peers/fastify-http-proxy/proxy',
      [String(site.port), String(site.originPort), site.setup],
      site,
    ),
};
