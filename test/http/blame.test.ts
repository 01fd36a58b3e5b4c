// What is held against an endpoint, and what is not.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ErrorCode, proxyError } from '../../lib/base/errors.ts';
import { blame } from '../../lib/http/blame.ts';
import type { Upstream } from '../../lib/http/upstream.ts';
import { Cluster } from '../../lib/upstream/cluster.ts';
import { clusterOptions } from '../support/cluster.ts';

const ejection = { failures: 100, rate: 0, latency: 0, forMs: 1000, longestMs: 1000, max: 1 };

function after(code: ErrorCode, reused = false) {
  const address = { kind: 'tcp', host: '10.0.0.1', port: 80, path: '', fd: -1 } as const;
  const cluster = new Cluster('api', clusterOptions({ endpoints: [{ address, weight: 1 }], ejection }));
  const [endpoint] = cluster.endpoints;
  endpoint!.standing.trial = 'underway';
  endpoint!.standing.ejections = 1;
  blame(cluster, endpoint!, { reused } as Upstream, proxyError(code));
  const { connectFailures, failures } = endpoint!.stats;
  return { ejected: endpoint!.standing.ejected, trial: endpoint!.standing.trial, connectFailures, failures };
}

test('what an endpoint does is held against it', () => {
  const dialed = { ejected: true, trial: 'none', connectFailures: 1, failures: 0 };
  assert.deepEqual(after('connect_refused'), dialed);
  assert.deepEqual(after('response_timeout'), { ...dialed, connectFailures: 0, failures: 1 });
  assert.deepEqual(after('origin_closed'), { ...dialed, connectFailures: 0, failures: 1 });
});

test('what we fail at is not: descriptors and parsers that have run out, our own faults', () => {
  for (const code of ['overloaded', 'internal'] as const)
    assert.deepEqual(after(code), { ejected: false, trial: 'wanted', connectFailures: 0, failures: 0 });
});

test('a connection that was kept open and has been closed is not, though it is counted', () => {
  assert.deepEqual(after('origin_closed', true), { ejected: false, trial: 'wanted', connectFailures: 0, failures: 1 });
  assert.equal(after('response_timeout', true).ejected, true);
});

test('what several have waited for fails once', () => {
  const address = { kind: 'tcp', host: '10.0.0.1', port: 80, path: '', fd: -1 } as const;
  const cluster = new Cluster('api', clusterOptions({ endpoints: [{ address, weight: 1 }], ejection }));
  const [endpoint] = cluster.endpoints;
  const dial = { reused: false, blamed: false } as Upstream;
  for (let i = 0; i < 50; i++) blame(cluster, endpoint!, dial, proxyError('connect_timeout'));
  assert.deepEqual([endpoint!.standing.failures, endpoint!.stats.connectFailures], [1, 1]);
});
