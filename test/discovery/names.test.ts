// Names that are looked up for many endpoints: few at a time, once for all who share one, and not for those who have gone.

import assert from 'node:assert/strict';
import dns from 'node:dns';
import { mock, type TestContext, test } from 'node:test';
import { disabledLevel, type Log } from '../../lib/base/log.ts';
import { Lookups } from '../../lib/discovery/lookups.ts';
import { NameKeeper } from '../../lib/discovery/names.ts';
import { Cluster } from '../../lib/upstream/cluster.ts';
import type { EndpointOptions } from '../../lib/upstream/options.ts';
import { clusterOptions } from '../support/cluster.ts';
import { eventually } from '../support/process.ts';

const QUIET: Log = {
  debug: disabledLevel,
  info: disabledLevel,
  warn: disabledLevel,
  error: disabledLevel,
  limited: () => QUIET,
};

type Answer = (error: Error | null, found?: readonly { readonly address: string }[]) => void;

/** Questions that the system has not answered yet, in order. */
const open: { readonly name: string; readonly answer: Answer }[] = [];
/** All that were asked. */
const asked: string[] = [];
mock.method(dns, 'lookup', (name: string, _options: unknown, answer: Answer) => {
  asked.push(name);
  open.push({ name, answer });
});

function reset(): void {
  open.length = 0;
  asked.length = 0;
}

/** The system answers the oldest question, and tells its name. */
function answer(address: string | null): string {
  const { name, answer: told } = open.shift()!;
  if (address === null) told(Object.assign(new Error('unknown'), { code: 'ENOTFOUND' }));
  else told(null, [{ address }]);
  return name;
}

function endpointAt(host: string, port: number): EndpointOptions {
  return { address: { kind: 'tcp', host, port, path: '', fd: -1 }, weight: 1 };
}

function keep(t: TestContext, endpoints: readonly EndpointOptions[], everyMs = 60_000) {
  const cluster = new Cluster('api', clusterOptions({ endpoints }));
  const keeper = new NameKeeper(cluster, QUIET, everyMs);
  keeper.start();
  t.after(() => keeper.stop());
  return { cluster, keeper };
}

const health = (cluster: Cluster): string => cluster.endpoints.map(({ standing }) => standing.health).join(' ');

test('two names are looked up at a time, the others one after another, each once for all who ask', () => {
  reset();
  const lookups = new Lookups();
  const told: string[] = [];
  for (const name of ['a', 'b', 'c', 'a', 'd'])
    lookups.ask(name, (reply) => told.push(`${name} ${JSON.stringify(reply)}`));
  assert.deepEqual(asked, ['a', 'b']);
  answer('10.0.0.1');
  assert.deepEqual(asked, ['a', 'b', 'c']);
  assert.deepEqual(told, ['a {"addresses":["10.0.0.1"]}', 'a {"addresses":["10.0.0.1"]}']);
  answer(null);
  answer('10.0.0.3');
  answer('10.0.0.4');
  assert.deepEqual(asked, ['a', 'b', 'c', 'd']);
  assert.equal(told[2], 'b {"cause":"ENOTFOUND"}');
  assert.equal(told.length, 5);
});

test('what is taken back is not looked up, and what is being looked up is not told', () => {
  reset();
  const lookups = new Lookups();
  const told: string[] = [];
  const [a, , c] = ['a', 'b', 'c', 'd'].map((name) => lookups.ask(name, () => told.push(name)));
  a!();
  c!();
  answer('10.0.0.1');
  answer('10.0.0.2');
  answer('10.0.0.4');
  assert.deepEqual(
    [asked, told],
    [
      ['a', 'b', 'd'],
      ['b', 'd'],
    ],
  );
  lookups.ask('c', () => told.push('again'));
  answer('10.0.0.3');
  assert.equal(told.at(-1), 'again');
});

test('endpoints that share a name are judged by one look-up, those that come later too', async (t) => {
  reset();
  const all = [endpointAt('one.test', 81), endpointAt('one.test', 82), endpointAt('two.test', 81)];
  const { cluster } = keep(t, all, 20);
  assert.deepEqual(asked, ['one.test', 'two.test']);
  answer(null);
  assert.equal(health(cluster), 'down down unknown');
  cluster.change({ kind: 'add', endpoint: endpointAt('one.test', 83) });
  await eventually(
    () => cluster.endpoints.some(({ name, standing }) => /83$/.test(name) && standing.health === 'down'),
    'the newcomer',
  );
  answer('10.0.0.2');
  await eventually(() => open.some(({ name }) => name === 'one.test'), 'the next look-up');
  while (answer('10.0.0.1') !== 'one.test');
  assert.equal(
    cluster.endpoints.filter(({ standing, name }) => /^one/.test(name) && standing.health === 'up').length,
    3,
  );
});

test('a keeper that has stopped asks for nothing more', (t) => {
  reset();
  const { cluster, keeper } = keep(
    t,
    ['a', 'b', 'c', 'd'].map((name) => endpointAt(`${name}.test`, 80)),
  );
  keeper.stop();
  while (open.length > 0) answer(null);
  assert.deepEqual([asked, health(cluster)], [['a.test', 'b.test'], 'unknown unknown unknown unknown']);
});
