// One connection over a real socket: sending, waiting for the kernel, closing in each way, deadlines and crashes.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type Connection, NOBODY, onCrash, type Receiver, wheel } from '../../lib/io/connection.ts';
import { dial } from '../../lib/io/dial.ts';
import { descriptorOf } from '../../lib/io/receive.ts';
import { flush, GATHER_BYTES } from '../../lib/io/send.ts';
import { releaseSlab, slabsInUse, takeSlab } from '../../lib/io/slab.ts';
import { Timed } from '../../lib/io/wheel.ts';
import { memory } from '../../lib/wire/http1/llhttp.ts';
import { startOrigin } from '../support/origin.ts';
import { Peer } from '../support/peer.ts';
import { acceptConnections, check, loopback, open, pair, pool, quiet, unixPath } from '../support/tunnel.ts';

const start = slabsInUse();

/** What a connection told, one word each. */
class Witness implements Receiver {
  readonly told: string[] = [];
  text = '';
  readonly #waiting = new Set<() => void>();

  received(from: number, to: number): void {
    this.text += memory.toString('latin1', from, to);
    this.tell('received');
  }
  finished(): void {
    this.tell('finished');
  }
  drained(): void {
    this.tell('drained');
  }
  closed(error: NodeJS.ErrnoException | null): void {
    this.tell(error === null ? 'closed' : `closed ${error.code}`);
  }
  expired(): void {
    this.tell('expired');
  }
  crashed(error: unknown): void {
    this.tell(`crashed ${(error as Error).message}`);
  }

  tell(word: string): void {
    this.told.push(word);
    for (const look of [...this.#waiting]) look();
  }

  until(word: string): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (!this.told.includes(word)) return;
        this.#waiting.delete(look);
        resolve();
      };
      this.#waiting.add(look);
      look();
    });
  }
}

async function meet(
  t: TestContext,
  witness: Receiver = new Witness(),
): Promise<{ connection: Connection; peer: Peer }> {
  const { connection, client } = await pair(t, witness);
  return { connection, peer: new Peer(client) };
}

/** Sends until the kernel takes no more; answers how many bytes of the pool that were. */
function fill(connection: Connection): number {
  let sent = 0;
  for (; ; sent += 100_000) if (!connection.send(pool, sent, sent + 100_000)) return sent + 100_000;
}

test('pieces sent in one event arrive in order, whether gathered, composed or longer than a slab', async (t) => {
  const { connection, peer } = await meet(t);
  const text = (from: number, to: number): string => pool.toString('latin1', from, to);
  connection.send(pool, 0, 10);
  const at = connection.compose(20);
  connection.wrote(at, at + pool.copy(memory, at, 10, 30));
  connection.send(pool, 30, 30 + GATHER_BYTES * 3 + 7);
  connection.send(pool, 0, 0);
  flush();
  await peer.until(() => peer.text.length >= 37 + GATHER_BYTES * 3, 'all of it');
  assert.equal(peer.text, text(0, 37 + GATHER_BYTES * 3));
  assert.equal(connection.sentBytes, 37 + GATHER_BYTES * 3);
  // What lies in the memory itself is copied within it.
  const slab = takeSlab();
  pool.copy(memory, 1_000_000 + slab, 0, 50_000);
  const before = peer.text.length;
  connection.send(memory, 1_000_000 + slab, 1_000_000 + slab + 50_000);
  flush();
  releaseSlab(slab);
  await peer.until(() => peer.text.length >= before + 50_000, 'the memory');
  assert.equal(peer.text.slice(before), text(0, 50_000));
});

test('two senders whose pieces alternate in one event each send their own', async (t) => {
  const one = await meet(t);
  const other = await meet(t);
  for (let piece = 0; piece < 200; piece++) {
    one.connection.send(Buffer.from(`one ${piece} `), 0, `one ${piece} `.length);
    other.connection.send(Buffer.from(`other ${piece} `), 0, `other ${piece} `.length);
  }
  flush();
  await Promise.all([one.peer.receive('one 199 '), other.peer.receive('other 199 ')]);
  const words = (word: string): string => Array.from({ length: 200 }, (_, piece) => `${word} ${piece} `).join('');
  assert.equal(one.peer.text, words('one'));
  assert.equal(other.peer.text, words('other'));
});

