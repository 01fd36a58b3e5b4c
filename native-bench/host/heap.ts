// Asks the probe inside a proxy on Node (gc-probe.ts) what its garbage collector did. A proxy without a probe, or one that
// does not answer, has no figures: that is no error.

import { connect, type Socket } from 'node:net';
import { join } from 'node:path';

/** What happened to the JavaScript heaps of a process, one for each thread, between start and stop. */
export interface HeapUse {
  readonly allocatedBytes: number;
  readonly collections: number;
  readonly longestMicros: number;
  readonly totalMicros: number;
}

/** Of several heaps: sums, and the longest pause of any. */
export function addHeapUses(uses: readonly HeapUse[]): HeapUse {
  const sum = { allocatedBytes: 0, collections: 0, longestMicros: 0, totalMicros: 0 };
  for (const use of uses) {
    sum.allocatedBytes += use.allocatedBytes;
    sum.collections += use.collections;
    sum.longestMicros = Math.max(sum.longestMicros, use.longestMicros);
    sum.totalMicros += use.totalMicros;
  }
  return sum;
}

/** A watch that was begun. */
export interface HeapWatch {
  /** Null when the probe no longer answers. */
  stop(): Promise<HeapUse | null>;
}

/** Where the probe of a peer that has `folder` listens. */
export function probeSocket(folder: string): string {
  return join(folder, 'probe.sock');
}

/** Begins to watch the heap of the process whose probe listens at `path`; null when none does. */
export async function watchHeap(path: string): Promise<HeapWatch | null> {
  const socket = connect(path).setEncoding('latin1').setTimeout(PATIENCE_MS);
  socket.on('timeout', () => socket.destroy());
  const started = nextLine(socket);
  socket.write('start\n');
  if ((await started) !== 'started') {
    socket.destroy();
    return null;
  }
  socket.setTimeout(0);
  return {
    async stop() {
      socket.setTimeout(PATIENCE_MS);
      const line = nextLine(socket);
      socket.write('stop\n');
      const said = await line;
      socket.destroy();
      return said === null ? null : (JSON.parse(said) as HeapUse);
    },
  };
}

const PATIENCE_MS = 5_000;

/** The next line without its end; null when the connection ends or fails first. */
function nextLine(socket: Socket): Promise<string | null> {
  return new Promise((resolve) => {
    let text = '';
    const onData = (piece: string): void => {
      text += piece;
      const end = text.indexOf('\n');
      if (end >= 0) settle(text.slice(0, end));
    };
    const onEnd = (): void => settle(null);
    const settle = (line: string | null): void => {
      socket.off('data', onData).off('error', onEnd).off('close', onEnd);
      // A late error must not become an exception.
      socket.on('error', () => {});
      resolve(line);
    };
    socket.on('data', onData).on('error', onEnd).on('close', onEnd);
  });
}
