// The origins of a run: processes that are killed, stopped, restarted and told to misbehave. The first is the one that suffers.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { freePort } from '../host/port.ts';
import { NameServer } from './name-server.ts';

const ORIGIN = fileURLToPath(new URL('./origin.ts', import.meta.url));
export const NAME = 'app.test';

/** All that was started and may have to be ended. */
export const started = new Set<ChildProcess>();

export class Fleet {
  readonly hosts: string[] = [];
  readonly ports: number[] = [];
  /** Tells their addresses, where they are found by name. */
  names: NameServer | null = null;
  readonly #origins: ChildProcess[] = [];

  /** `named`: on one port of several addresses, which a name has. */
  async start(count: number, named: boolean): Promise<void> {
    const shared = await freePort();
    for (let i = 0; i < count; i++) {
      this.hosts.push(named ? `127.0.0.${i + 1}` : '127.0.0.1');
      this.ports.push(named || i === 0 ? shared : await freePort());
    }
    for (let i = 0; i < count; i++) await this.revive(i);
    if (!named) return;
    this.names = await NameServer.start(NAME, 1);
    this.list(...this.hosts.keys());
  }

  get addresses(): readonly string[] {
    return this.hosts.map((host, i) => `${host}:${this.ports[i]}`);
  }

  /** The name has the addresses of these alone from now on. */
  list(...places: number[]): void {
    this.names!.addresses = places.map((place) => this.hosts[place]!);
  }

  async revive(place: number): Promise<void> {
    const origin = spawn(process.execPath, [ORIGIN, `o${place}`, String(this.ports[place]), this.hosts[place]!], {
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

  async end(): Promise<void> {
    for (const place of this.hosts.keys()) await this.kill(place, 'SIGKILL');
    this.names?.stop();
  }
}