test('drained is told once for each time that the kernel did not take everything', async (t) => {
  const witness = new Witness();
  const { connection, client } = await pair(t, witness);
  let total = 0;
  for (let round = 1; round <= 3; round++) {
    client.pause();
    // Again and again although it is blocked already: that is still one time.
    const from = total;
    total += fill(connection);
    connection.send(pool, 0, 10);
    flush();
    total += 10;
    assert.equal(connection.blocked, true);
    assert.equal(witness.told.length, round - 1);
    const done = new Promise<void>((resolve) => {
      let seen = from;
      client.on('data', function count(chunk: Buffer) {
        seen += chunk.length;
        if (seen < total) return;
        client.off('data', count);
        resolve();
      });
    });
    client.resume();
    await done;
    while (connection.blocked) await turn();
    assert.deepEqual(witness.told, new Array(round).fill('drained'));
  }
  const gone = new Promise<void>((resolve) => {
    connection.onGone = resolve;
  });
  connection.destroy();
  await gone;
  assert.equal(slabsInUse(), start);
});

test('finish sends what waits and lets the peer go on; close sends what waits and then is gone', async (t) => {
  const witness = new Witness();
  const { connection, client } = await pair(t, witness);
  const total = fill(connection);
  connection.finish();
  connection.finish();
  assert.equal(connection.send(pool, 0, 10), !connection.blocked, 'after the end nothing is sent');
  assert.equal(await check(client, 0, total), '');
  client.write('more');
  await witness.until('received');
  client.end();
  await witness.until('closed');
  assert.deepEqual(witness.told, ['drained', 'received', 'finished', 'closed']);

  const second = new Witness();
  const other = await pair(t, second);
  const more = fill(other.connection);
  const gone = new Promise<void>((resolve) => {
    other.connection.onGone = resolve;
  });
  other.connection.close();
  assert.equal(await check(other.client, 0, more), '');
  other.client.end();
  await gone;
  assert.deepEqual(second.told, [], 'who closes is not told');
  assert.equal(slabsInUse(), start);
});

test('a connection that was closed with bytes waiting is given up when its peer stands still', async (t) => {
  const { connection, client } = await pair(t, quiet());
  client.pause();
  fill(connection);
  const gone = new Promise<void>((resolve) => {
    connection.onGone = resolve;
  });
  connection.close();
  connection.expire();
  assert.equal(connection.socket.destroyed, true);
  await gone;
  assert.equal(slabsInUse(), start);
});

