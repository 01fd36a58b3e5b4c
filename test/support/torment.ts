// Loaded beside the proxy (`--import`) into all its threads: an event loop does to itself what it is told to.

import { readFileSync } from 'node:fs';
import { BroadcastChannel, isMainThread, threadId } from 'node:worker_threads';

/** What befalls an event loop: it stands still, it waits for a file that is never read, or its heap grows until it is full. */
export interface Torment {
  readonly thread: number;
  readonly what: 'block' | 'hang' | 'grow';
  readonly file?: string;
}

if (!isMainThread) listen();

function listen(): void {
  const channel = new BroadcastChannel('torment');
  channel.onmessage = (event) => {
    const { thread, what, file } = (event as { data: Torment }).data;
    if (thread !== threadId) return;
    if (what === 'block') for (;;);
    if (what === 'hang') readFileSync(file!);
    const hoard: unknown[] = [];
    setInterval(() => {
      for (let i = 0; i < 50; i++) hoard.push(new Array(1000).fill({}));
    }, 1);
  };
  (channel as unknown as { unref(): void }).unref();
}
