// When checks are made, and what their answers count for. The checks themselves are played.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { HealthChecker } from '../../lib/health/checker.ts';
import type { Found } from '../../lib/health/probe.ts';
import { Cluster } from '../../lib/upstream/cluster.ts';
import type { Endpoint } from '../../lib/upstream/endpoint.ts';
import type { EndpointOptions, HealthOptions } from '../../lib/upstream/options.ts';
import { clusterOptions } from '../support/cluster.ts';

const HEALTH: HealthOptions = {
  kind: 'tcp',
  path: '/',
  method: 'GET',
  host: '',
  statuses: [[200, 299]],
  body: null,
  service: '',
  intervalMs: 5000,
  fastMs: 500,
  timeoutMs: 1000,
  rise: 2,
  fall: 3,
};

/** A checker of a cluster; time stands still but for the test, and so do the answers. */
function checking(t: TestContext, count: number) {
  t.mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
  const endpoints = Array.from({ length: count }, (_, place): EndpointOptions => {
    const address = { kind: 'tcp', host: `10.0.${place >> 8}.${place & 255}`, port: 80, path: '', fd: -1 } as const;
    return { address, weight: 1 };
  });
  const cluster = new Cluster('c', clusterOptions({ endpoints, health: HEALTH }));
  const asked = new Map<Endpoint, Found>();
  const checker = new HealthChecker(cluster, HEALTH, (_cluster, endpoint, _options, found) => {
    assert.ok(!asked.has(endpoint), 'two checks of one endpoint at a time');
    asked.set(endpoint, found);
    return () => asked.delete(endpoint);
  });
  const answer = (endpoint: Endpoint, fault: string, ours = false): void => {
    const found = asked.get(endpoint);
    assert.ok(found !== undefined, 'not asked');
    asked.delete(endpoint);
    found(fault, ours);
  };
  t.after(() => checker.stop());
  return { cluster, checker, asked, answer };
}

test('a check that failed for want of our own descriptors says nothing, and is soon made again', (t) => {
  const { cluster, checker, asked, answer } = checking(t, 1);
  const [endpoint] = cluster.endpoints as [Endpoint];
  checker.start();
  for (let turn = 0; turn < 5; turn++) {
    answer(endpoint, 'EMFILE', true);
    assert.equal(endpoint.standing.health, 'unknown');
    t.mock.timers.tick(600);
    assert.equal(asked.size, 1, 'not asked again');
  }
  answer(endpoint, '');
  assert.equal(endpoint.standing.health, 'up');
  for (let turn = 0; turn < 5; turn++) {
    t.mock.timers.tick(5500);
    answer(endpoint, 'ENFILE', true);
  }
  assert.equal(endpoint.standing.health, 'up');
  t.mock.timers.tick(600);
  for (let turn = 0; turn < 3; turn++) {
    answer(endpoint, 'ECONNREFUSED');
    t.mock.timers.tick(5500);
  }
  assert.equal(endpoint.standing.health, 'down');
});

test('the first answer counts at once, and few are all asked at once', (t) => {
  const { cluster, checker, asked, answer } = checking(t, 12);
  checker.start();
  assert.equal(asked.size, 12);
  for (const [place, endpoint] of cluster.endpoints.entries()) {
    answer(endpoint, place % 2 === 0 ? '' : 'ECONNREFUSED');
    assert.equal(endpoint.standing.health, place % 2 === 0 ? 'up' : 'down');
  }
});

test('the first checks of many are spread, and all are made within an interval', (t) => {
  const { cluster, checker, asked } = checking(t, 4000);
  checker.start();
  let most = asked.size;
  assert.ok(most <= 32, `${most} at once`);
  for (let ms = 0; ms < HEALTH.intervalMs; ms += 10) {
    const before = asked.size;
    t.mock.timers.tick(10);
    most = Math.max(most, asked.size - before);
  }
  assert.ok(most <= 32, `${most} at once`);
  assert.equal(asked.size, cluster.endpoints.length);
});
