// The relay: ends, failures, silence and backpressure of a tunnel between real sockets.

import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { wheel } from '../../lib/io/connection.ts';
import { dial } from '../../lib/io/dial.ts';
import { takenBytes } from '../../lib/io/receive.ts';
import { relay } from '../../lib/io/relay.ts';
import { SLAB_BYTES, slabsInUse } from '../../lib/io/slab.ts';
import { memory } from '../../lib/wire/http1/llhttp.ts';
import { type Origin, startOrigin } from '../support/origin.ts';
import { Peer } from '../support/peer.ts';
import {
  acceptConnections,
  check,
  loopback,
  open,
  POOL_BYTES,
  pair,
  pool,
  pour,
  quiet,
  startTunnels,
  type Tunnel,
  type TunnelOptions,
} from '../support/tunnel.ts';

const start = slabsInUse();

interface Ends {
  readonly tunnel: Tunnel;
  readonly client: Peer;
  readonly origin: Peer;
}

async function standing(t: TestContext, options: TunnelOptions = {}): Promise<Ends> {
  const server: Origin = await startOrigin(t);
  const tunnels = await startTunnels(t, loopback(server.port), options);
  const client = new Peer(open(t, tunnels.where));
  const [tunnel, origin] = await Promise.all([tunnels.tunnel(0), server.peer(0)]);
  return { tunnel, client, origin };
}

test('each side can end by itself, and the other goes on until it ends too', async (t) => {
  for (const clientFirst of [true, false]) {
    const { tunnel, client, origin } = await standing(t);
    const [first, second] = clientFirst ? [client, origin] : [origin, client];
    first.send('question');
    first.end();
    await second.receiveAll();
    assert.equal(second.text, 'question');
    for (const piece of ['an ', 'answer ', 'afterwards']) {
      second.send(piece);
      await first.receive(piece);
    }
    assert.equal(first.ended, false);
    second.end();
    await first.receiveAll();
    assert.equal(first.text, 'an answer afterwards');
    assert.equal(await tunnel.ended, null);
    await tunnel.gone;
  }
  assert.equal(slabsInUse(), start);
});

test('a tunnel that both sides end at once is over without an error', async (t) => {
  const { tunnel, client, origin } = await standing(t);
  client.send('a');
  origin.send('b');
  client.end();
  origin.end();
  await Promise.all([client.receiveAll(), origin.receiveAll()]);
  assert.deepEqual([client.text, origin.text, await tunnel.ended], ['b', 'a', null]);
  await tunnel.gone;
});

test('a reset of one side resets the other', async (t) => {
  for (const clientFirst of [true, false]) {
    const { tunnel, client, origin } = await standing(t);
    const [first, second] = clientFirst ? [client, origin] : [origin, client];
    first.send('x');
    await second.receive('x');
    first.socket.resetAndDestroy();
    await second.until(() => second.closed, 'the reset');
    assert.equal(second.error?.code, 'ECONNRESET');
    assert.equal((await tunnel.ended)?.code, 'ECONNRESET');
    await tunnel.gone;
  }
});

test('what was sent before an end arrives although the reader was stalled when it came', async (t) => {
  const { tunnel, client, origin } = await standing(t);
  client.socket.pause();
  const sent = pour(origin.socket, 0, POOL_BYTES);
  while (!tunnel.downstream.blocked) await turn();
  client.end();
  const fault = check(client.socket, 0, POOL_BYTES, 3);
  client.socket.resume();
  await sent;
  assert.equal(await fault, '');
  assert.equal(await tunnel.ended, null);
  await tunnel.gone;
  assert.equal(slabsInUse(), start);
});

test('a reader that stands still stops its writer, and holds no more than one read each way', async (t) => {
  const { tunnel, client, origin } = await standing(t);
  const { downstream, upstream } = tunnel;
  client.socket.pause();
  origin.socket.pause();
  const more = (socket: Socket): void => {
    while (socket.write(pool.subarray(0, 1_000_000)));
  };
  more(client.socket);
  more(origin.socket);
  client.socket.on('drain', () => more(client.socket));
  origin.socket.on('drain', () => more(origin.socket));
  while (!downstream.blocked || !upstream.blocked) await turn();
  // The kernels go on for a while; what we hold must not grow.
  for (let turns = 0; turns < 50; turns++) {
    await turn();
    assert.ok(downstream.receivedBytes - upstream.sentBytes <= 0, 'received and not handed on');
    assert.ok(downstream.socket.writableLength <= SLAB_BYTES, `${downstream.socket.writableLength} bytes wait`);
    assert.ok(upstream.socket.writableLength <= SLAB_BYTES, `${upstream.socket.writableLength} bytes wait`);
    assert.ok(slabsInUse() <= start + 6, `${slabsInUse()} slabs`);
  }
  assert.deepEqual([downstream.paused, upstream.paused], [true, true]);
  client.socket.destroy();
  origin.socket.destroy();
  await tunnel.gone;
  assert.equal(slabsInUse(), start);
});

