// The probe of garbage collectors inside a process on Node: all its threads count.

import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { watchHeap } from '../../native-bench/host/heap.ts';
import { eventually, ROOT, startProgram, temporaryFolder } from '../support/process.ts';

/** Its worker thread alone allocates, some MiB in each turn, and says so after each. */
const PROGRAM = `
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
if (isMainThread) {
  const worker = new Worker(new URL(import.meta.url));
  worker.on('message', () => process.stdout.write('.'));
} else {
  let kept;
  setInterval(() => {
    kept = Array.from({ length: 100_000 }, (_, i) => ({ i }));
    parentPort.postMessage(kept.length);
  }, 20);
}
`;

test('what worker threads allocate is counted, and the pauses of their collectors', async (t) => {
  const folder = temporaryFolder(t);
  const [file, path] = [join(folder, 'program.mjs'), join(folder, 'probe.sock')];
  writeFileSync(file, PROGRAM);
  const probe = join(ROOT, 'native-bench/host/gc-probe.ts');
  const program = startProgram(t, process.execPath, ['--import', probe, file], { MILLRACE_BENCH_PROBE: path });
  await eventually(() => existsSync(path), 'the probe');
  await program.until(({ out }) => out.length > 0, 'the worker thread');
  const watch = await watchHeap(path);
  assert.ok(watch !== null);
  const before = program.out.length;
  await program.until(({ out }) => out.length > before + 30, 'some turns');
  const use = await watch.stop();
  assert.ok(use !== null);
  const { allocatedBytes, collections, longestMicros, totalMicros } = use;
  // At least 24 bytes for each object, were they as small as can be.
  assert.ok(allocatedBytes > 30 * 100_000 * 24, `${allocatedBytes} bytes`);
  assert.ok(collections > 0 && longestMicros > 0 && totalMicros >= longestMicros, JSON.stringify(use));
});
