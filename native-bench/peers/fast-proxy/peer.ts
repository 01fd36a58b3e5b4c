// fast-proxy, which says in its name what it wants, on the runtime that Millrace runs on too.

import { launchNode, locatePackage } from '../node.ts';
import type { Peer } from '../peer.ts';

export const fastProxy: Peer = {
  name: 'fast-proxy',
  about: 'a Node proxy made to be fast, with its undici client; same runtime as Millrace',
  setups: ['http'],
  node: true,
  locate: () => locatePackage('fast-proxy'),
  prepare: (site) =>
    launchNode('native-bench/peers/fast-proxy/proxy', [String(site.port), String(site.originPort)], site),
};