test('silence in both directions ends the tunnel; a byte in either direction counts for both', async (t) => {
  const { tunnel, client, origin } = await standing(t, { idleMs: 60_000 });
  const { downstream } = tunnel;
  const armed = downstream.deadlineMs;
  assert.ok(armed > 0);
  while (wheel.nowMs + 60_000 + 100 <= armed) await turn();
  origin.send('x');
  await client.receive('x');
  assert.ok(downstream.deadlineMs > armed, 'moved by the origin');
  downstream.receiver.expired();
  await Promise.all([client.receiveAll(), origin.receiveAll()]);
  assert.equal((await tunnel.ended)?.code, 'ETIMEDOUT');
  client.end();
  origin.end();
  await tunnel.gone;
});

test('a short silence limit ends the tunnel by itself, and 0 never does', async (t) => {
  const { tunnel } = await standing(t, { idleMs: 1 });
  assert.equal((await tunnel.ended)?.code, 'ETIMEDOUT');
  const patient = await standing(t);
  assert.equal(patient.tunnel.downstream.deadlineMs, 0);
});

test('a reader that is slow but takes something is not cut off by the silence limit; one that takes nothing is', async (t) => {
  const { tunnel, client } = await standing(t, { idleMs: 60_000 });
  const { downstream } = tunnel;
  let over = false;
  void tunnel.ended.then(() => {
    over = true;
  });
  client.socket.pause();
  // So much at once that the reader can take several times from it before it is gone.
  for (let times = 0; times < 3; times++) downstream.send(pool, 0, POOL_BYTES);
  assert.equal(downstream.blocked, true);
  const seen = async (bytes: number): Promise<void> => {
    const wanted = client.text.length + bytes;
    client.socket.resume();
    await client.until(() => client.text.length >= wanted, `${bytes} bytes`);
    client.socket.pause();
  };
  // Let the kernels settle, so that nothing moves but by the reader.
  while (tunnel.downstream.progressed()) await turn();
  for (let round = 0; round < 2; round++) {
    // The kernel asks for more only when a good part of its buffer is free.
    const before = takenBytes(downstream.socket);
    while (takenBytes(downstream.socket) === before) await seen(100_000);
    assert.equal(downstream.blocked, true, 'more than this test takes was sent');
    downstream.receiver.expired();
    await turn();
    assert.equal(over, false, 'the reader took something');
  }
  for (let turns = 0; turns < 2000 && !over; turns++) {
    downstream.receiver.expired();
    await turn();
  }
  assert.equal(over, true, 'the reader took nothing any more');
  // It still gets a chance to take what waits, but not for ever.
  downstream.expire();
  downstream.expire();
  await tunnel.gone;
  assert.equal(slabsInUse(), start);
});

test('what each side has ended before the tunnel begins is passed on, and bytes that wait come first', async (t) => {
  const server = await startOrigin(t);
  const { where, connections } = await acceptConnections(t);
  const ended = new Promise<NodeJS.ErrnoException | null>((resolve) => {
    connections((downstream) => {
      let early = '';
      downstream.receiver = {
        ...quiet(),
        received(from, to) {
          early += memory.toString('latin1', from, to);
        },
        finished() {
          const upstream = dial(loopback(server.port), {
            ...quiet(),
            connected() {
              upstream.send(Buffer.from(early), 0, early.length);
              relay(downstream, upstream, 0, resolve);
            },
          });
        },
      };
    });
  });
  const client = new Peer(open(t, where));
  client.send('early');
  client.end();
  const origin = await server.peer(0);
  await origin.receiveAll();
  assert.equal(origin.text, 'early');
  origin.send('late');
  origin.end();
  await client.receiveAll();
  assert.equal(client.text, 'late');
  assert.equal(await ended, null);
});

test('a fault of ours in a tunnel resets both sides and is told', async (t) => {
  const { tunnel, client, origin } = await standing(t);
  // What is thrown on reaches whoever logs it (see Connection).
  assert.throws(() => tunnel.upstream.receiver.crashed(new Error('ours')), /ours/);
  tunnel.downstream.receiver.crashed('again');
  await Promise.all([client, origin].map((peer) => peer.until(() => peer.closed, 'the reset')));
  assert.equal((await tunnel.ended)?.message, 'ours');
});

test('a tunnel whose upstream is blocked from the start reads from the client only when that has cleared', async (t) => {
  const server = await startOrigin(t, (peer) => peer.socket.pause());
  const { connection: downstream, client } = await pair(t, quiet());
  downstream.pause();
  const upstream = dial(loopback(server.port), {
    ...quiet(),
    connected() {
      upstream.send(pool, 0, POOL_BYTES);
      relay(downstream, upstream, 0, () => {});
    },
  });
  t.after(() => upstream.destroy());
  client.write('behind');
  while (!upstream.blocked) await turn();
  assert.equal(downstream.paused, true);
  const origin = await server.peer(0);
  origin.socket.resume();
  await origin.until(() => origin.text.length >= POOL_BYTES + 6, 'all of it');
  assert.equal(origin.text.slice(-6), 'behind');
});

function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 2));
}
