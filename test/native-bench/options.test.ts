// What the harness makes of its command line.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { benchCommand } from '../../lib/cli/bench.ts';
import { readArguments } from '../../lib/cli/command.ts';
import { PEERS, SCENARIOS } from '../../native-bench/catalogue.ts';
import { type Options, peersFor, readOptions } from '../../native-bench/options.ts';
import { describeCatalogue } from '../../native-bench/report/catalogue.ts';

test('without options every scenario runs for five rounds', () => {
  const { scenarios, plan, peers, ratePerSecond } = read();
  assert.deepEqual(scenarios, SCENARIOS);
  assert.deepEqual(plan, { rounds: 5, seconds: 3, warmUpSeconds: 2 });
  assert.deepEqual([peers, ratePerSecond], [null, null]);
});

test('what is asked for goes before what is usual', () => {
  const line = 'tcp-small --quick --rounds 7 --peers haproxy,fast-proxy --rate 1000 --connections 9 --generator own';
  const chosen = read(...line.split(' '));
  assert.deepEqual(chosen.plan, { rounds: 7, seconds: 2, warmUpSeconds: 1 });
  assert.deepEqual([chosen.ratePerSecond, chosen.generator], [1000, 'own']);
  const scenario = chosen.scenarios[0]!;
  assert.equal(scenario.load.connections, 9);
  assert.match(scenario.title, /here 9 connections/);
  // fast-proxy does not speak layer 4.
  assert.deepEqual(names(peersFor(scenario, chosen.peers, [])), ['haproxy']);
});

test('another revision of Millrace takes its turn right behind Millrace', () => {
  const other = { ...PEERS[0]!, name: 'millrace@abc' };
  const scenario = SCENARIOS.find(({ name }) => name === 'http-1m')!;
  assert.deepEqual(names(peersFor(scenario, null, [other])).slice(0, 3), ['millrace', 'millrace@abc', 'nginx']);
});

test('every mistake is told at once, with the nearest name', () => {
  const line = 'http-smal --peers ngnix --rounds 0 --seconds 0 --rate x --workers 999 --connections -1 --generator ab';
  const given = readArguments(benchCommand, line.replace('-1', '0').split(' '));
  assert.ok('options' in given);
  const outcome = readOptions(given);
  assert.ok('faults' in outcome);
  const text = outcome.faults.join('\n');
  assert.match(text, /unknown scenario "http-smal"; did you mean "http-small"\?/);
  assert.match(text, /unknown peer "ngnix"; did you mean "nginx"\?/);
  for (const name of ['rounds', 'seconds', 'rate', 'workers', 'connections']) {
    assert.match(text, new RegExp(`--${name} needs a whole number from 1 to`));
  }
  assert.match(text, /--generator is one of wrk, h2load, own, not "ab"/);
});

test('without a choice the peers of a scenario take turns in its order', () => {
  for (const scenario of SCENARIOS) {
    if (scenario.unbuilt === null) assert.deepEqual(names(peersFor(scenario, null, [])), scenario.peers);
  }
});

test('what is published is a whole run', () => {
  const faults = (...args: string[]): string => {
    const given = readArguments(benchCommand, ['--publish', ...args]);
    assert.ok('options' in given);
    const outcome = readOptions(given);
    return 'faults' in outcome ? outcome.faults.join('\n') : '';
  };
  assert.equal(faults(), '');
  assert.equal(faults('--rounds', '3', ...names(SCENARIOS)), '');
  const alone = '--publish is for whole runs: leave out';
  assert.equal(faults('http-small'), `${alone} the names of scenarios`);
  assert.equal(faults('http-small', 'tcp-small', '--quick'), `${alone} the names of scenarios, --quick`);
});

test('the list names every scenario with its target and every peer with its version or package', () => {
  const text = describeCatalogue();
  for (const { name } of [...SCENARIOS, ...PEERS]) assert.match(text, new RegExp(`^  ${name}: `, 'm'));
  assert.match(text, /target: CPU/);
  assert.match(text, /Millrace \d+\.\d+\.\d+ on Node/);
});

function read(...args: string[]): Options {
  const given = readArguments(benchCommand, args);
  assert.ok('options' in given, JSON.stringify(given));
  const options = readOptions(given);
  assert.ok(!('faults' in options), JSON.stringify(options));
  return options;
}

function names(items: readonly { readonly name: string }[]): string[] {
  return items.map(({ name }) => name);
}
