// The proxy under soak, as a process of its own: what `millrace run` starts, and besides answers for its counters over
// the channel to its parent. The product pays nothing for that: the counters are there anyway.

import { createLog } from '../../lib/base/log.ts';
import { buildSnapshot } from '../../lib/config/build.ts';
import { readConfiguration } from '../../lib/config/read.ts';
import { wheel } from '../../lib/io/connection.ts';
import { slabsInUse } from '../../lib/io/slab.ts';
import { Server } from '../../lib/server/server.ts';
import { idleParsers } from '../../lib/wire/http1/parser.ts';

/** What the parent asks: to start, for a sample, and for one after idle upstream connections were closed. */
export type Order = { readonly configuration: string } | 'sample' | 'empty';

/** What it is told. Bytes, and counts of what is in use now. */
export interface Counters {
  readonly heapBytes: number;
  readonly externalBytes: number;
  readonly slabs: number;
  readonly parsers: number;
  readonly deadlines: number;
  readonly downstream: number;
  readonly upstream: number;
  readonly active: number;
  readonly waiting: number;
}

export type Answer = { readonly ports: Readonly<Record<string, number>> } | Counters | { readonly fault: string };

const log = createLog({
  level: 'error',
  format: 'text',
  colours: false,
  write: (line) => process.stderr.write(line),
  now: Date.now,
});

process.on('message', (order: Order) => {
  if (typeof order === 'object') start(order.configuration);
  else answer(order === 'empty');
});
process.on('disconnect', () => process.exit(0));

let count: (emptied: boolean) => Counters = () => {
  throw new Error('not started');
};

async function start(configuration: string): Promise<void> {
  const read = await readConfiguration(configuration, 'soak.yaml');
  if (!('configuration' in read)) return tell({ fault: JSON.stringify(read) });
  const snapshot = buildSnapshot(read.configuration, log);
  const server = await Server.start(snapshot, log);
  if (!(server instanceof Server)) return tell(server);
  count = (emptied) => {
    let upstream = 0;
    let active = 0;
    let waiting = 0;
    for (const cluster of snapshot.clusters.values()) {
      if (emptied) cluster.empty(false);
      waiting += cluster.waiting;
      for (const endpoint of cluster.endpoints) {
        upstream += endpoint.pool.open;
        active += endpoint.active;
      }
    }
    // Collected first, so that what is counted is what is held.
    globalThis.gc?.();
    const { heapUsed, external } = process.memoryUsage();
    return {
      heapBytes: heapUsed,
      externalBytes: external,
      slabs: slabsInUse(),
      parsers: idleParsers(),
      deadlines: wheel.size,
      downstream: server.open,
      upstream,
      active,
      waiting,
    };
  };
  const ports: Record<string, number> = {};
  for (const { listener, address } of server.addresses) ports[listener] = Number(address.split(':').at(-1));
  tell({ ports });
}

function answer(emptied: boolean): void {
  tell(count(emptied));
}

function tell(message: Answer): void {
  process.send?.(message);
}
