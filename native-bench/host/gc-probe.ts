// Loaded into a proxy on Node before its own program (`--import`): watches the garbage collector of that process while the
// harness asks for it, so that what a request allocates is known without a debugger. Costs nothing between `start` and
// `stop` but a few microseconds per collection; unless MILLRACE_BENCH_PROBE names a socket it does nothing at all.

import { createServer } from 'node:net';
import { GCProfiler, type GCProfilerResult, getHeapStatistics } from 'node:v8';
import { isMainThread } from 'node:worker_threads';
import type { HeapUse } from './heap.ts';

const path = process.env['MILLRACE_BENCH_PROBE'];
if (isMainThread && path !== undefined && path !== '') listen(path);

function listen(path: string): void {
  const server = createServer((socket) => {
    let profiler: GCProfiler | null = null;
    let usedAtStart = 0;
    socket.setEncoding('latin1');
    socket.on('error', () => socket.destroy());
    socket.on('data', (asked) => {
      if (String(asked).startsWith('start')) {
        profiler = new GCProfiler();
        profiler.start();
        usedAtStart = usedBytes();
        socket.write('started\n');
      } else if (profiler !== null) {
        const { statistics } = profiler.stop();
        profiler = null;
        socket.end(`${JSON.stringify(heapUse(usedAtStart, statistics, usedBytes()))}\n`);
      }
    });
    socket.unref();
  });
  // A proxy that is told to end must not wait for this socket.
  server.unref();
  server.on('error', () => {});
  server.listen(path);
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
