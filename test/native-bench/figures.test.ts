// The harness where it computes: statistics, what it reads from wrk and the kernel, how targets are judged and shown.
// Nothing is started here.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseBusyTicks, parseProcessStat } from '../../native-bench/accounting.ts';
import { PEERS, SCENARIOS } from '../../native-bench/catalogue.ts';
import { countErrors, parseLoadResult } from '../../native-bench/load.ts';
import { describeCores, divideCores, parseCoreList } from '../../native-bench/machine.ts';
import { marksOf, type Round } from '../../native-bench/measure.ts';
import { peersFor, readOptions } from '../../native-bench/options.ts';
import { lastWords } from '../../native-bench/peer.ts';
import { FORWARDING_HEADERS, missingHeaders } from '../../native-bench/probe.ts';
import { drawScenario, drawTable, writeJson, writeMarkdown } from '../../native-bench/report.ts';
import type { Bench, ScenarioResult } from '../../native-bench/run.ts';
import { pairedRatios, spread } from '../../native-bench/statistics.ts';
import { remarks, summarise } from '../../native-bench/summary.ts';
import { fillTemplate } from '../../native-bench/template.ts';

test('a spread is the middle and the edges, whatever the order', () => {
  assert.deepEqual(spread([3, 1, 2]), { median: 2, lowest: 1, highest: 3 });
  assert.deepEqual(spread([4, 1, 10, 2]), { median: 3, lowest: 1, highest: 10 });
  assert.deepEqual(spread([7]), { median: 7, lowest: 7, highest: 7 });
});

test('a spread leaves out rounds without requests and is null when none is left', () => {
  assert.deepEqual(spread([Number.POSITIVE_INFINITY, 5, Number.NaN]), { median: 5, lowest: 5, highest: 5 });
  assert.equal(spread([Number.NaN]), null);
  assert.equal(spread([]), null);
});

test('ratios pair rounds by number, so a slow round of both leaves the ratio alone', () => {
  const subject = [1, 2, 3].map((round) => ({ round, value: round * 10 }));
  const peer = [3, 1, 2].map((round) => ({ round, value: round * 5 }));
  assert.deepEqual(pairedRatios(subject, peer), [2, 2, 2]);
});

test('ratios skip rounds that one side lacks or that had no requests', () => {
  const subject = [1, 2, 3].map((round) => ({ round, value: 6 }));
  const peer = [
    { round: 2, value: 3 },
    { round: 3, value: 0 },
    { round: 4, value: 3 },
  ];
  assert.deepEqual(pairedRatios(subject, peer), [2]);
});

test("the result line is found among wrk's own output", () => {
  const result = parseLoadResult(`Running 1s test @ http://127.0.0.1:80/small
  1 threads and 64 connections
    Latency     1.24ms  350.00us   9.79ms   91.13%
  Non-2xx or 3xx responses: 3
Requests/sec:  50000.00
millrace-bench requests=51234 bytes=9876543210 micros=1003456 p50=1210 p99=2345 connect=1 read=2 write=3 timeout=4 status=5
`);
  assert.deepEqual(result, {
    requests: 51234,
    bytes: 9876543210,
    seconds: 1.003456,
    p50Micros: 1210,
    p99Micros: 2345,
    errors: { connect: 1, read: 2, write: 3, timeout: 4, status: 5 },
  });
  assert.equal(countErrors(result!.errors), 15);
});

test('output without a whole result line is no result', () => {
  assert.equal(parseLoadResult(''), null);
  assert.equal(parseLoadResult('unable to connect to 127.0.0.1:1 Connection refused\n'), null);
  assert.equal(parseLoadResult('millrace-bench requests=1 bytes=2\n'), null);
  const broken =
    'millrace-bench requests=nan bytes=2 micros=3 p50=4 p99=5 connect=0 read=0 write=0 timeout=0 status=0\n';
  assert.equal(parseLoadResult(broken), null);
});

test('process times are read past a command name with blanks and parentheses', () => {
  const line = '42 (a) b (c) S 7 42 42 0 -1 4194304 100 0 0 0 110 220 3 4 20 0 1 0 5000 1000 200';
  assert.deepEqual(parseProcessStat(line), { parent: 7, user: 113, kernel: 224 });
  assert.equal(parseProcessStat(''), null);
  assert.equal(parseProcessStat('42 (short) S 7'), null);
});

test('busy time of a core counts all but idle and waiting', () => {
  const text =
    'cpu  9 9 9 9 9 9 9 9 9 9\ncpu0 1 2 4 1000 500 8 16 32 0 0\ncpu1 5 0 0 7 0 0 0 0 0 0\ncpu10 70 0 0 0 0 0 0 0 0 0\n';
  assert.equal(parseBusyTicks(text, [0]), 63);
  assert.equal(parseBusyTicks(text, [1]), 5);
  assert.equal(parseBusyTicks(text, [0, 1]), 68);
  assert.equal(parseBusyTicks(text, []), 0);
});

