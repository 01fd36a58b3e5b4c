// httpxy, the successor of http-proxy in the UnJS family, on the runtime that Millrace runs on too.

import { launchNode, locatePackage } from '../node.ts';
import type { Peer } from '../peer.ts';

export const httpxy: Peer = {
  name: 'httpxy',
  about: 'a maintained fork of http-proxy, which keeps upstream connections by default; same runtime as Millrace',
  setups: ['http', 'websocket'],
  node: true,
  locate: () => locatePackage('httpxy'),
  prepare: (site) => launchNode('native-bench/peers/httpxy/proxy', [String(site.port), String(site.originPort)], site),
};
