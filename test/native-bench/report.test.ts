// What is told of a run in text: tables for a terminal, Markdown, JSON and back, kept results, their trend, and the
// progress while it runs. The page has a test of its own.

import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { readReport, writeJson } from '../../native-bench/report/json.ts';
import { spliceReadme, writeMarkdown } from '../../native-bench/report/markdown.ts';
import { Progress } from '../../native-bench/report/progress.ts';
import type { Report, ScenarioReport } from '../../native-bench/report/report.ts';
import { keepResult, readResults } from '../../native-bench/report/results.ts';
import { linearScale, logScale, percentilePlace, ratioScale } from '../../native-bench/report/scale.ts';
import { summarise } from '../../native-bench/report/summary.ts';
import { drawScenario, drawSetting, drawTable } from '../../native-bench/report/table.ts';
import { changeText, drawSparkline, drawTrend, trendsOf } from '../../native-bench/report/trend.ts';
import { figureText, ratioText, sideOf, spreadText, targetText } from '../../native-bench/report/wording.ts';
import { httpSmallResult, sampleHistory, sampleReport } from './sample-report.ts';

const ESCAPE = '\u001b';

test('a figure has the unit of its heading and no more than three digits that mean something', () => {
  const cases: [string, string][] = [
    [figureText('cpuMicros', 18.44), '18.4'],
    [figureText('cpuMicros', 473.4), '473'],
    [figureText('requestsPerSecond', 53_122.4), '53122'],
    [figureText('p99Micros', 2_674), '2.67'],
    [figureText('p99Micros', 10_480), '10.5'],
    [figureText('proxyShare', 0.984), '98'],
    [figureText('residentBytes', 2 ** 24), '16'],
    [figureText('idleBytes', 6 * 1024), '6.0'],
    [figureText('cpuMicros', 0), '0.0'],
    [spreadText('cpuMicros', { median: 20, lowest: 9.96, highest: 30 }), '20.0 (10.0-30.0)'],
    [spreadText('idleBytes', { median: 600, lowest: 599, highest: 601 }), '0.6'],
    [ratioText({ median: 1.086, lowest: 0.94, highest: 1.14 }), '1.09 (0.94-1.14)'],
    [targetText({ figure: 'cpuMicros', peer: 'haproxy', atMost: 0.95 }), 'CPU µs/request at most 0.95 × HAProxy'],
    [targetText({ figure: 'goodputShare', peer: null, atLeast: 0.9 }), 'goodput % at least 90'],
    [targetText({ figure: 'idleBytes', peer: null, atMost: 6_144 }), 'KiB/idle connection at most 6.0'],
  ];
  for (const [text, wanted] of cases) assert.equal(text, wanted);
});

test('a ratio takes a side only when all rounds do, and the side depends on what is better', () => {
  const below = { median: 0.8, lowest: 0.7, highest: 0.9 };
  const above = { median: 1.2, lowest: 1.1, highest: 1.3 };
  assert.equal(sideOf('cpuMicros', below), 'better');
  assert.equal(sideOf('cpuMicros', above), 'worse');
  assert.equal(sideOf('goodputShare', below), 'worse');
  assert.equal(sideOf('goodputShare', above), 'better');
  assert.equal(sideOf('cpuMicros', { median: 0.9, lowest: 0.8, highest: 1.01 }), 'even');
});

