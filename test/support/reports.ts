// What an event loop reports, without a proxy around it.

import assert from 'node:assert/strict';
import { disabledLevel, type Log } from '../../lib/base/log.ts';
import { checkConfiguration } from '../../lib/config/read.ts';
import type { LoopReport } from '../../lib/process/channel.ts';
import type { OwnLoop } from '../../lib/process/loop.ts';

export const quietLog: Log = {
  debug: disabledLevel,
  info: disabledLevel,
  warn: disabledLevel,
  error: disabledLevel,
  limited: () => quietLog,
};

/** Of a loop that begins to serve one listener and one cluster of one endpoint. */
export async function reportOf(loop: OwnLoop): Promise<LoopReport> {
  const read = checkConfiguration(
    {
      listeners: { web: { bind: '127.0.0.1:0', cluster: 'app' } },
      clusters: { app: { endpoints: ['127.0.0.1:9'], adaptive: {} } },
    },
    'x',
  );
  assert.ok('configuration' in read);
  const none = new Map();
  const prepared = await loop.prepare({
    configuration: read.configuration,
    place: 0,
    count: 1,
    tickets: { secret: new Uint8Array(32), turn: 0 },
    shared: false,
    found: none,
    inherited: none,
    crowds: none,
    materials: [],
  });
  assert.ok('ports' in prepared, JSON.stringify(prepared));
  await loop.commit(0, []);
  return loop.report();
}
