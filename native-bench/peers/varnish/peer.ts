// Varnish from Debian, which is a cache first: told to pass everything on, it shows what its reverse proxy costs.

import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readAsset } from '../../../lib/base/asset.ts';
import { findProgram } from '../../host/machine.ts';
import type { Located, Peer } from '../peer.ts';
import { fillTemplate } from '../template.ts';

export const varnish: Peer = {
  name: 'varnish',
  about: 'nothing cached, one thread pool for each worker; its log stays in shared memory, unread',
  setups: ['http'],
  node: false,
  locate(): Located {
    const command = findProgram('varnishd');
    if (command === null) return { missing: MISSING };
    // varnishd -V writes to stderr.
    const { stderr } = spawnSync(command, ['-V'], { encoding: 'utf8' });
    return { version: `Varnish ${/varnish-([\d.]+)/.exec(stderr)?.[1] ?? 'of unknown version'}` };
  },
  prepare({ folder, port, originPort, workers }) {
    const template = readAsset('native-bench/peers/varnish/default.vcl');
    const file = join(folder, 'default.vcl');
    writeFileSync(file, fillTemplate(template, { ORIGIN_PORT: originPort }));
    const command = findProgram('varnishd');
    if (command === null) throw new Error(MISSING);
    const parameters = [`thread_pools=${workers}`, 'listen_depth=1024', 'timeout_idle=60'];
    return {
      command,
      // -F: stay in the foreground; -T none: no port to administer it.
      args: [
        ...['-F', '-n', join(folder, 'varnish'), '-a', `127.0.0.1:${port}`, '-f', file, '-T', 'none', '-S', 'none'],
        ...parameters.flatMap((parameter) => ['-p', parameter]),
      ],
    };
  },
};

const MISSING = 'varnish is not installed (Debian package varnish)';
