// Loaded into a proxy on Node before its own program (`--import`), and with it into each of its worker threads: watches the
// garbage collectors of that process while the harness asks for it, so that what a request allocates is known without a
// debugger. Costs nothing between `start` and `stop` but a few microseconds per collection; unless MILLRACE_BENCH_PROBE names
// a socket it does nothing at all.

import { createServer, type Socket } from 'node:net';
import { GCProfiler, type GCProfilerResult, getHeapStatistics } from 'node:v8';
import { BroadcastChannel, isMainThread, type Worker } from 'node:worker_threads';
import { addHeapUses, type HeapUse } from './heap.ts';

const CHANNEL = 'millrace-bench-probe';

/** What the main thread asks of the others, and what they answer. */
type Word = { readonly ask: 'start' | 'stop' } | { readonly use: HeapUse | null };

const path = process.env['MILLRACE_BENCH_PROBE'];
if (path !== undefined && path !== '') {
  if (isMainThread) listen(path);
  else obey();
}

/** The heap of this thread under watch. */
class Watched {
  readonly #profiler = new GCProfiler();
  readonly #usedAtStart: number;

  constructor() {
    this.#profiler.start();
    this.#usedAtStart = usedBytes();
  }

  stop(): HeapUse {
    return heapUse(this.#usedAtStart, this.#profiler.stop().statistics, usedBytes());
  }
}

/** The main thread: speaks for all. */
function listen(path: string): void {
  const workers = new Set<Worker>();
  process.on('worker', (worker) => {
    workers.add(worker);
    worker.once('exit', () => workers.delete(worker));
  });
  const channel = openChannel();
  const heard: (HeapUse | null)[] = [];
  let told: () => void = () => {};
  channel.onmessage = (event) => {
    const word = wordOf(event);
    if (!('use' in word)) return;
    heard.push(word.use);
    told();
  };
  /** What each worker thread answers; one that ends meanwhile takes its own with it. */
  const ask = (what: 'start' | 'stop'): Promise<(HeapUse | null)[]> =>
    new Promise((resolve) => {
      heard.length = 0;
      told = () => {
        if (heard.length >= workers.size) resolve([...heard]);
      };
      channel.postMessage({ ask: what } satisfies Word);
      told();
    });
  const server = createServer((socket) => {
    let watched: Watched | null = null;
    socket.setEncoding('latin1');
    socket.on('error', () => socket.destroy());
    socket.on('data', async (asked) => {
      if (String(asked).startsWith('start')) {
        watched = new Watched();
        await ask('start');
        socket.write('started\n');
      } else if (watched !== null) {
        const own = watched.stop();
        watched = null;
        tell(socket, [own, ...(await ask('stop'))]);
      }
    });
    socket.unref();
  });
  // A proxy that is told to end must not wait for this socket.
  server.unref();
  server.on('error', () => {});
  server.listen(path);
}

/** A worker thread: does as the main thread says. */
function obey(): void {
  const channel = openChannel();
  let watched: Watched | null = null;
  channel.onmessage = (event) => {
    const word = wordOf(event);
    if (!('ask' in word)) return;
    const use = watched?.stop() ?? null;
    watched = word.ask === 'start' ? new Watched() : null;
    channel.postMessage({ use } satisfies Word);
  };
}

function openChannel(): BroadcastChannel {
  const channel = new BroadcastChannel(CHANNEL);
  // Nor for this; its type does not have what Node does.
  (channel as unknown as { unref(): void }).unref();
  return channel;
}

function wordOf(event: unknown): Word {
  return (event as { readonly data: Word }).data;
}

function tell(socket: Socket, uses: readonly (HeapUse | null)[]): void {
  socket.end(`${JSON.stringify(addHeapUses(uses.filter((use) => use !== null)))}\n`);
}

/** What was allocated is what the heap grew by between one collection and the next. */
function heapUse(usedAtStart: number, collections: GCProfilerResult['statistics'], usedAtStop: number): HeapUse {
  let allocatedBytes = 0;
  let used = usedAtStart;
  let longestMicros = 0;
  let totalMicros = 0;
  for (const { beforeGC, afterGC, cost } of collections) {
    allocatedBytes += Math.max(beforeGC.heapStatistics.usedHeapSize - used, 0);
    used = afterGC.heapStatistics.usedHeapSize;
    longestMicros = Math.max(longestMicros, cost);
    totalMicros += cost;
  }
  allocatedBytes += Math.max(usedAtStop - used, 0);
  return { allocatedBytes, collections: collections.length, longestMicros, totalMicros };
}

function usedBytes(): number {
  return getHeapStatistics().used_heap_size;
}
