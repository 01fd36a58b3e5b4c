// The process of our generator: reads what to do from the file that it is given, does it in as many threads as that asks
// for, and prints one line. With one thread it does everything itself.

import { readFileSync } from 'node:fs';
import { isMainThread, parentPort, workerData } from 'node:worker_threads';
import { startThread } from '../../../lib/base/asset.ts';
import { endWithParent } from '../end-with-parent.ts';
import { latencyHistogram, latencyPoints } from '../latency.ts';
import { addErrors, type LoadErrors } from '../load.ts';
import type { OwnResult } from '../own.ts';
import { generate } from './generate.ts';
import type { GeneratorSpec, ThreadOutcome, ThreadSpec } from './spec.ts';

// No await up here: in the executable this is CommonJS. A rejection ends the process, or the thread, with its error.
if (isMainThread) {
  const spec = JSON.parse(readFileSync(process.argv[2]!, 'utf8')) as GeneratorSpec;
  // Whatever may still be open then matters to nobody.
  void runAll(spec).then(() => process.exit(0));
} else {
  void generate(workerData as ThreadSpec).then((outcome) => parentPort!.postMessage(outcome));
}

async function runAll(spec: GeneratorSpec): Promise<void> {
  endWithParent(spec.parentPid);
  const specs = Array.from({ length: spec.threads }, (_, thread) => ({ ...spec, thread }));
  const outcomes = await Promise.all(spec.threads === 1 ? specs.map(generate) : specs.map(runThread));
  process.stdout.write(`millrace-bench ${JSON.stringify(merge(outcomes))}\n`);
}

function runThread(workerData: ThreadSpec): Promise<ThreadOutcome> {
  return new Promise((resolve, reject) => {
    const worker = startThread('native-bench/load/generator/main', { workerData });
    worker.once('message', resolve);
    worker.once('error', reject);
    worker.once('exit', (code) => reject(new Error(`a thread ended with ${code}`)));
  });
}

function merge(outcomes: readonly ThreadOutcome[]): OwnResult {
  let errors: LoadErrors = { connect: 0, read: 0, write: 0, timeout: 0, status: 0 };
  const latency = latencyHistogram();
  const handshakes = { full: 0, resumed: 0 };
  let [requests, bytes, unsent, seconds] = [0, 0, 0, 0];
  for (const outcome of outcomes) {
    requests += outcome.requests;
    bytes += outcome.bytes;
    unsent += outcome.unsent;
    seconds = Math.max(seconds, outcome.seconds);
    errors = addErrors(errors, outcome.errors);
    latency.add(outcome.latency);
    handshakes.full += outcome.handshakes.full;
    handshakes.resumed += outcome.handshakes.resumed;
  }
  return { requests, bytes, seconds, latency: latencyPoints(latency), errors, unsent, handshakes };
}
