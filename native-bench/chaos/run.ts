// Faults of origins under steady load, the same for every proxy: what clients notice, how soon the proxy does, and how soon
// an origin that is well again gets its share. Prints a table; some minutes. `node run.ts [FAULT...]`.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Answered, Crowd } from './crowd.ts';
import { TORMENTED, type Tormented } from './proxies.ts';

const CLIENTS = 64;
const ORIGIN = fileURLToPath(new URL('./origin.ts', import.meta.url));

/** The origins of a run; the first is the one that suffers. */
class Fleet {
  readonly ports: number[] = [];
  readonly #origins: ChildProcess[] = [];

  async start(count: number): Promise<void> {
    for (let i = 0; i < count; i++) this.ports.push(await freePort());
    for (let i = 0; i < count; i++) await this.revive(i);
  }

  async revive(place: number): Promise<void> {
    const origin = spawn(process.execPath, [ORIGIN, `o${place}`, String(this.ports[place])], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#origins[place] = origin;
    started.add(origin);
    await once(origin.stdout!, 'data');
  }

  tell(place: number, mode: string): void {
    this.#origins[place]!.stdin!.write(`${mode}\n`);
  }

  async kill(place: number, signal: NodeJS.Signals): Promise<void> {
    const origin = this.#origins[place]!;
    origin.kill(signal);
    if (signal === 'SIGSTOP' || signal === 'SIGCONT') return;
    if (origin.exitCode === null && origin.signalCode === null) await once(origin, 'exit');
    started.delete(origin);
  }
}

interface Fault {
  readonly name: string;
  /** Begins. */
  strike(fleet: Fleet): Promise<void> | void;
  /** Ends. */
  heal(fleet: Fleet): Promise<void> | void;
  /** The fault strikes and heals by itself within `strike`, so nothing can be timed. */
  readonly whole?: boolean;
}

const FAULTS: readonly Fault[] = [
  { name: 'killed', strike: (fleet) => fleet.kill(0, 'SIGKILL'), heal: (fleet) => fleet.revive(0) },
  { name: 'stopped', strike: (fleet) => fleet.kill(0, 'SIGSTOP'), heal: (fleet) => fleet.kill(0, 'SIGCONT') },
  { name: 'silent', strike: (fleet) => fleet.tell(0, 'silent'), heal: (fleet) => fleet.tell(0, 'well') },
  { name: 'cut-heads', strike: (fleet) => fleet.tell(0, 'cut'), heal: (fleet) => fleet.tell(0, 'well') },
  { name: 'tenth-503', strike: (fleet) => fleet.tell(0, 'errors'), heal: (fleet) => fleet.tell(0, 'well') },
  {
    name: 'rolling',
    whole: true,
    async strike(fleet) {
      for (let place = 0; place < fleet.ports.length; place++) {
        await fleet.kill(place, 'SIGTERM');
        await pause(300);
        await fleet.revive(place);
        await pause(4000);
      }
    },
    heal: () => {},
  },
  {
    name: 'all-dead',
    async strike(fleet) {
      await Promise.all(fleet.ports.map((_, place) => fleet.kill(place, 'SIGKILL')));
    },
    async heal(fleet) {
      await Promise.all(fleet.ports.map((_, place) => fleet.revive(place)));
    },
  },
];

const started = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of started) child.kill('SIGKILL');
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !FAULTS.some((fault) => fault.name === name));
if (unknown.length > 0) {
  console.error(`unknown fault ${unknown.join(', ')}; known: ${FAULTS.map(({ name }) => name).join(', ')}`);
  process.exit(2);
}
const rows: string[][] = [
  ['fault', 'proxy', 'requests', 'errors', 'kinds', 'left alone after', 'used again after', 'shares at the end'],
];
for (const fault of FAULTS) {
  if (wanted.length > 0 && !wanted.includes(fault.name)) continue;
  for (const proxy of TORMENTED) {
    if (spawnSync(proxy.command, ['-v']).error !== undefined) {
      console.error(`SKIPPED: ${proxy.name} is not installed`);
      continue;
    }
    rows.push([fault.name, proxy.name, ...(await torment(proxy, fault))]);
    console.error(rows.at(-1)!.join('  '));
  }
}
console.log(format(rows));
process.exit(0);

async function torment(proxy: Tormented, fault: Fault): Promise<string[]> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-chaos-'));
  mkdirSync(join(folder, 'logs'));
  const fleet = new Fleet();
  await fleet.start(3);
  const port = await freePort();
  const running = spawn(proxy.command, [...proxy.prepare(folder, port, fleet.ports)], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  started.add(running);
  try {
    await accepting(port);
    const crowd = new Crowd(port, CLIENTS);
    await pause(2000);
    const struckMs = performance.now();
    await fault.strike(fleet);
    await pause(fault.whole ? 0 : 5000);
    const healedMs = performance.now();
    await fault.heal(fleet);
    await pause(6000);
    await crowd.stop();
    const { answers } = crowd;
    const faults = answers.filter((answer) => answer.fault !== '');
    const kinds = [...new Set(faults.map((answer) => answer.fault))].join(' ');
    const end = answers.filter(({ atMs }) => atMs > performance.now() - 2000);
    return [
      String(answers.length),
      String(faults.length),
      kinds || '-',
      fault.whole ? '-' : leftAlone(answers, struckMs, healedMs),
      fault.whole ? '-' : usedAgain(answers, healedMs),
      fleet.ports.map((_, place) => percent(end, `o${place}`)).join(' '),
    ];
  } finally {
    running.kill('SIGKILL');
    started.delete(running);
    for (let place = 0; place < 3; place++) await fleet.kill(place, 'SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  }
}

/** From the fault to the last failure, or to the last request that was slowed by a try at the one that suffers. */
function leftAlone(answers: readonly Answered[], struckMs: number, healedMs: number): string {
  const last = answers.findLast(
    ({ atMs, origin, fault }) => atMs > struckMs && atMs < healedMs && (fault !== '' || origin === 'o0'),
  );
  return last === undefined ? '0.0 s' : `${((last.atMs - struckMs) / 1000).toFixed(1)} s`;
}

function usedAgain(answers: readonly Answered[], healedMs: number): string {
  const first = answers.filter(({ atMs, origin }) => atMs > healedMs && origin === 'o0')[10];
  return first === undefined ? 'never' : `${((first.atMs - healedMs) / 1000).toFixed(1)} s`;
}

function percent(answers: readonly Answered[], origin: string): string {
  return `${Math.round((answers.filter((answer) => answer.origin === origin).length / Math.max(1, answers.length)) * 100)}%`;
}

function format(table: readonly string[][]): string {
  const widths = table[0]!.map((_, column) => Math.max(...table.map((row) => row[column]!.length)));
  return table
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

async function accepting(port: number): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    const socket = connect(port, '127.0.0.1');
    const stands = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true));
      socket.once('error', () => resolve(false));
    });
    socket.destroy();
    if (stands) return;
    await pause(50);
  }
  throw new Error('the proxy does not start');
}
