// A run as the harness would have made it, for tests of tables and pages: invented figures, but rows and verdicts come
// from the real summary. It has what a drawing must cope with: a hostile remark, a missed target, marks, a figure of which
// more is better, one without a peer, and a scenario that was left out.

import type { FigureName, Figures } from '../../native-bench/figures.ts';
import { LATENCY_SHARES } from '../../native-bench/load/load.ts';
import { REPORT_FORMAT, type Report } from '../../native-bench/report/report.ts';
import { omit, summarise } from '../../native-bench/report/summary.ts';
import type { Mark, Round } from '../../native-bench/round.ts';
import type { ScenarioResult } from '../../native-bench/run.ts';
import { LOAD_COLUMNS, type Scenario } from '../../native-bench/scenario.ts';

/** What a peer that fails may have said last. */
export const HOSTILE = `<script>alert("x")</script> <img src=http://x.invalid/> & \u001b[31m| 'boom'\u0007`;

/** `drift`: 1 for the figures as they are, 1.1 for a Millrace that costs a tenth more. */
export function sampleReport(startedAt = '2026-11-23T21:09:30.000Z', revision = 'bcbd62a4f00d+', drift = 1): Report {
  return {
    format: REPORT_FORMAT,
    startedAt,
    machine: {
      cpu: 'AMD EPYC',
      cores: 2,
      memoryBytes: 24 * 2 ** 30,
      kernel: 'Linux version 6.18.44',
      runtime: 'Node v24.21.0',
      date: startedAt.slice(0, 10),
      loadAverage: 0.42,
    },
    revision,
    versions: ['Millrace 0.1.0', 'nginx 1.22.1', 'HAProxy 2.6.12', 'http-proxy 1.18.1', 'wrk 4.1.0'],
    command: 'millrace bench --html bench.html',
    cores: 'proxy alone on core 1; origin and load generator share core 0, the only other one',
    plan: { rounds: ROUNDS, seconds: 3, warmUpSeconds: 2 },
    workers: 1,
    scenarios: [
      summarise(httpSmallResult(drift)),
      summarise(routesResult(drift)),
      summarise(overloadResult()),
      summarise(idleResult(drift)),
      omit(
        scenarioOf('tls-small', 'TLS, keep-alive, 129-byte reply', 'cpuMicros', LOAD_COLUMNS),
        'TLS is not built yet',
      ),
    ],
  };
}

/** Five earlier runs, each a little nearer to the last. */
export function sampleHistory(): Report[] {
  return [1.32, 1.27, 1.3, 1.12, 1.14].map((drift, at) =>
    sampleReport(`2026-11-${String(10 + at * 2)}T08:00:00.000Z`, `${at}a2b3c4d5e6f`, drift),
  );
}

/** What the http-small rounds of the sample come to, for tests of the summary. */
export function httpSmallResult(drift = 1): ScenarioResult {
  return {
    scenario: {
      ...scenarioOf('http-small', 'layer 7, keep-alive, 129-byte reply, 64 connections', 'cpuMicros', LOAD_COLUMNS),
      targets: [
        { figure: 'cpuMicros', peer: 'nginx', atMost: 1.1 },
        { figure: 'cpuMicros', peer: 'haproxy', atMost: 0.95 },
        { figure: 'p99Micros', peer: 'nginx', atMost: 1.5 },
      ],
    },
    originPerSecond: 70_000,
    rounds: [
      ...load('millrace', 18.4 * drift, 0.3, 53_000, 1020),
      ...load('nginx', 19.6, 0.26, 49_500, 1260),
      ...load('haproxy', 16.2, 0.3, 68_800, 880, (round) => (round === 3 ? ['errors'] : [])),
      ...load('http-proxy', 84.1, 0.64, 11_800, 4480),
      ...load('fast-proxy', 41.9, 0.62, 23_600, 2460, () => ['disturbed']),
      ...load('fastify-http-proxy', 92.5, 0.6, 10_400, 5100),
    ],
    skipped: [{ peer: 'caddy', reason: `did not start: ${HOSTILE}`, failed: true }],
    notes: [],
    unequal: new Map([['haproxy', ['via']]]),
  };
}

const ROUNDS = 5;
/** Where the rounds of a peer lie around its middle; not sorted, so that a median has something to do. */
const WOBBLE = [0.02, -0.1, 0.3, 0, -0.05];

function routesResult(drift: number): ScenarioResult {
  const title = 'layer 7, a table of 1,000 routes, 129-byte reply, 64 connections';
  return {
    scenario: {
      ...scenarioOf('http-routes-1000', title, 'cpuMicros', LOAD_COLUMNS),
      targets: [{ figure: 'cpuMicros', peer: 'nginx', atMost: 1 }],
    },
    originPerSecond: 70_000,
    rounds: [
      ...load('millrace', 19.1 * drift, 0.64, 51_200, 1080),
      ...load('nginx', 31.3, 0.45, 33_000, 1790),
      ...load('haproxy', 18.3, 0.35, 52_600, 960),
    ],
    skipped: [],
    notes: ['The routes of haproxy stand in a map file.'],
    unequal: new Map(),
  };
}