test('the table on a terminal shows medians, edges, marks, targets and remarks within 160 columns', () => {
  const text = drawScenario(summarise(httpSmallResult()), false);
  assert.match(text, /^http-small: layer 7, keep-alive/);
  assert.match(text, /^peer +CPU µs\/request +user .* errors +Millrace ÷ peer$/m);
  assert.match(text, /^millrace +\d+\.\d \(\d+\.\d-\d+\.\d\) .* -$/m);
  assert.match(text, /^nginx .* \d\.\d\d \(\d\.\d\d-\d\.\d\d\)$/m);
  assert.match(text, /^haproxy ! .* 2 +1\.\d\d \(/m);
  assert.match(text, /^fast-proxy ~ /m);
  assert.match(text, /^target: CPU µs\/request at most 1\.10 × nginx: 0\.\d\d \(.*\), reached$/m);
  assert.match(text, /^target: CPU µs\/request at most 0\.95 × HAProxy: 1\.\d\d \(.*\), missed$/m);
  assert.match(text, /^- haproxy does not add via/m);
  const rows = text.split('\n').filter((line) => !line.startsWith('-'));
  assert.ok(Math.max(...rows.map((line) => line.length)) <= 160);
});

test('a scenario that was not measured is one line, and one without rounds says so', () => {
  const report = sampleReport();
  assert.equal(drawScenario(report.scenarios.at(-1)!, false), 'tls-small: not measured: TLS is not built yet\n');
  const empty: ScenarioReport = summarise({ ...httpSmallResult(), rounds: [] });
  const text = drawScenario(empty, false);
  assert.match(text, /nothing measured/);
  assert.match(text, /^target: .*: not measured$/m);
});

test('colour comes only when asked for, and nothing that a peer said is obeyed by the terminal', () => {
  const scenario = summarise(httpSmallResult());
  const plain = drawScenario(scenario, false);
  assert.ok(!plain.includes(ESCAPE) && !plain.includes('\u0007'));
  assert.match(plain, /did not start: <script>/);
  const styled = drawScenario(scenario, true);
  assert.ok(styled.includes(`${ESCAPE}[32mreached${ESCAPE}[39m`));
  assert.ok(styled.includes(`${ESCAPE}[31mmissed${ESCAPE}[39m`));
  // Only the sequences of ours are in it, so that taking them out gives the plain table.
  const stripped = styled.replace(/\u001b\[\d+m/g, '').replace(/ +$/gm, '');
  assert.equal(stripped, plain);
});

test('the head of a report names machine, revision, versions and command', () => {
  const text = drawSetting(sampleReport());
  const parts = [
    'AMD EPYC, 2 cores, 24 GiB',
    '2026-11-23 21:09 UTC',
    'bcbd62a+',
    'nginx 1.22.1; HAProxy',
    '--html bench',
  ];
  for (const part of parts) assert.ok(text.includes(part), part);
  assert.match(drawSetting({ ...sampleReport(), revision: null }), /not from a checkout/);
});

test('columns of a table are as wide as their widest cell', () => {
  const table = [
    ['a', 'bb'],
    ['ccc', 'd'],
  ];
  assert.deepEqual(drawTable(table), ['a    bb', 'ccc   d']);
});

test('the Markdown page has a table of equal rows for each scenario, its targets, and the meaning of each figure', () => {
  const page = writeMarkdown(sampleReport());
  for (const part of [
    'AMD EPYC, 2 cores, 24 GiB',
    '## http-small',
    '## overload',
    'tls-small: TLS is not built yet.',
  ]) {
    assert.ok(page.includes(part), part);
  }
  assert.match(page, /\*\*goodput %\*\*: .*; higher is better\./);
  assert.match(page, /Target: CPU µs\/request at most 0\.95 × HAProxy: .*, \*\*missed\*\*\./);
  const lines = page.split('\n');
  const head = lines.findIndex((line) => line.startsWith('| peer'));
  const table = lines.slice(head, head + 8);
  assert.equal(new Set(table.map((line) => line.split('|').length)).size, 1);
  assert.equal(new Set(table.map((line) => line.length)).size, 1);
});

test('what a peer said cannot become markup of the Markdown page', () => {
  const page = writeMarkdown(sampleReport());
  assert.ok(!page.includes('<script'));
  assert.ok(!page.includes(ESCAPE));
  assert.match(page, /&lt;script&gt;.*\\\| 'boom'/);
});

test('the README gets a short table between its marks, and nothing else of it changes', () => {
  const readme = '# A\n\n<!-- bench -->\nold\n<!-- /bench -->\n\nrest\n';
  const { text, error } = spliceReadme(readme, sampleReport());
  assert.equal(error, null);
  assert.ok(text.startsWith('# A\n\n<!-- bench -->\n\n| scenario '));
  assert.ok(text.endsWith('\n\n<!-- /bench -->\n\nrest\n'));
  assert.ok(!text.includes('old'));
  assert.match(
    text,
    /129-byte reply, 64 connections +\| +18\.\d \| +19\.\d \| +16\.\d \| at most 1\.10 × nginx +\| 0\.97 /,
  );
  assert.match(text, /at most 0\.95 × HAProxy +\| 1\.\d\d, \*\*missed\*\*/);
  assert.match(text, /KiB\/idle connection +\| .* \| at most 6\.0 /);
  assert.match(text, /Others in http-small: http-proxy 8\d/);
  // Written again it stays the same.
  assert.equal(spliceReadme(text, sampleReport()).text, text);
});

test('a README without the marks, or with them turned round, is left as it is with an error', () => {
  for (const readme of ['', '<!-- bench -->', '<!-- /bench --> <!-- bench -->']) {
    const { text, error } = spliceReadme(readme, sampleReport());
    assert.equal(text, readme);
    assert.match(String(error), /no place for the table/);
  }
});

test('JSON holds the whole run, with every round, and reads back the same', () => {
  const report = sampleReport();
  const text = writeJson(report);
  assert.deepEqual(readReport(text), report);
  assert.equal(report.scenarios[0]?.rounds.length, 30);
});

test('a figure that is not finite is left out of JSON rather than becoming a null that nobody can read', () => {
  const report = sampleReport();
  const [scenario] = report.scenarios;
  const [round] = scenario!.rounds;
  const odd = { ...round!, figures: { cpuMicros: Number.NaN, p50Micros: 3 } };
  const back = readReport(writeJson({ ...report, scenarios: [{ ...scenario!, rounds: [odd] }] }));
  assert.ok(typeof back !== 'string');
  assert.deepEqual(back.scenarios[0]?.rounds[0]?.figures, { p50Micros: 3 });
});

test('what is no report is answered with a sentence that says why', () => {
  const report = sampleReport();
  const cases: [unknown, RegExp][] = [
    [null, /names no format/],
    [[], /names no format/],
    [{ ...report, format: 99 }, /has format 99, and this version reads format 1/],
    [{ ...report, machine: undefined }, /at machine/],
    [{ ...report, startedAt: 'yesterday' }, /at startedAt/],
    [{ ...report, scenarios: [{ ...report.scenarios[0], headline: 'charm' }] }, /at scenarios\[0\]\.headline/],
    [{ ...report, scenarios: [{ ...report.scenarios[0], rows: [{}] }] }, /at scenarios\[0\]\.rows\[0\]\.peer/],
  ];
  for (const [value, wanted] of cases) assert.match(String(readReport(JSON.stringify(value))), wanted);
  assert.match(String(readReport('{')), /not JSON/);
  assert.match(String(readReport('')), /not JSON/);
});

test('kept results are named by moment and revision, never overwritten, and read back oldest first', (t) => {
  const folder = temporaryFolder(t);
  const results = join(folder, 'results');
  assert.deepEqual(readResults(results), { reports: [], faults: [] });
  const report = sampleReport();
  const paths = [report, report, ...sampleHistory()].map((one) => keepResult(results, one));
  assert.equal(paths[0], join(results, '2026-11-23-2109-bcbd62a+.json'));
  assert.equal(paths[1], join(results, '2026-11-23-2109-bcbd62a+-2.json'));
  assert.match(keepResult(results, { ...report, revision: null }), /2109-unknown\.json$/);
  writeFileSync(join(results, 'broken.json'), '{"format":1}');
  writeFileSync(join(results, 'README.md'), 'not a result');

  const { reports, faults } = readResults(results);
  assert.equal(reports.length, 8);
  assert.deepEqual(
    reports.map(({ startedAt }) => startedAt),
    reports.map(({ startedAt }) => startedAt).sort(),
  );
  assert.equal(faults.length, 1);
  assert.match(faults[0]!, /broken\.json: It is not a whole report at \w+/);
  // Rounds are what makes a report large; rows keep their latency.
  const [scenario] = reports.at(-1)!.scenarios;
  assert.deepEqual(scenario?.rounds, []);
  assert.equal(scenario?.rows[0]?.latency.length, 14);
  assert.ok(readFileSync(paths[0]!).length < writeJson(report).length / 4);
  assert.equal(readdirSync(results).length, 10);
});

test('the trend draws each peer over the runs and marks a change beyond both spreads', () => {
  const reports = [...sampleHistory(), sampleReport()];
  const text = drawTrend(reports, false);
  assert.match(text, /^http-small: CPU µs\/request, lower is better$/m);
  assert.match(text, /2026-11-18 08:00 4a2b3c4 +2026-11-23 21:09 bcbd62a\+ +change$/m);
  assert.match(text, /^Millrace +[▁-█]{6} .* -12\.3 %$/m);
  assert.match(text, /^÷ nginx +[▁-█]{6} .* 0\.97 +-12\.3 % \*$/m);
  assert.doesNotMatch(text, /tls-small/);
  assert.doesNotMatch(text, /different machines/);
  assert.ok(drawTrend(reports, true).includes(`${ESCAPE}[32m`));
  assert.equal(drawTrend([], false), 'No runs are kept yet.\n');
  const other: Report = { ...sampleReport(), machine: { ...sampleReport().machine, cpu: 'Another' } };
  assert.match(drawTrend([...reports, other], false), /different machines/);
});

test('a trend leaves a gap where a run did not measure, and compares the last two that did', () => {
  const [first, second] = [sampleReport(), sampleReport('2026-11-24T08:00:00.000Z', 'ffffffffff', 1.02)];
  const gap: Report = { ...second, startedAt: '2026-11-23T22:00:00.000Z', scenarios: [] };
  const [trend] = trendsOf([first, gap, second]);
  const line = trend?.lines.find(({ peer }) => peer === 'nginx');
  assert.deepEqual(
    line?.points.map((point) => point === null),
    [false, true, false],
  );
  assert.equal(changeText(line!.change!), '+2.0 %');
  assert.equal(line!.change!.better, false);
  assert.equal(drawSparkline([1, null, 3, 2]), '▁ █▅');
  assert.equal(drawSparkline([2, 2]), '▄▄');
});

test('axes hold all values, keep 1 in sight, and stretch towards the tail', () => {
  const ratios = ratioScale([0.5, 4], 0);
  assert.deepEqual(
    [0.5, 1, 4].map((value) => Math.round(ratios.place(value) * 300)),
    [0, 100, 300],
  );
  assert.ok(ratios.ticks.includes(1) && ratios.ticks.every((tick) => tick >= 0.5 && tick <= 4));
  assert.ok(ratioScale([8], 0, 0.6).place(1) > 0.37);
  assert.equal(ratioScale([0, Number.NaN], 0).place(1), 0.5);

  const linear = linearScale([107.3, 20]);
  assert.deepEqual(linear.ticks, [0, 50, 100]);
  assert.equal(linear.place(107.3), 1);
  assert.ok(Number.isFinite(linearScale([0]).place(0)));

  const log = logScale([500, 20_000]);
  assert.ok(log.ticks.length >= 3 && log.ticks.length <= 7);
  assert.ok(log.place(500) > 0 && log.place(20_000) < 1);

  const places = [0, 0.5, 0.9, 0.99, 0.999, 0.9999, 1].map(percentilePlace);
  assert.deepEqual(
    places,
    places.toSorted((a, b) => a - b),
  );
  assert.equal(places[0], 0);
  assert.equal(places.at(-1), 1);
  assert.ok(Math.abs(places[3]! - places[2]! - (places[4]! - places[3]!)) < 1e-9);
});

test('on a terminal one live line tells how far the run is, and makes way for what is printed', () => {
  const { progress, written, at } = progressAt(true, 100);
  progress.begin([
    { scenario: 'http-small', seconds: 60 },
    { scenario: 'http-1m', seconds: 60 },
  ]);
  progress.step('http-small', 'nginx', 0, 5);
  assert.match(written(), /^\r\u001b\[2K─+ 1\/2 http-small, nginx, warm-up, 2 min left$/);
  at(30_000);
  progress.step('http-small', 'haproxy', 3, 5);
  assert.match(written(), /^\r\u001b\[2K━+─+ 1\/2 http-small, haproxy, round 3\/5, 90 s left$/);
  at(31_000);
  progress.line('a line');
  assert.match(written(), /^\r\u001b\[2Ka line\n\r\u001b\[2K━.*, 89 s left$/);
  // Twice as slow as planned: what is left is too.
  at(120_000);
  progress.step('http-1m', 'millrace', 1, 5);
  assert.match(written(), /━{16}─{16} 2\/2 http-1m, millrace, round 1\/5, 2 min left$/);
  at(121_000);
  progress.pause(() => progress.line('inside'));
  assert.match(written(), /^\r\u001b\[2Kinside\n\r\u001b\[2K━/);
  progress.end();
  assert.equal(written(), '\r\u001b[2K');
  progress.line('after');
  progress.step('http-1m', 'millrace', 2, 5);
  assert.equal(written(), 'after\n');
});

test('the live line never wraps, is not redrawn more than ten times a second, and obeys nothing in a name', () => {
  for (const width of [120, 60, 40, 20, 5, 0]) {
    const { progress, written, at } = progressAt(true, width);
    progress.begin([{ scenario: 'http-small', seconds: 10 }]);
    for (let ms = 0; ms < 1000; ms += 10) {
      at(ms);
      progress.step('http-small', `${ESCAPE}[2Jnginx\n`, 1, 5);
    }
    const lines = written().split(`\r${ESCAPE}[2K`).slice(1);
    assert.equal(lines.length, 10);
    for (const line of lines) assert.ok(line.length < Math.max(1, width) && !line.includes(ESCAPE), line);
    progress.end();
  }
});

test('elsewhere than on a terminal there are plain lines, one per scenario and then every ten seconds', () => {
  const { progress, written, at } = progressAt(false, 80);
  progress.begin([
    { scenario: 'http-small', seconds: 20 },
    { scenario: 'http-1m', seconds: 20 },
  ]);
  for (let second = 0; second < 15; second++) {
    at(second * 1000);
    progress.step('http-small', 'nginx', 1, 3);
  }
  progress.step('http-1m', 'nginx', 1, 3);
  progress.step('unknown', 'nginx', 1, 3);
  progress.line('said');
  progress.end();
  const lines = written().split('\n');
  assert.equal(lines.length, 5);
  assert.match(lines[0]!, /^1\/2 http-small, nginx, round 1\/3, 40 s left$/);
  assert.match(lines[1]!, /^1\/2 http-small/);
  assert.match(lines[2]!, /^2\/2 http-1m/);
  assert.equal(lines[3], 'said');
});

/** A progress display with a clock and a stream in hand; `written` gives what came since it was last asked. */
function progressAt(terminal: boolean, width: number) {
  let nowMs = 0;
  let text = '';
  const progress = new Progress({
    stream: { write: (part: string) => (text += part) },
    terminal,
    now: () => nowMs,
    width: () => width,
    everyMs: 0,
  });
  const at = (ms: number): void => {
    nowMs = ms;
  };
  const written = (): string => {
    const since = text;
    text = '';
    return since;
  };
  return { progress, written, at };
}

function temporaryFolder(t: { after(done: () => void): void }): string {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-report-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
