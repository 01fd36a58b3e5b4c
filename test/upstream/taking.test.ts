// Whose turn it is in a cluster: who had one before, and who wants a certain endpoint.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Cluster, type Waiter } from '../../lib/upstream/cluster.ts';
import type { ClusterOptions } from '../../lib/upstream/options.ts';
import { clusterOptions } from '../support/cluster.ts';

const address = { kind: 'tcp', host: '10.0.0.1', port: 80, path: '', fd: -1 } as const;

function start(options: Partial<ClusterOptions> = {}, queue = 1) {
  const { pool } = clusterOptions({});
  const cluster = new Cluster(
    'api',
    clusterOptions({ endpoints: [{ address, weight: 1 }], pool: { ...pool, max: 1, queue }, ...options }),
  );
  return { cluster, endpoint: cluster.endpoints[0]! };
}

test('who has had a turn goes ahead of all who wait, however many those are', () => {
  const { cluster } = start();
  const woken: string[] = [];
  const waiter = (name: string): Waiter => {
    const one: Waiter = {
      queue: null,
      ahead: null,
      behind: null,
      proceed() {
        cluster.leave(one);
        woken.push(name);
      },
      crashed() {},
    };
    return one;
  };
  assert.equal(cluster.wait(waiter('first')), null);
  assert.equal(cluster.wait(waiter('refused')), 'queue_full');
  assert.equal(cluster.wait(waiter('again'), true), null);
  cluster.wake();
  cluster.wake();
  assert.deepEqual(woken, ['again', 'first']);
});

test('an endpoint that is wanted for itself is there when it would be for others', () => {
  const { cluster, endpoint } = start({ requests: 1 });
  assert.equal(cluster.take(endpoint), true);
  endpoint.enter();
  assert.equal(cluster.take(endpoint), false);
  endpoint.leave();
  endpoint.pool.opened();
  assert.equal(cluster.take(endpoint), false);
  endpoint.pool.closed({ retire() {} });
  endpoint.standing.trial = 'wanted';
  assert.deepEqual(
    [cluster.take(endpoint), endpoint.standing.trial, cluster.take(endpoint)],
    [true, 'underway', false],
  );
  endpoint.standing.trial = 'none';
  endpoint.standing.ejected = true;
  assert.equal(cluster.take(endpoint), false);
});

test('only who has an endpoint on trial gives that back, however others end there', () => {
  const { pool } = clusterOptions({});
  const ejection = { failures: 5, rate: 0, latency: 0, forMs: 1000, longestMs: 1000, max: 1 };
  for (const how of ['pick', 'pickAvailable', 'take'] as const) {
    const { cluster, endpoint } = start({ ejection, pool });
    const { standing } = endpoint;
    standing.trial = 'wanted';
    cluster.publish();
    const [suspicious, other] = [{}, {}];
    if (how === 'take') assert.equal(cluster.take(endpoint, suspicious), true);
    else assert.equal(cluster[how]([], 0, suspicious), endpoint);
    // There is nobody else to ask.
    assert.equal(cluster.pickAvailable([], 0, other), endpoint);
    cluster.undecided(endpoint, other);
    cluster.outrun(endpoint, 0, other);
    cluster.undecided(endpoint);
    assert.equal(standing.trial, 'underway', how);
    cluster.undecided(endpoint, suspicious);
    assert.equal(standing.trial, 'wanted', how);
    assert.equal(cluster.pickAvailable([], 0, other), endpoint);
    cluster.undecided(endpoint, suspicious);
    assert.equal(standing.trial, 'underway', how);
    cluster.succeeded(endpoint, 1);
    assert.deepEqual([standing.trial, standing.trialist], ['none', null], how);
  }
});