function overloadResult(): ScenarioResult {
  const columns: FigureName[] = ['goodputShare', 'peakPerSecond', 'offeredPerSecond', 'p50Micros', 'p99Micros'];
  const rounds = (peer: string, share: number, peak: number, p50: number): Round[] =>
    roundsOf(
      peer,
      p50,
      () => [],
      (wobble) => ({
        goodputShare: Math.min(1, share * (1 - wobble * 0.1)),
        peakPerSecond: peak * (1 - wobble),
        offeredPerSecond: peak * 1.5,
      }),
    );
  return {
    scenario: {
      ...scenarioOf('overload', 'layer 7, open loop at 1.5 times the peak', 'goodputShare', columns),
      procedure: 'overload',
      targets: [{ figure: 'goodputShare', peer: null, atLeast: 0.9 }],
    },
    originPerSecond: 70_000,
    rounds: [
      ...rounds('millrace', 0.94, 52_000, 38_000),
      ...rounds('nginx', 0.91, 50_000, 61_000),
      ...rounds('haproxy', 0.97, 58_000, 35_000),
    ],
    skipped: [],
    notes: [],
    unequal: new Map(),
  };
}

function idleResult(drift: number): ScenarioResult {
  const columns: FigureName[] = ['idleBytes', 'residentBytes', 'peakResidentBytes'];
  const rounds = (peer: string, bytes: number): Round[] =>
    roundsOf(
      peer,
      0,
      () => [],
      (wobble) => ({
        idleBytes: bytes * (1 + wobble * 0.1),
        residentBytes: 2 ** 25 + bytes * 10_000,
        peakResidentBytes: 2 ** 25 + bytes * 10_500,
      }),
    );
  return {
    scenario: {
      ...scenarioOf('idle-connections', '10,000 connections that say nothing', 'idleBytes', columns),
      procedure: 'idle',
      targets: [{ figure: 'idleBytes', peer: null, atMost: 6 * 1024 }],
    },
    originPerSecond: null,
    rounds: [
      ...rounds('millrace', 5.3 * 1024 * drift),
      ...rounds('nginx', 0.62 * 1024),
      ...rounds('haproxy', 1.4 * 1024),
    ],
    skipped: [],
    notes: [],
    unequal: new Map(),
  };
}

function scenarioOf(name: string, title: string, headline: FigureName, columns: readonly FigureName[]): Scenario {
  return {
    name,
    title,
    setup: 'http',
    load: { kind: 'http', connections: 64, requests: [], closing: false },
    procedure: 'load',
    peers: ['millrace', 'nginx', 'haproxy'],
    headline,
    columns,
    targets: [],
    unbuilt: null,
  };
}

function load(
  peer: string,
  cpuMicros: number,
  userShare: number,
  perSecond: number,
  p50Micros: number,
  marks: (round: number) => Mark[] = () => [],
): Round[] {
  return roundsOf(peer, p50Micros, marks, (wobble) => ({
    cpuMicros: cpuMicros * (1 + wobble),
    userMicros: cpuMicros * userShare * (1 + wobble),
    kernelMicros: cpuMicros * (1 - userShare) * (1 + wobble),
    proxyShare: 0.98,
    requestsPerSecond: perSecond * (1 - wobble),
    residentBytes: (60 + (cpuMicros % 80)) * 2 ** 20,
  }));
}

/** Latency grows with the nines; without `p50Micros` there is none. */
function roundsOf(
  peer: string,
  p50Micros: number,
  marks: (round: number) => Mark[],
  figures: (wobble: number) => Figures,
): Round[] {
  return WOBBLE.map((shift, at) => {
    const round = at + 1;
    // Peers do not wobble alike, or all ratios of a peer would be the same.
    const wobble = shift * (0.4 + (peer.length % 5) / 5) + (((at * 7 + peer.length) % 5) - 2) / 100;
    const micros = (share: number): number => p50Micros * (1 + wobble) * growth(share);
    const latency = p50Micros === 0 ? [] : LATENCY_SHARES.map((share) => ({ share, micros: micros(share) }));
    const given = marks(round);
    return {
      peer,
      round,
      requests: 100_000,
      figures:
        p50Micros === 0 ? figures(wobble) : { ...figures(wobble), p50Micros: micros(0.5), p99Micros: micros(0.99) },
      latency,
      errors: { connect: 0, read: given.includes('errors') ? 2 : 0, write: 0, timeout: 0, status: 0 },
      marks: given,
    };
  });
}

function growth(share: number): number {
  if (share < 0.5) return 0.35 + 1.3 * share;
  const nines = -Math.log10(2 * (1 - Math.min(share, 0.99997)));
  return 1 + 0.75 * nines ** 1.4;
}