test('a reset shows the peer that something is missing; on a unix socket, which has none, the connection is closed', async (t) => {
  const { connection, peer } = await meet(t);
  connection.reset();
  connection.reset();
  connection.close();
  connection.destroy();
  await peer.until(() => peer.closed, 'the reset');
  assert.equal(peer.error?.code, 'ECONNRESET');
  const folder = mkdtempSync(join(tmpdir(), 'millrace-io-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const local = await pair(t, quiet(), { path: join(folder, 'socket') });
  const end = new Peer(local.client);
  local.connection.reset();
  await end.receiveAll();
});

test('abort tells the receiver, once, and resets', async (t) => {
  const witness = new Witness();
  const { connection, peer } = await meet(t, witness);
  connection.abort(Object.assign(new Error('enough'), { code: 'EENOUGH' }));
  connection.abort(new Error('again'));
  await peer.until(() => peer.closed, 'the reset');
  assert.deepEqual(witness.told, ['closed EENOUGH']);
});

test('without a slab left a sender is told that its connection is closed, and the peer sees a reset', async (t) => {
  const witness = new Witness();
  const { connection, peer } = await meet(t, witness);
  const composing = new Witness();
  const other = await meet(t, composing);
  const slow = await pair(t, quiet());
  slow.client.pause();
  fill(slow.connection);
  // What waits once slabs are scarce waits in copies: only a slab for gathering that was held before can be missing.
  slow.connection.send(pool, 0, 60_000);
  flush();
  const taken: number[] = [];
  for (let slab = takeSlab(); slab >= 0; slab = takeSlab()) taken.push(slab);
  const answer = connection.send(pool, 0, 65_536);
  const at = other.connection.compose(GATHER_BYTES);
  taken.forEach(releaseSlab);
  assert.equal(answer, false);
  assert.equal(at, -1);
  assert.deepEqual(witness.told, ['closed ENOBUFS']);
  assert.deepEqual(composing.told, ['closed ENOBUFS']);
  await Promise.all([peer, other.peer].map((end) => end.until(() => end.closed, 'the reset')));
  assert.deepEqual([peer.error?.code, other.peer.error?.code], ['ECONNRESET', 'ECONNRESET']);
});

test('a deadline is told once; cleared, moved or after the end it is not', async (t) => {
  const witness = new Witness();
  const { connection } = await meet(t, witness);
  connection.expireIn(1);
  await witness.until('expired');
  connection.expireIn(60_000);
  assert.ok(connection.deadlineMs > 0);
  connection.expireIn(0);
  assert.equal(connection.deadlineMs, 0);
  const { size } = wheel;
  connection.destroy();
  connection.expireIn(10);
  assert.ok(wheel.size < size);
  assert.deepEqual(witness.told, ['expired']);
});

test('what a deadline of somebody else sends leaves at once, although no event of a connection follows', async (t) => {
  const { connection, peer } = await meet(t);
  class Late extends Timed {
    override expire(): void {
      connection.send(Buffer.from('too late'), 0, 8);
    }
  }
  wheel.arm(new Late(), 1);
  await peer.receive('too late');
});

test('progress is what the kernel has taken since it was last asked', async (t) => {
  const { connection, client } = await pair(t, quiet());
  assert.equal(connection.progressed(), true, 'nothing waits');
  client.pause();
  connection.send(pool, 0, 8_000_000);
  flush();
  assert.equal(connection.blocked, true);
  // The peer's kernel may take some more at first.
  while (connection.progressed()) await turn();
  assert.equal(connection.progressed(), false);
  await new Promise<void>((resolve) => {
    let seen = 0;
    client.on('data', (chunk: Buffer) => {
      seen += chunk.length;
      if (seen > 5_000_000) resolve();
    });
    client.resume();
  });
  assert.equal(connection.progressed(), true);
});

test('an exception in a receiver ends that connection alone, and is told', async (t) => {
  const witness = new Witness();
  const { connection, peer } = await meet(t, witness);
  witness.received = () => {
    throw new Error('in received');
  };
  witness.expired = () => {
    throw new Error('in expired');
  };
  peer.send('x');
  await witness.until('crashed in received');
  connection.expireIn(1);
  await witness.until('crashed in expired');
  assert.equal(connection.gone, false, 'what to do is left to the receiver');

  const reported: unknown[] = [];
  onCrash((error) => reported.push(error));
  t.after(() => onCrash(() => {}));
  const again = await meet(t, {
    ...NOBODY,
    received() {
      throw new Error('first');
    },
    crashed() {
      throw new Error('second');
    },
  });
  again.peer.send('x');
  await again.peer.until(() => again.peer.closed, 'the reset');
  assert.deepEqual(
    reported.map((error) => (error as Error).message),
    ['second'],
  );
  connection.send(Buffer.from('alive'), 0, 5);
  flush();
  await peer.receive('alive');
});

test('bytes that were kept are delivered again in order, as long as somebody is there', async (t) => {
  let seen = 0;
  const { connection } = await pair(t, {
    ...quiet(),
    received(from, to) {
      assert.equal(pool.compare(memory, from, to, seen, seen + to - from), 0);
      seen += to - from;
      if (seen > 150_000) connection.destroy();
    },
  });
  connection.inject(pool.subarray(0, 300_000));
  assert.ok(seen >= 150_000 && seen < 300_000);
  assert.equal(connection.receivedBytes, 0, 'they were counted when they came');
});

test('a peer that resets while bytes wait for it is told as an error, and everything is given back', async (t) => {
  const witness = new Witness();
  const { connection, client } = await pair(t, witness);
  client.pause();
  fill(connection);
  client.resetAndDestroy();
  await witness.until('closed ECONNRESET');
  assert.equal(witness.told.at(-1), 'closed ECONNRESET');
  assert.equal(connection.send(pool, 0, 100), true, 'afterwards nothing matters');
  connection.pause();
  connection.resume();
  assert.equal(slabsInUse(), start);
});

test('a dial is told as connected, or as closed with the reason; one that was destroyed tells nothing', async (t) => {
  const origin = await startOrigin(t, (peer) => peer.send('hello'));
  const folder = mkdtempSync(join(tmpdir(), 'millrace-io-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const local = await startOrigin(t, (peer) => peer.send('local'), join(folder, 'origin'));
  for (const [address, greeting] of [
    [loopback(origin.port), 'hello'],
    [{ ...loopback(origin.port), host: '' }, 'hello'],
    [unixPath(join(folder, 'origin')), 'local'],
  ] as const) {
    const witness = Object.assign(new Witness(), { connected: () => witness.tell('connected') });
    const connection = dial(address, witness);
    await witness.until('received');
    assert.equal(witness.text, greeting);
    assert.equal(witness.told[0], 'connected');
    connection.send(Buffer.from('reply'), 0, 5);
    flush();
    const server = greeting === 'local' ? local : origin;
    await (await server.peer(server.peers.length - 1)).receive('reply');
    connection.destroy();
  }
  const free = await acceptConnections(t);
  free.server.close();
  const refused = Object.assign(new Witness(), { connected: () => refused.tell('connected') });
  dial(loopback(free.where as number), refused);
  await refused.until('closed ECONNREFUSED');
  const missing = Object.assign(new Witness(), { connected: () => missing.tell('connected') });
  dial(unixPath(join(folder, 'nobody')), missing);
  await missing.until('closed ENOENT');
  const silent = Object.assign(new Witness(), { connected: () => silent.tell('connected') });
  for (const host of ['127.0.0.1', 'localhost']) {
    const gone = dial({ ...loopback(origin.port), host }, silent);
    const over = new Promise<void>((resolve) => {
      gone.onGone = resolve;
    });
    gone.destroy();
    await over;
  }
  assert.deepEqual([refused.told, missing.told, silent.told], [['closed ECONNREFUSED'], ['closed ENOENT'], []]);
  assert.equal(slabsInUse(), start);
});

test('an accept that fails is told by the server, and the next one succeeds', async (t) => {
  const { server, where, connections } = await acceptConnections(t);
  connections((connection) => {
    connection.send(Buffer.from('served'), 0, 6);
    flush();
  });
  const errors: string[] = [];
  server.on('error', (error: NodeJS.ErrnoException) => errors.push(error.code ?? ''));
  // What libuv reports when descriptors have run out.
  (server as unknown as { _handle: { onconnection(status: number): void } })._handle.onconnection(-24);
  assert.deepEqual(errors, ['EMFILE']);
  await new Peer(open(t, where)).receive('served');
});

test('where the private interface is missing, connections are accepted all the same', async (t) => {
  const { createServer } = await import('node:net');
  const { acceptFrom } = await import('../../lib/io/receive.ts');
  const { Connection } = await import('../../lib/io/connection.ts');
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => void server.close());
  const { _handle: handle } = server as unknown as { _handle: { onconnection: unknown } };
  const original = handle.onconnection;
  handle.onconnection = undefined;
  const witness = new Witness();
  acceptFrom(server, (socket) => {
    const connection = new Connection(socket, witness);
    t.after(() => connection.destroy());
  });
  handle.onconnection = original;
  const client: Socket = connect((server.address() as { port: number }).port, '127.0.0.1');
  t.after(() => client.destroy());
  client.write('hello');
  await witness.until('received');
  assert.equal(witness.text, 'hello');
});

function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 2));
}