test('the proxy has a core alone as long as there are two', () => {
  assert.deepEqual(parseCoreList('0-2,5'), [0, 1, 2, 5]);
  assert.deepEqual(divideCores([3]), { proxy: [3], origin: [3], load: [3] });
  assert.deepEqual(divideCores([0, 1]), { proxy: [1], origin: [0], load: [0] });
  assert.deepEqual(divideCores([0, 1, 2]), { proxy: [2], origin: [0], load: [1] });
  assert.deepEqual(divideCores([0, 1, 2, 3, 4]), { proxy: [4], origin: [0, 1], load: [2, 3] });
  assert.match(describeCores(divideCores([0, 1])), /share core 0, the only other one/);
  assert.match(describeCores(divideCores([0])), /only core 0/);
  assert.match(describeCores(divideCores([0, 1, 2])), /core 2; origin on 0; load generator on 1/);
});

test('a template with a name without value, or a value without use, is an error', () => {
  assert.equal(fillTemplate('listen @PORT@; # @PORT@ a@b', { PORT: 80 }), 'listen 80; # 80 a@b');
  assert.throws(() => fillTemplate('listen @PORT@', {}), /asks for @PORT@/);
  assert.throws(() => fillTemplate('listen 80', { PORT: 80 }), /never asks for @PORT@/);
});

test('a peer that ends is quoted with its error rather than its stack', () => {
  const stderr =
    'node:internal/x:1\n    throw new E()\n\nError [E_GONE]: Cannot find it\n    at a\n    at b\n\nNode.js v24\n';
  assert.equal(lastWords({ stderr, stdout: '' }), 'Error [E_GONE]: Cannot find it');
  assert.equal(lastWords({ stderr: '', stdout: 'a\nb\n' }), 'a | b');
  assert.equal(lastWords({ stderr: '', stdout: '' }), 'it said nothing');
});

test('headers that did not reach the origin are named', () => {
  assert.deepEqual(missingHeaders(FORWARDING_HEADERS.map((name) => `${name}=x`).join('\n')), []);
  assert.deepEqual(missingHeaders('x-forwarded-for=1\nx-forwarded-proto=\nx-forwarded-host=h\nvia=1.1 a\n'), [
    'x-forwarded-proto',
    'x-request-id',
  ]);
});

test('rounds are marked for errors, company on the core and too little work', () => {
  assert.deepEqual(marksOf({ errors: 0, otherShare: 0.05, ticks: 300 }), []);
  assert.deepEqual(marksOf({ errors: 1, otherShare: 0.2, ticks: 99 }), ['errors', 'disturbed', 'coarse']);
});

test('rows hold medians, the ratio round by round and whether the target was reached', () => {
  const [millrace, nginx, haproxy] = summarise(resultOf());
  assert.deepEqual(millrace?.cpuMicros, { median: 20, lowest: 10, highest: 30 });
  assert.equal(millrace?.ratio, null);
  assert.equal(millrace?.reached, null);
  // Rounds of 10, 20 and 30 against 10, 20 and 60: the median of the ratios, not the ratio of the medians.
  assert.deepEqual(nginx?.ratio, { median: 1, lowest: 0.5, highest: 1 });
  assert.equal(nginx?.target, 1.1);
  assert.equal(nginx?.reached, true);
  assert.deepEqual(haproxy?.ratio, { median: 2, lowest: 1, highest: 3 });
  assert.equal(haproxy?.reached, false);
  assert.equal(haproxy?.errors, 2);
});

test('what a reader must know stands below the table', () => {
  const result = resultOf();
  const lines = remarks(result, summarise(result)).join('\n');
  assert.match(lines, /Without fast-proxy: not installed\./);
  assert.match(lines, /haproxy does not add via/);
  assert.match(lines, /millrace reached 95 % of the throughput/);
  assert.doesNotMatch(lines, /nginx reached/);
  assert.match(lines, /haproxy: 1 of 3 rounds had errors/);
});

test('without Millrace there are figures but no ratios and no verdicts', () => {
  const result = resultOf();
  const rounds = result.rounds.filter(({ peer }) => peer !== 'millrace');
  for (const row of summarise({ ...result, rounds })) {
    assert.equal(row.ratio, null);
    assert.equal(row.reached, null);
    assert.notEqual(row.cpuMicros, null);
  }
});

test('the table on a terminal shows medians, edges, marks and verdicts', () => {
  const text = drawScenario(resultOf());
  assert.match(text, /^millrace +20\.0 \(10\.0-30\.0\)/m);
  assert.match(text, /^nginx .*1\.00 \(0\.50-1\.00\) +≤ 1\.10 +reached$/m);
  assert.match(text, /^haproxy !.*≤ 0\.95 +missed$/m);
  assert.match(drawScenario({ ...resultOf(), rounds: [] }), /nothing measured/);
  assert.deepEqual(
    drawTable([
      ['a', 'bb'],
      ['ccc', 'd'],
    ]),
    ['a    bb', 'ccc   d'],
  );
});

