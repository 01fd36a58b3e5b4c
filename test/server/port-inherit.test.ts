// Listening sockets that a predecessor hands over: until their new owner serves, the predecessor does, and nobody else has
// what waits there.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type Program, ROOT, startProgram } from '../support/process.ts';

/** More than are held for a port that has no owner. */
const MANY = 1500;
const PROGRAM = join(ROOT, 'test/support/port-program.ts');

test('very many clients that come before a successor serves are all served by it', async (t) => {
  const { port, handTo, close } = await listening(t);
  const successor = await handTo();
  close();
  const clients = await Promise.all(Array.from({ length: MANY }, () => client(t, port)));
  say(successor, 'give');
  const answers = await Promise.all(clients.map(answerTo));
  assert.deepEqual(count(answers), { x: MANY });
});

test('who comes while a successor gets ready is served by the predecessor when it gives up', async (t) => {
  const { port, handTo, close } = await listening(t);
  const [predecessor, successor] = [await handTo('idle'), await handTo()];
  close();
  const clients = await Promise.all(Array.from({ length: 10 }, () => client(t, port)));
  say(successor, 'close');
  await successor.until(({ out }) => out.includes('close 0'), 'its end');
  say(predecessor, 'give');
  assert.deepEqual(count(await Promise.all(clients.map(answerTo))), { x: 10 });
  const late = await client(t, port);
  assert.equal(await answerTo(late), 'x');
});

interface Listening {
  readonly port: number;
  /** Another process has it as well from now on, which accepts nothing before it is told. */
  handTo(...args: readonly string[]): Promise<Program>;
  /** Ours is closed. */
  close(): void;
}

async function listening(t: TestContext): Promise<Listening> {
  const server = createServer();
  t.after(() => server.close());
  server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 });
  await once(server, 'listening');
  const { _handle } = server as unknown as { _handle: { fd: number } };
  const { port } = server.address() as AddressInfo;
  return {
    port,
    async handTo(...args) {
      const program = startProgram(t, process.execPath, [PROGRAM, ...args], {}, [_handle.fd]);
      await program.until(({ out }) => out.includes('prepared'), 'its word');
      return program;
    },
    close: () => void server.close(),
  };
}

function say({ process }: Program, word: string): void {
  process.stdin!.write(`${word}\n`);
}

/** Resolves once it stands. */
async function client(t: TestContext, port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1' });
  t.after(() => socket.destroy());
  await once(socket, 'connect');
  return socket;
}

/** What it is sent until its end, or why it ends otherwise. */
function answerTo(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    socket.on('data', (bytes) => {
      text += bytes;
    });
    socket.once('end', () => resolve(text));
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''));
  });
}

function count(answers: readonly string[]): Record<string, number> {
  const found: Record<string, number> = {};
  for (const answer of answers) found[answer] = (found[answer] ?? 0) + 1;
  return found;
}
