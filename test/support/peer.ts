// A raw socket of a test, client or origin: what it received so far, and waiting for more without timed assertions.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { PATIENCE_MS, pause } from './wait.ts';

export class Peer {
  readonly socket: Socket;
  /** Everything received, as latin1 text. */
  text = '';
  ended = false;
  closed = false;
  error: NodeJS.ErrnoException | null = null;
  readonly #watchers = new Set<() => void>();

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.text += chunk.toString('latin1');
      this.#tell();
    });
    socket.on('end', () => {
      this.ended = true;
      this.#tell();
    });
    socket.on('error', (error) => {
      this.error = error;
      this.#tell();
    });
    socket.on('close', () => {
      this.closed = true;
      this.#tell();
    });
  }

  /** Sends text as latin1, or bytes. */
  send(data: string | Uint8Array): void {
    this.socket.write(typeof data === 'string' ? Buffer.from(data, 'latin1') : data);
  }

  end(): void {
    this.socket.end();
  }

  /** Resolves to everything received once it contains `part` (or the pattern), at or after offset `from`. */
  async receive(part: string | RegExp, from = 0): Promise<string> {
    const has = (): boolean => {
      const text = this.text.slice(from);
      return typeof part === 'string' ? text.includes(part) : part.test(text);
    };
    await this.until(has, `${part}`);
    return this.text;
  }

  /** Resolves to everything received once the other side has ended or the connection is gone. */
  async receiveAll(): Promise<string> {
    await this.until(() => this.ended || this.closed, 'the end');
    return this.text;
  }

  /** Resolves once `condition` holds; it is asked after everything that happens here. */
  until(condition: () => boolean, what: string): Promise<void> {
    if (condition()) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#watchers.delete(check);
        reject(
          new Error(`waited for ${what}; received ${JSON.stringify(this.text.slice(-2000))}, ended ${this.ended}`),
        );
      }, PATIENCE_MS);
      const check = (): void => {
        if (!condition()) return;
        clearTimeout(timer);
        this.#watchers.delete(check);
        resolve();
      };
      this.#watchers.add(check);
    });
  }

  #tell(): void {
    for (const check of [...this.#watchers]) check();
  }
}

/** Connects to a port of this machine, or a unix socket path; closed when the test ends. */
export async function connectPeer(t: TestContext, where: number | string): Promise<Peer> {
  const socket =
    typeof where === 'number'
      ? connect({ host: '127.0.0.1', port: where, allowHalfOpen: true, noDelay: true })
      : connect({ path: where, allowHalfOpen: true });
  t.after(() => socket.destroy());
  const peer = new Peer(socket);
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', reject);
  });
  return peer;
}

/** Resolves once connections to a port are refused: what the kernel accepts in the last moment before is still served. */
export async function refused(port: number): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (performance.now() < deadline) {
    const socket = connect({ host: '127.0.0.1', port });
    socket.on('error', () => {});
    try {
      await once(socket, 'connect');
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ECONNREFUSED') return;
      // The listening socket was closed while it was on its way.
      assert.equal(code, 'ECONNRESET');
    }
    socket.destroy();
    await pause(20);
  }
  assert.fail('connections are still accepted');
}
