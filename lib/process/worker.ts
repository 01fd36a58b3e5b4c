// The entry of a worker thread: an event loop that does what the supervisor says. It sends no message for a connection or an
// exchange.

import { parentPort, workerData } from 'node:worker_threads';
import { relayLog } from '../base/log.ts';
import type { Call, Said, ThreadStart } from './channel.ts';
import { keepServing } from './faults.ts';
import { OwnLoop } from './loop.ts';

/** How often the supervisor is shown that the event loop turns. */
const BEAT_MS = 100;

const port = parentPort!;
const { logLevel, beats } = workerData as ThreadStart;
const say = (said: Said): void => port.postMessage(said);
const log = relayLog(logLevel, (level, message, fields) => sayLog({ kind: 'log', level, message, fields }), Date.now);
const loop = new OwnLoop(log, (news) => say({ kind: 'news', news }));
const beat = new Int32Array(beats);
// Beats also keep the thread alive while nothing is bound.
setInterval(() => Atomics.add(beat, 0, 1), BEAT_MS);
keepServing(log);

port.on('message', async (call: Call) => {
  try {
    const value = await (loop[call.name] as (...given: unknown[]) => unknown).apply(loop, call.with);
    say({ kind: 'answer', id: call.id, value });
  } catch (error) {
    say({ kind: 'failure', id: call.id, fault: error instanceof Error ? (error.stack ?? '') : String(error) });
  }
});

function sayLog(said: Said & { kind: 'log' }): void {
  try {
    say(said);
  } catch {
    // Something in a field that cannot be passed on: its text can.
    say({ ...said, fields: JSON.parse(JSON.stringify(said.fields)) });
  }
}
