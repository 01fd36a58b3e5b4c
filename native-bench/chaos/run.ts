// Faults of origins under steady load, the same for every proxy: what clients notice, how soon the proxy does, and how soon
// an origin that is well again gets its share. Prints a table; some minutes. `node run.ts [FAULT...]`.

import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../host/port.ts';
import { formatTable, pause, presentOf, wantedOf } from '../host/trials.ts';
import { type Answered, Crowd } from './crowd.ts';
import { FAULTS, type Fault } from './faults.ts';
import { Fleet, NAME, started } from './fleet.ts';
import { TORMENTED, type Tormented } from './proxies.ts';

const CLIENTS = 64;

process.on('exit', () => {
  for (const child of started) child.kill('SIGKILL');
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));

const rows: string[][] = [
  ['fault', 'proxy', 'requests', 'errors', 'kinds', 'left alone after', 'used again after', 'shares at the end'],
];
const proxies = presentOf(TORMENTED);
for (const fault of wantedOf('fault', FAULTS)) {
  for (const proxy of proxies) {
    rows.push([fault.name, proxy.name, ...(await torment(proxy, fault))]);
    console.error(rows.at(-1)!.join('  '));
  }
}
console.log(formatTable(rows));
process.exit(0);

async function torment(proxy: Tormented, fault: Fault): Promise<string[]> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-chaos-'));
  mkdirSync(join(folder, 'logs'));
  const fleet = new Fleet();
  await fleet.start(3, fault.named === true);
  const port = await freePort();
  const { slowStartS = 0 } = fault;
  const names = fault.named === true ? { name: NAME, port: fleet.ports[0]!, server: fleet.names!.port } : null;
  const args = proxy.prepare(folder, { port, origins: fleet.addresses, slowStartS, names });
  if (args === null) {
    await fleet.end();
    return ['-', '-', 'not in its free edition', '-', '-', '-'];
  }
  const running = spawn(proxy.command, [...args], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  started.add(running);
  try {
    await accepting(port);
    const crowd = new Crowd(port, CLIENTS);
    await pause(2000);
    await fault.before?.(fleet);
    const struckMs = performance.now();
    await fault.strike(fleet);
    await pause(fault.whole ? 0 : 5000);
    const healedMs = performance.now();
    await fault.heal(fleet);
    await pause(slowStartS > 0 ? (slowStartS + 4) * 1000 : 6000);
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
      slowStartS > 0
        ? `${everySecond(answers, healedMs).join(' ')} each second`
        : fleet.ports.map((_, place) => percent(end, `o${place}`)).join(' '),
    ];
  } finally {
    running.kill('SIGKILL');
    started.delete(running);
    await fleet.end();
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

/** The share of the one that suffered, for each second since it was healed. */
function everySecond(answers: readonly Answered[], healedMs: number): string[] {
  const seconds = Math.floor((performance.now() - healedMs) / 1000);
  return Array.from({ length: seconds }, (_, second) =>
    percent(
      answers.filter(({ atMs }) => Math.floor((atMs - healedMs) / 1000) === second),
      'o0',
    ),
  );
}

function percent(answers: readonly Answered[], origin: string): string {
  return `${Math.round((answers.filter((answer) => answer.origin === origin).length / Math.max(1, answers.length)) * 100)}%`;
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
