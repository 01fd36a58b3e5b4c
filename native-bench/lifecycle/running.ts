// A proxy under operation, with two origins. Whatever happens, all that was started here is ended by its id.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { memoryOf, processTree } from '../host/accounting.ts';
import { findProgram } from '../host/machine.ts';
import { freePort } from '../host/port.ts';
import { pause } from '../host/trials.ts';
import type { Inside } from './inside.ts';
import { ask, type Operated, type Plan, readPid, until } from './proxies.ts';

const ORIGIN = fileURLToPath(new URL('./origin.ts', import.meta.url));

const started = new Set<number>();
process.on('exit', () => {
  for (const pid of started) end(pid);
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));

/** A proxy with two origins. */
export class Running {
  readonly proxy: Operated;
  readonly port: number;
  readonly limitS: number;
  readonly child: ChildProcess;
  readonly #left: Promise<unknown>;
  pid: number;
  readonly #folder: string;
  readonly #origins: readonly { readonly child: ChildProcess; readonly port: number }[];

  private constructor(
    proxy: Operated,
    { folder, port, limitS }: Plan,
    origins: readonly { readonly child: ChildProcess; readonly port: number }[],
  ) {
    this.proxy = proxy;
    this.port = port;
    this.limitS = limitS;
    this.#folder = folder;
    this.#origins = origins;
    // By its path: nginx starts its successor by what it was called.
    this.child = spawn(findProgram(proxy.command) ?? proxy.command, [...proxy.args(folder)], {
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    this.child.stdin!.on('error', () => {});
    this.pid = this.child.pid!;
    started.add(this.pid);
    this.#left = once(this.child, 'exit');
  }

  static async start(proxy: Operated, limitS: number): Promise<Running> {
    const folder = mkdtempSync(join(tmpdir(), 'millrace-lifecycle-'));
    mkdirSync(join(folder, 'logs'));
    const origins = [await startOrigin(), await startOrigin()];
    const plan = { folder, port: await freePort(), origins: origins.map(({ port }) => port), version: 0, limitS };
    proxy.configure(plan);
    const running = new Running(proxy, plan, origins);
    await running.#serves(0);
    if (proxy.pidFile !== '') {
      const file = join(folder, proxy.pidFile);
      await until(() => readPid(file) > 0, 'its process id');
      running.pid = readPid(file);
      started.add(running.pid);
    }
    return running;
  }

  /** Resolves once the proxy has ended, with its exit code where that can be known. */
  async exited(): Promise<string> {
    if (this.proxy.pidFile !== '') {
      await until(() => !existsSync(`/proc/${this.pid}`), 'its end');
      return '-';
    }
    await this.#left;
    return String(this.child.exitCode ?? this.child.signalCode);
  }

  /** Resolves once the next configuration serves, with how long that took. */
  async reload(version: number): Promise<number> {
    const origins = this.#origins.map(({ port }) => port);
    this.proxy.configure({ folder: this.#folder, port: this.port, origins, version, limitS: this.limitS });
    const fromMs = performance.now();
    await this.proxy.reload(this.pid);
    await this.#serves(version);
    return performance.now() - fromMs;
  }

  async upgrade(): Promise<void> {
    const next = await this.proxy.upgrade(this.pid, this.#folder);
    if (next !== this.pid) started.add(next);
    this.pid = next;
  }

  /** Connections of each event loop (Millrace). */
  async connections(): Promise<number[]> {
    const { workers } = await ask(join(this.#folder, 'admin.sock'), '/v1/status');
    return (workers as { connections: number }[]).map(({ connections }) => connections);
  }

  /** How many connections the worker has that is to be killed, as far as it tells. */
  async openOfFirst(): Promise<string> {
    if (this.proxy.name !== 'millrace') return '-';
    return String((await this.connections())[0]);
  }

  /** What it holds: heap, memory, descriptors, threads, timers, handles. */
  async figures(): Promise<string[]> {
    let text = '';
    const hear = (piece: unknown): void => {
      text += piece;
    };
    this.child.stdout!.on('data', hear);
    this.child.stdin!.write('figures\n');
    await until(() => /^figures .*\n/m.test(text), 'its figures');
    this.child.stdout!.off('data', hear);
    const inside = JSON.parse(/^figures (.*)$/m.exec(text)![1]!) as Inside;
    const { residentBytes } = memoryOf(this.pid);
    const count = (what: string): string => String(readdirSync(`/proc/${this.pid}/${what}`).length);
    return [
      (inside.heapBytes / 2 ** 20).toFixed(1),
      mebibytes(residentBytes),
      count('fd'),
      count('task'),
      String(inside.timers),
      String(inside.handles),
    ];
  }

  async end(): Promise<void> {
    for (const pid of processTree(this.pid)) end(pid);
    end(this.child.pid!);
    for (const { child } of this.#origins) end(child.pid!);
    await this.#left;
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** New connections get this version's answers, several in a row: not by an old worker that still accepts. */
  async #serves(version: number): Promise<void> {
    const deadline = performance.now() + 30_000;
    for (let right = 0; right < 4; ) {
      right = (await askVersion(this.port)) === String(version) ? right + 1 : 0;
      if (right === 0) await pause(1);
      if (performance.now() > deadline) throw new Error(`${this.proxy.name} does not serve configuration ${version}`);
    }
  }
}

async function startOrigin(): Promise<{ child: ChildProcess; port: number }> {
  const child = spawn(process.execPath, [ORIGIN], { stdio: ['pipe', 'pipe', 'inherit'] });
  started.add(child.pid!);
  const [said] = await once(child.stdout!, 'data');
  return { child, port: Number(said) };
}

/** '' when there is no answer. */
function askVersion(port: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    let text = '';
    socket.on('connect', () => socket.write('GET /version HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'));
    socket.on('data', (piece) => (text += piece));
    socket.on('error', () => {});
    socket.on('close', () => resolve(text.slice(text.indexOf('\r\n\r\n') + 4)));
    socket.setTimeout(5000, () => socket.destroy());
  });
}

export function mebibytes(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(0);
}

function end(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
  started.delete(pid);
}
