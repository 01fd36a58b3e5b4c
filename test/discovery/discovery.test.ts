// What is made of the lists of sources: addresses that are there twice, and lists that lack something.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { createLog } from '../../lib/base/log.ts';
import { readEndpoints } from '../../lib/config/endpoint-list.ts';
import { Discovery } from '../../lib/discovery/discovery.ts';
import { Cluster } from '../../lib/upstream/cluster.ts';
import type { DiscoveryOptions } from '../../lib/upstream/options.ts';
import { clusterOptions } from '../support/cluster.ts';
import { startNameServer } from '../support/dns.ts';
import { eventually, temporaryFolder } from '../support/process.ts';

function discover(options: DiscoveryOptions) {
  const cluster = new Cluster('api', clusterOptions({ discovery: options }));
  const lines: Record<string, unknown>[] = [];
  const write = (line: string) => lines.push(JSON.parse(line));
  const log = createLog({ level: 'info', format: 'json', colours: false, write, now: Date.now });
  const discovery = new Discovery(cluster, options, readEndpoints, log);
  return {
    cluster,
    discovery,
    told: (message: RegExp) => lines.filter((line) => message.test(String(line['message']))),
  };
}

test('an address that a list has twice is used once, as it comes first, and the log says so once', async (t) => {
  const file = join(temporaryFolder(t), 'endpoints.json');
  const twice = ['10.0.0.1:80', { address: '10.0.0.2:80', weight: 3 }, { address: '10.0.0.2:80', weight: 5 }];
  writeFileSync(file, JSON.stringify(twice));
  const { cluster, discovery, told } = discover({ kind: 'file', file });
  discovery.start();
  t.after(() => discovery.stop());
  await eventually(() => cluster.endpoints.length === 2, 'the list');
  assert.deepEqual(
    cluster.endpoints.map(({ weight }) => weight),
    [1, 3],
  );
  const [line] = told(/more than once/);
  assert.deepEqual([line?.['level'], line?.['endpoints'], line?.['count']], ['warn', '10.0.0.2:80', 1]);
  writeFileSync(file, JSON.stringify([...twice, '10.0.0.3:80']));
  await eventually(() => cluster.endpoints.length === 3, 'the next list');
  assert.equal(told(/more than once/).length, 1);
});

test('a list that lacks something is used, what it lacks is told once and counted, and so is its return', async (t) => {
  const server = await startNameServer(t);
  server.answers.set('SRV _web.test', [
    { target: 'one.test', port: 81 },
    { target: 'gone.test', port: 82 },
  ]);
  server.answers.set('A one.test', ['10.0.0.1']);
  const { cluster, discovery, told } = discover({
    ...{ kind: 'dns', name: '_web.test', port: 0, srv: true, leastMs: 20, mostMs: 20, servers: [server.address] },
  });
  discovery.start();
  t.after(() => discovery.stop());
  await eventually(() => cluster.stats.discoveryFailures >= 3, 'some rounds');
  const faults = told(/not all endpoints are found/).map((line) => line['fault']);
  assert.deepEqual([cluster.endpoints.length, faults], [1, ['gone.test: ENODATA']]);
  server.answers.set('A gone.test', ['10.0.0.2']);
  await eventually(() => told(/endpoints are found again/).length === 1, 'its return');
  assert.deepEqual([cluster.endpoints.length, cluster.stats.discoveryUpdates], [2, 2]);
});
