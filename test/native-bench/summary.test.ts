// The harness where it computes: medians and edges, ratios round by round, marks, targets, and what a reader is told.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LatencyPoint } from '../../native-bench/load/load.ts';
import { latencyFigures, marksOf } from '../../native-bench/procedure/account.ts';
import type { Row } from '../../native-bench/report/report.ts';
import { pairedRatios, spread } from '../../native-bench/report/statistics.ts';
import { omit, summarise, withinTarget } from '../../native-bench/report/summary.ts';
import type { Round } from '../../native-bench/round.ts';
import type { ScenarioResult } from '../../native-bench/run.ts';
import { httpSmall } from '../../native-bench/scenarios/http-small.ts';

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

test('rounds are marked for errors, company on the core and too little work', () => {
  const errors = { connect: 0, read: 0, write: 0, timeout: 0, status: 0 };
  assert.deepEqual(marksOf({ errors, unsent: 0, otherShare: 0.05, ticks: 300 }), []);
  const wrong = { ...errors, status: 1 };
  assert.deepEqual(marksOf({ errors: wrong, unsent: 1, otherShare: 0.2, ticks: 99 }), [
    'errors',
    'unsent',
    'disturbed',
    'coarse',
  ]);
});

test('latency figures are read off the curve, and there are none of an empty one', () => {
  const curve = [0.5, 0.9, 0.99, 0.999, 1].map((share, place) => ({ share, micros: place + 1 }));
  const figures = { p50Micros: 1, p90Micros: 2, p99Micros: 3, p999Micros: 4, maxMicros: 5 };
  assert.deepEqual(latencyFigures(curve), figures);
  assert.deepEqual(latencyFigures([]), {});
});

test('rows hold medians, the ratio round by round, and the latency of the middle round', () => {
  const { rows } = summarise(resultOf());
  const [millrace, nginx, haproxy] = rows as [Row, Row, Row];
  assert.deepEqual(millrace.figures.cpuMicros, { median: 20, lowest: 10, highest: 30 });
  assert.equal(millrace.ratio, null);
  // Rounds of 10, 20 and 30 against 10, 20 and 60: the median of the ratios, not the ratio of the medians.
  assert.deepEqual(nginx.ratio, { median: 1, lowest: 0.5, highest: 1 });
  assert.deepEqual(haproxy.ratio, { median: 2, lowest: 1, highest: 3 });
  assert.equal(haproxy.errors, 2);
  assert.deepEqual(haproxy.marks, { errors: 1 });
  assert.deepEqual(millrace.latency, [{ share: 0.5, micros: 2000 }]);
  assert.equal(millrace.figures.idleBytes, undefined);
});

test('targets are judged by the median, against a peer or by a figure of our own', () => {
  const verdicts = summarise(resultOf()).verdicts.map(({ target, value, reached }) => [
    target.peer,
    value?.median,
    reached,
  ]);
  assert.deepEqual(verdicts, [
    ['nginx', 1, true],
    ['haproxy', 2, false],
    ['caddy', undefined, null],
    [null, 950, true],
  ]);
  assert.equal(withinTarget({ figure: 'goodputShare', peer: null, atLeast: 0.9 }, 0.89), false);
  assert.equal(withinTarget({ figure: 'goodputShare', peer: null, atLeast: 0.9 }, 0.9), true);
  assert.equal(withinTarget({ figure: 'idleBytes', peer: null, atMost: 6144 }, 6145), false);
});

test('what a reader must know stands below the table', () => {
  const lines = summarise(resultOf()).remarks.join('\n');
  assert.match(lines, /Without fast-proxy: not installed\./);
  assert.match(lines, /haproxy does not add via/);
  assert.match(lines, /Load by wrk\./);
  assert.match(lines, /haproxy: 1 of 3 rounds had errors/);
});

