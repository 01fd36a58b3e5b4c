// Loaded beside Millrace (`--import`) into all its threads: ends a worker thread as a fault would, and counts what each
// thread holds. Lines on standard input: `end N`, where N counts threads from 0 as they were started, and `figures`.

import { createInterface } from 'node:readline';
import { BroadcastChannel, isMainThread, type Worker } from 'node:worker_threads';

/** What the threads of a process hold, added up. */
export interface Inside {
  readonly heapBytes: number;
  readonly timers: number;
  /** Everything else that keeps an event loop busy: sockets, ports, pipes. */
  readonly handles: number;
  readonly threads: number;
}

const channel = new BroadcastChannel('lifecycle-figures');
(channel as unknown as { unref(): void }).unref();
const wordOf = (event: unknown): Partial<Inside> & { ask?: boolean } => (event as { data: Partial<Inside> }).data;

if (isMainThread) speak();
else
  channel.onmessage = (event) => {
    if (wordOf(event).ask) channel.postMessage(figures());
  };

function speak(): void {
  const all: Worker[] = [];
  const living = new Set<Worker>();
  process.on('worker', (worker) => {
    all.push(worker);
    living.add(worker);
    worker.once('exit', () => living.delete(worker));
  });
  const heard: Inside[] = [];
  channel.onmessage = (event) => {
    if (wordOf(event).ask) return;
    heard.push(wordOf(event) as Inside);
    if (heard.length === living.size) print([figures(), ...heard.splice(0)]);
  };
  const input = createInterface({ input: process.stdin });
  input.on('line', (line) => {
    const [what, place] = line.split(' ');
    if (what === 'end') void all[Number(place)]?.terminate();
    else channel.postMessage({ ask: true });
  });
  (process.stdin as unknown as { unref?(): void }).unref?.();
}

function figures(): Inside {
  for (let i = 0; i < 3; i++) globalThis.gc?.();
  const resources = process.getActiveResourcesInfo();
  const timers = resources.filter((name) => name === 'Timeout' || name === 'Immediate').length;
  return { heapBytes: process.memoryUsage().heapUsed, timers, handles: resources.length - timers, threads: 1 };
}

function print(parts: readonly Inside[]): void {
  const sum = (key: keyof Inside): number => parts.reduce((all, part) => all + part[key], 0);
  const total = {
    heapBytes: sum('heapBytes'),
    timers: sum('timers'),
    handles: sum('handles'),
    threads: sum('threads'),
  };
  process.stdout.write(`figures ${JSON.stringify(total)}\n`);
}
