// fast-proxy, which says in its name what it wants, on the runtime that Millrace runs on too.

import { join } from 'node:path';
import type { Peer, Site } from '../../peer.ts';
import { locatePackage } from '../http-proxy/peer.ts';

export const fastProxy: Peer = {
  name: 'fast-proxy',
  about: 'a Node proxy made to be fast, with its undici client; same runtime as Millrace',
  protocols: ['http'],
  locate: () => locatePackage('fast-proxy'),
  prepare: ({ port, originPort }: Site) => ({
    command: process.execPath,
    args: [join(import.meta.dirname, 'proxy.ts'), String(port), String(originPort)],
    env: { NODE_ENV: 'production' },
  }),
};