test('a bottleneck elsewhere is told: throughput as without a proxy, or a proxy that waits', () => {
  const lines = summarise(resultOf()).remarks.join('\n');
  assert.match(lines, /millrace reached 95 % of the throughput/);
  assert.doesNotMatch(lines, /nginx reached/);
  assert.match(lines, /Not at its limit: haproxy \(50 %\) of its core busy/);
  const idle: ScenarioResult = { ...resultOf(), scenario: { ...resultOf().scenario, procedure: 'idle' } };
  assert.doesNotMatch(summarise(idle).remarks.join('\n'), /limit/);
});

test('at a given rate nobody is meant to be at a limit, so none is told', () => {
  const result = resultOf();
  const rounds = result.rounds.map((round) => ({ ...round, figures: { ...round.figures, offeredPerSecond: 500 } }));
  const lines = summarise({ ...result, rounds }).remarks.join('\n');
  assert.doesNotMatch(lines, /limit/);
  assert.match(lines, /haproxy: 1 of 3 rounds had errors/);
});

test('rounds that could not send all that was due, or lost slow clients, are counted below the table', () => {
  const result = resultOf();
  const rounds = result.rounds.map((one): Round => {
    if (one.peer === 'nginx' && one.round > 1) return { ...one, marks: ['unsent'] };
    return one.peer === 'millrace' ? { ...one, marks: ['dropped'] } : one;
  });
  const { rows, remarks } = summarise({ ...result, rounds });
  assert.deepEqual(
    rows.map(({ marks }) => marks),
    [{ dropped: 3 }, { unsent: 2 }, { errors: 1 }],
  );
  const lines = remarks.join('\n');
  assert.match(lines, /nginx: 2 of 3 rounds could not send all that was due: .* latency is a lower bound\./);
  assert.match(lines, /millrace: 3 of 3 rounds closed connections of slow clients/);
});

test('without Millrace there are figures but no ratios and no verdicts', () => {
  const result = resultOf();
  const { rows, verdicts } = summarise({ ...result, rounds: result.rounds.filter(({ peer }) => peer !== 'millrace') });
  for (const row of rows) {
    assert.equal(row.ratio, null);
    assert.notEqual(row.figures.cpuMicros, undefined);
  }
  for (const { reached } of verdicts) assert.equal(reached, null);
});

test('a scenario that was left out says why and has no figures', () => {
  const report = omit(httpSmall, 'TLS is not built yet');
  assert.equal(report.omitted, 'TLS is not built yet');
  assert.deepEqual(report.rows, []);
});

/** Three rounds of three peers; haproxy has errors in the last and forgets a header. */
function resultOf(): ScenarioResult {
  const cpu = { millrace: [10, 20, 30], nginx: [10, 20, 60], haproxy: [10, 10, 10] };
  const perSecond = { millrace: 950, nginx: 500, haproxy: 500 };
  const rounds: Round[] = [];
  for (const round of [1, 2, 3]) {
    for (const peer of ['millrace', 'nginx', 'haproxy'] as const) {
      const failed = peer === 'haproxy' && round === 3;
      const latency: LatencyPoint[] = [{ share: 0.5, micros: round * 1000 }];
      rounds.push({
        peer,
        round,
        requests: 1000,
        figures: {
          cpuMicros: cpu[peer][round - 1]!,
          requestsPerSecond: perSecond[peer],
          proxyShare: peer === 'haproxy' ? 0.5 : 0.97,
        },
        latency,
        errors: { connect: 0, read: failed ? 2 : 0, write: 0, timeout: 0, status: 0 },
        marks: failed ? ['errors'] : [],
      });
    }
  }
  return {
    scenario: {
      ...httpSmall,
      targets: [
        { figure: 'cpuMicros', peer: 'nginx', atMost: 1.1 },
        { figure: 'cpuMicros', peer: 'haproxy', atMost: 0.95 },
        { figure: 'cpuMicros', peer: 'caddy', atMost: 0.5 },
        { figure: 'requestsPerSecond', peer: null, atLeast: 900 },
      ],
    },
    originPerSecond: 1000,
    rounds,
    skipped: [{ peer: 'fast-proxy', reason: 'not installed', failed: false }],
    notes: ['Load by wrk.'],
    unequal: new Map([['haproxy', ['via']]]),
  };
}
