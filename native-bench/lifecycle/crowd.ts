// Clients that ask as fast as they are answered, over raw sockets: some keep their connection, some make one for each
// request. Every request that gets no answer is counted by what became of it; nothing is repeated.

import { connect } from 'node:net';

/** What became of a request that was not answered. `closed`: the connection ended in good order before a byte of a reply. */
export type Loss = 'refused' | 'reset' | 'closed' | 'cut' | 'status' | 'silent';

export interface CrowdOptions {
  readonly port: number;
  readonly kept: number;
  readonly fresh: number;
}

const SILENCE_MS = 10_000;

export class Crowd {
  readonly losses = new Map<Loss, number>();
  /** Of answered requests, since the last call of `mark`. */
  latencies: number[] = [];
  answered = 0;
  lastLossMs = 0;
  /** The proxy is on its way out: whoever is refused goes, and is not counted. */
  ending = false;
  readonly #options: CrowdOptions;
  readonly #running: Promise<unknown>;
  #stopped = false;

  constructor(options: CrowdOptions) {
    this.#options = options;
    const clients = [...new Array(options.kept).fill(true), ...new Array(options.fresh).fill(false)];
    this.#running = Promise.all(clients.map((kept: boolean) => this.#client(kept)));
  }

  get lost(): number {
    return [...this.losses.values()].reduce((sum, count) => sum + count, 0);
  }

  mark(): void {
    this.latencies = [];
  }

  /** Of all that was answered since `mark`. */
  percentileMs(share: number): number {
    const sorted = [...this.latencies].sort((a, b) => a - b);
    return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  async #client(kept: boolean): Promise<void> {
    while (!this.#stopped) if (!(await this.#connection(kept))) return;
  }

  /** One connection; false when there is nobody to connect to any more. */
  #connection(kept: boolean): Promise<boolean> {
    return new Promise((resolve) => {
      const socket = connect({ host: '127.0.0.1', port: this.#options.port, noDelay: true });
      let text = '';
      let asking = false;
      let lost = false;
      let refused = false;
      let sentMs = 0;
      let timer: NodeJS.Timeout | undefined;
      const lose = (loss: Loss): void => {
        if (lost) return;
        lost = true;
        this.losses.set(loss, (this.losses.get(loss) ?? 0) + 1);
        this.lastLossMs = performance.now();
      };
      const ask = (): void => {
        if (this.#stopped) return void socket.end();
        asking = true;
        sentMs = performance.now();
        socket.write(kept ? KEPT : FRESH);
        timer ??= setTimeout(() => {
          lose('silent');
          socket.destroy();
        }, SILENCE_MS);
        timer.refresh();
      };
      socket.setEncoding('latin1');
      socket.on('connect', ask);
      socket.on('data', (piece) => {
        text += piece;
        const end = text.indexOf('\r\n\r\n');
        if (end < 0) return;
        const head = text.slice(0, end);
        const length = Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? 0);
        if (text.length < end + 4 + length) return;
        if (head.startsWith('HTTP/1.1 200 ')) {
          this.answered++;
          this.latencies.push(performance.now() - sentMs);
        } else lose('status');
        text = '';
        asking = false;
        if (!kept || /\r\nconnection: close/i.test(head)) socket.end();
        else ask();
      });
      socket.on('error', (error: NodeJS.ErrnoException) => {
        refused = error.code === 'ECONNREFUSED';
        if (refused && !this.ending) lose('refused');
        else if (!refused && asking) lose(text === '' ? 'reset' : 'cut');
      });
      socket.on('close', () => {
        clearTimeout(timer);
        if (asking && !refused) lose(text === '' ? 'closed' : 'cut');
        if (refused && this.ending) return resolve(false);
        setTimeout(resolve, refused ? 20 : 0, true);
      });
    });
  }
}

const KEPT = 'GET / HTTP/1.1\r\nHost: load.test\r\n\r\n';
const FRESH = 'GET / HTTP/1.1\r\nHost: load.test\r\nConnection: close\r\n\r\n';
