// What is made of the answers of name servers: each kind of record and each target of a service by itself.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { formatAddress } from '../../lib/base/address.ts';
import { DnsSource } from '../../lib/discovery/dns.ts';
import type { DnsDiscovery, EndpointOptions } from '../../lib/upstream/options.ts';
import { type NameServer, startNameServer } from '../support/dns.ts';
import { eventually } from '../support/process.ts';

interface Seen {
  /** The last list, as addresses. */
  list: readonly string[];
  endpoints: readonly EndpointOptions[];
  /** Whatever was said, in order. */
  readonly faults: string[];
  /** Lists and failures so far. */
  rounds: number;
}

function follow(t: TestContext, server: NameServer, options: Partial<DnsDiscovery>): Seen {
  const source = new DnsSource({
    ...{ kind: 'dns', name: 'app.test', port: 80, srv: false, leastMs: 20, mostMs: 20, servers: [server.address] },
    ...options,
  });
  const seen: Seen = { list: [], endpoints: [], faults: [], rounds: 0 };
  source.start(
    (endpoints, fault = '') => {
      seen.rounds++;
      seen.endpoints = endpoints;
      seen.list = endpoints.map(({ address }) => formatAddress(address)).sort();
      seen.faults.push(fault);
    },
    (fault) => {
      seen.rounds++;
      seen.faults.push(`failed ${fault}`);
    },
  );
  t.after(() => source.stop());
  return seen;
}

/** Two more answers: the second was asked for after now. */
async function later(seen: Seen): Promise<void> {
  const from = seen.rounds;
  await eventually(() => seen.rounds >= from + 2, 'two more rounds');
}

test('a kind of address that cannot be asked for now is what it was, as long as nobody says that there is none', async (t) => {
  const server = await startNameServer(t);
  const { answers } = server;
  answers.set('A app.test', ['10.0.0.1', '10.0.0.2']).set('AAAA app.test', ['::1']);
  const seen = follow(t, server, {});
  const all = ['10.0.0.1:80', '10.0.0.2:80', '[::1]:80'];
  await eventually(() => seen.rounds > 0, 'the first list');
  assert.deepEqual([seen.list, seen.faults[0]], [all, '']);
  answers.set('A app.test', 'SERVFAIL').set('AAAA app.test', ['::2']);
  await later(seen);
  assert.deepEqual(seen.list, ['10.0.0.1:80', '10.0.0.2:80', '[::2]:80']);
  assert.equal(seen.faults.at(-1), 'A app.test: ESERVFAIL');
  answers.set('A app.test', ['10.0.0.3']).set('AAAA app.test', 'SERVFAIL');
  await later(seen);
  assert.deepEqual(seen.list, ['10.0.0.3:80', '[::2]:80']);
  answers.set('A app.test', []);
  await later(seen);
  assert.deepEqual(seen.list, ['[::2]:80']);
  answers.set('A app.test', 'SERVFAIL').set('AAAA app.test', ['::3']);
  await later(seen);
  assert.deepEqual(seen.list, ['[::3]:80'], 'what there was before there was nothing is not kept');
  answers.set('AAAA app.test', 'SERVFAIL');
  await later(seen);
  assert.equal(seen.faults.at(-1), 'failed AAAA app.test: ESERVFAIL');
});

test('a server that always fails for one kind of address is no fault, and one that fails for both is', async (t) => {
  const server = await startNameServer(t);
  server.answers.set('A app.test', ['10.0.0.1']).set('AAAA app.test', 'SERVFAIL');
  const seen = follow(t, server, {});
  await later(seen);
  assert.deepEqual([seen.list, new Set(seen.faults)], [['10.0.0.1:80'], new Set([''])]);
  const other = await startNameServer(t);
  other.answers.set('A app.test', 'SERVFAIL').set('AAAA app.test', 'SERVFAIL');
  const nothing = follow(t, other, {});
  await later(nothing);
  assert.deepEqual(new Set(nothing.faults), new Set(['failed app.test: ESERVFAIL']));
});

test('a service whose targets lead nowhere in part is served by the others, from the start and later', async (t) => {
  const server = await startNameServer(t);
  const { answers } = server;
  answers.set('SRV _web.test', [
    { target: 'one.test', port: 81, weight: 3 },
    { target: 'gone.test', port: 82 },
    { target: 'two.test', port: 83, priority: 7 },
  ]);
  answers.set('A one.test', ['10.0.0.1']).set('A two.test', ['10.0.0.2']);
  answers.set('A gone.test', 'NXDOMAIN').set('AAAA gone.test', 'NXDOMAIN');
  const seen = follow(t, server, { name: '_web.test', srv: true, port: 0 });
  await eventually(() => seen.rounds > 0, 'the first list');
  assert.deepEqual(seen.list, ['10.0.0.1:81', '10.0.0.2:83']);
  assert.deepEqual(
    seen.endpoints.map(({ weight, priority, host }) => [weight, priority, host]),
    [
      [3, 0, 'one.test'],
      [1, 1, 'two.test'],
    ],
  );
  assert.equal(seen.faults[0], 'gone.test: ENOTFOUND');
  // One that cannot be asked for stays, one that comes is there, and the list is not frozen meanwhile.
  answers.set('A one.test', 'SERVFAIL').set('AAAA one.test', 'SERVFAIL').set('A two.test', ['10.0.0.3']);
  answers.set('A gone.test', ['10.0.0.9']);
  await later(seen);
  assert.deepEqual(seen.list, ['10.0.0.1:81', '10.0.0.3:83', '10.0.0.9:82']);
  answers.set('SRV _web.test', 'SERVFAIL');
  await later(seen);
  assert.equal(seen.faults.at(-1), 'failed ESERVFAIL');
  assert.equal(seen.list.length, 3);
});

test('a name that several targets of a service share is asked for once', async (t) => {
  const server = await startNameServer(t);
  server.answers.set('SRV _web.test', [
    { target: 'one.test', port: 81 },
    { target: 'one.test', port: 82 },
  ]);
  server.answers.set('A one.test', ['10.0.0.1']);
  const seen = follow(t, server, { name: '_web.test', srv: true, port: 0, leastMs: 60_000, mostMs: 60_000 });
  await eventually(() => seen.rounds > 0, 'the first list');
  assert.deepEqual(seen.list, ['10.0.0.1:81', '10.0.0.1:82']);
  assert.deepEqual(server.asked.sort(), ['A one.test', 'AAAA one.test', 'SRV _web.test']);
});