test('a connection that has ended its side before everything left is still reset, closed and done with', async (t) => {
  const error = Object.assign(new Error('given up'), { code: 'EX' });
  const ways: Readonly<Record<string, (connection: Connection) => void>> = {
    'close that stands still': (connection) => connection.close(50),
    'finish, then reset': (connection) => {
      connection.finish();
      connection.reset();
    },
    'finish, then abort later': (connection) => {
      connection.finish();
      setImmediate(() => connection.abort(error));
    },
    'finish, then destroy': (connection) => {
      connection.finish();
      connection.destroy();
    },
  };
  for (const [name, leave] of Object.entries(ways)) {
    for (const waiting of [true, false]) {
      const { connection, client } = await pair(t, new Witness());
      client.pause();
      // Piece by piece, so that nothing is queued behind the one that has to wait.
      while (waiting && !connection.blocked) {
        connection.send(pool, 0, 10_000);
        flush();
      }
      const gone = new Promise<void>((resolve) => {
        connection.onGone = resolve;
      });
      leave(connection);
      await gone;
      assert.equal(connection.socket.destroyed, true, name);
      assert.equal(slabsInUse(), start, name);
      assert.equal(descriptorOf(connection.socket), -1, name);
    }
  }
});

test('an end that is sent while bytes wait comes behind them', async (t) => {
  const { connection, client } = await pair(t, new Witness());
  client.pause();
  let total = 0;
  for (; !connection.blocked; total += 10_000) {
    connection.send(pool, 0, 10_000);
    flush();
  }
  connection.finish();
  let seen = 0;
  client.on('data', (chunk: Buffer) => {
    seen += chunk.length;
  });
  client.resume();
  await once(client, 'end');
  assert.equal(seen, total);
  client.end();
});