test('the page and the JSON hold machine, versions, command and all tables', () => {
  const setting = {
    machine: {
      cpu: 'A CPU',
      cores: 2,
      memoryBytes: 2 ** 32,
      kernel: 'Linux 6',
      runtime: 'Node v24.0.0',
      date: '2026-01-02',
      loadAverage: 0.25,
    },
    versions: ['nginx 1.22.1', 'wrk 4'],
    command: 'node native-bench/bench.ts',
  };
  const bench: Bench = {
    wrk: '/usr/bin/wrk',
    launcher: { taskset: null, setpriv: null },
    cores: divideCores([0, 1]),
    pinned: true,
    plan: { rounds: 3, seconds: 2, warmUpSeconds: 1 },
    progress: () => {},
  };
  const page = writeMarkdown(setting, bench, [resultOf()]);
  for (const part of ['A CPU, 2 cores, 4 GiB', 'Linux 6', '2026-01-02', 'nginx 1.22.1; wrk 4', '## http-small']) {
    assert.ok(page.includes(part), part);
  }
  const rows = page.split('\n').filter((line) => line.startsWith('| nginx') || line.startsWith('| peer'));
  assert.equal(rows.length, 2);
  assert.equal(rows[0]!.split('|').length, rows[1]!.split('|').length);

  const parsed = JSON.parse(writeJson(setting, bench, [resultOf()]));
  assert.equal(parsed.scenarios[0].rounds.length, 9);
  assert.deepEqual(parsed.scenarios[0].unequal, { haproxy: ['via'] });
  assert.deepEqual(parsed.scenarios[0].rows[2].marks, { errors: 1 });
});

test('the command line is read, or answered with what is wrong', () => {
  const defaults = readOptions([]);
  assert.ok(typeof defaults !== 'string');
  assert.deepEqual(defaults.scenarios, SCENARIOS);
  assert.deepEqual(defaults.plan, { rounds: 5, seconds: 3, warmUpSeconds: 2 });

  const chosen = readOptions([
    'tcp-1m',
    '--quick',
    '--rounds',
    '7',
    '--peers',
    'haproxy,fast-proxy',
    '--json',
    'a.json',
  ]);
  assert.ok(typeof chosen !== 'string');
  assert.deepEqual(chosen.plan, { rounds: 7, seconds: 2, warmUpSeconds: 1 });
  assert.equal(chosen.json, 'a.json');
  // fast-proxy does not speak layer 4.
  assert.deepEqual(
    peersFor(chosen.scenarios[0]!, chosen.peers).map(({ name }) => name),
    ['haproxy'],
  );

  assert.match(String(readOptions(['nope'])), /no scenario is named nope; there are http-small/);
  assert.match(String(readOptions(['--peers', 'nope'])), /no peer is named nope/);
  assert.match(String(readOptions(['--peers', ''])), /--peers needs/);
  assert.match(String(readOptions(['--rounds', '0'])), /--rounds/);
  assert.match(String(readOptions(['--seconds', '1.5'])), /--seconds/);
  assert.match(String(readOptions(['--colour'])), /colour/);
});

test('every scenario names peers that exist, speak its protocol and carry its targets', () => {
  assert.equal(new Set(SCENARIOS.map(({ name }) => name)).size, SCENARIOS.length);
  assert.equal(new Set(PEERS.map(({ name }) => name)).size, PEERS.length);
  for (const scenario of SCENARIOS) {
    assert.deepEqual(
      peersFor(scenario, null).map(({ name }) => name),
      scenario.peers,
    );
    for (const target of scenario.targets) assert.ok(scenario.peers.includes(target.peer), scenario.name);
  }
});

/** Three rounds of three peers; haproxy has errors in the last and forgets a header. */
function resultOf(): ScenarioResult {
  const cpu = { millrace: [10, 20, 30], nginx: [10, 20, 60], haproxy: [10, 10, 10] };
  const perSecond = { millrace: 950, nginx: 500, haproxy: 500 };
  const rounds: Round[] = [];
  for (const round of [1, 2, 3]) {
    for (const peer of ['millrace', 'nginx', 'haproxy'] as const) {
      const failed = peer === 'haproxy' && round === 3;
      const cpuMicros = cpu[peer][round - 1]!;
      rounds.push({
        peer,
        round,
        requests: 1000,
        requestsPerSecond: perSecond[peer],
        cpuMicros,
        userMicros: cpuMicros / 2,
        kernelMicros: cpuMicros / 2,
        proxyShare: 0.9,
        otherShare: 0,
        p50Micros: 1000,
        p99Micros: 2000,
        residentBytes: 2 ** 24,
        errors: { connect: 0, read: failed ? 2 : 0, write: 0, timeout: 0, status: 0 },
        marks: failed ? ['errors'] : [],
      });
    }
  }
  return {
    scenario: SCENARIOS.find(({ name }) => name === 'http-small')!,
    originPerSecond: 1000,
    rounds,
    skipped: [{ peer: 'fast-proxy', reason: 'not installed' }],
    unequal: new Map([['haproxy', ['via']]]),
  };
}
