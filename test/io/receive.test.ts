// Bytes through real sockets while slabs are shared, lent and reused: whatever arrives must be exactly what was sent,
// and every slab must come back.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { releaseSlab, SLAB_COUNT, slabsInUse, slabView, takeSlab } from '../../lib/io/slab.ts';
import { memory } from '../../lib/wire/http1/llhttp.ts';
import { startOrigin } from '../support/origin.ts';
import {
  acceptConnections,
  check,
  loopback,
  open,
  pair,
  pool,
  pour,
  quiet,
  startTunnels,
  type TunnelOptions,
  unixPath,
} from '../support/tunnel.ts';

const start = slabsInUse();

/** An origin whose sockets are left to `serve`. */
async function serveRaw(t: TestContext, serve: (socket: Socket, number: number) => void, path?: string) {
  const sockets: Socket[] = [];
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {});
    sockets.push(socket);
    serve(socket, sockets.length - 1);
  });
  await new Promise<void>((resolve) => {
    if (path === undefined) server.listen(0, '127.0.0.1', resolve);
    else server.listen({ path, backlog: 4096 }, resolve);
  });
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const bound = server.address();
  return { address: typeof bound === 'object' && bound !== null ? loopback(bound.port) : unixPath(path!), sockets };
}

interface Flow {
  readonly up: number;
  readonly down: number;
  readonly pauses: number;
}

/** Sends all flows at once, each on a connection of its own; answers what went wrong, '' for nothing. */
async function transfer(t: TestContext, flows: readonly Flow[], options: TunnelOptions = {}): Promise<string> {
  const offset = (number: number, way: number): number => number * 77_777 + way * 3_333_333;
  const faults: Promise<string>[] = [];
  const numbers: number[] = [];
  const origin = await serveRaw(t, (socket) => {
    // Connections may arrive in another order than they were made: the first four bytes tell which one it is.
    socket.once('readable', () => {
      const number = (socket.read(4) as Buffer).readUInt32BE();
      const flow = flows[number]!;
      numbers.push(number);
      faults.push(check(socket, offset(number, 0), flow.up, flow.pauses));
      void pour(socket, offset(number, 1), flow.down);
    });
  });
  const tunnels = await startTunnels(t, origin.address, options);
  const replies = flows.map(async (flow, number) => {
    const client = open(t, tunnels.where);
    const mark = Buffer.alloc(4);
    mark.writeUInt32BE(number);
    client.write(mark);
    const fault = check(client, offset(number, 1), flow.down, flow.pauses);
    await pour(client, offset(number, 0), flow.up);
    return fault;
  });
  const results = [...(await Promise.all(replies)), ...(await Promise.all(faults))];
  await tunnels.gone();
  return results.filter((fault) => fault !== '').join('; ');
}

const size = fc.oneof(
  { weight: 3, arbitrary: fc.integer({ min: 1, max: 2000 }) },
  { weight: 3, arbitrary: fc.integer({ min: 1, max: 300_000 }) },
  { weight: 2, arbitrary: fc.integer({ min: 1, max: 8 * 1024 * 1024 }) },
);
const flow = fc.record({ up: size, down: size, pauses: fc.nat(1_000_000) });

for (const copied of [false, true]) {
  const way = copied ? 'copied from data events' : 'read into slabs';
  test(`bytes ${way} arrive exactly as sent, both ways at once, whatever their number and the readers' pauses`, async (t) => {
    await fc.assert(
      fc.asyncProperty(fc.array(flow, { minLength: 1, maxLength: 5 }), async (flows) => {
        assert.equal(await transfer(t, flows, { copied }), '');
        assert.equal(slabsInUse(), start);
      }),
      { numRuns: 12, endOnFailure: true },
    );
  });
}

test('sixty connections at once, slow and fast, large and small, keep their bytes apart', async (t) => {
  const flows = Array.from({ length: 60 }, (_, number) => ({
    up: number % 3 === 0 ? 900_000 + number : 1 + number * 50,
    down: number % 4 === 0 ? 1_500_000 + number : 20_000 + number,
    pauses: number % 2 === 0 ? 0 : number + 1,
  }));
  assert.equal(await transfer(t, flows), '');
  assert.equal(slabsInUse(), start);
});

test('a connection that changes between bulk and trickle changes its slab and loses nothing', async (t) => {
  const faults: Promise<string>[] = [];
  const total = 40 * (200_000 + 5 * 100);
  const origin = await serveRaw(t, (socket) => faults.push(check(socket, 0, total, 7)));
  const tunnels = await startTunnels(t, origin.address);
  const client = open(t, tunnels.where);
  let sent = 0;
  const write = (bytes: number): Promise<void> =>
    new Promise((resolve) => {
      const piece = Buffer.allocUnsafe(bytes);
      for (let at = 0; at < bytes; at++) piece[at] = pool[(sent + at) % pool.length]!;
      sent += bytes;
      client.write(piece, () => setImmediate(resolve));
    });
  for (let round = 0; round < 40; round++) {
    await write(200_000);
    for (let small = 0; small < 5; small++) await write(100);
  }
  client.end();
  const [tunnel] = await Promise.all([tunnels.tunnel(0)]);
  assert.equal(await faults[0], '');
  assert.equal(sent, total);
  open(t, tunnels.where);
  origin.sockets[0]!.end();
  await tunnel.gone;
  assert.equal(slabsInUse(), start);
});

test('clients that vanish with bytes still lent to them do not disturb the others', async (t) => {
  const faults: Promise<string>[] = [];
  const origin = await serveRaw(t, (socket, number) => void pour(socket, number * 999, 3_000_000));
  const tunnels = await startTunnels(t, origin.address);
  const clients: Socket[] = [];
  for (let number = 0; number < 40; number++) {
    const client = open(t, tunnels.where);
    clients.push(client);
    await tunnels.tunnel(number);
    if (number % 2 === 0) faults.push(check(client, number * 999, 3_000_000, number + 1));
    else {
      // Reads a little, so that slabs are lent, stops, and is gone in one of three ways.
      client.once('data', () => {
        client.pause();
        setTimeout(() => {
          if (number % 3 === 0) client.resetAndDestroy();
          else client.destroy();
        }, number % 7);
      });
    }
  }
  for (const fault of await Promise.all(faults)) assert.equal(fault, '');
  for (const client of clients) client.destroy();
  await tunnels.gone();
  assert.equal(slabsInUse(), start);
});

test('a connection that is closing reads nothing more into the slab that it gave back', async (t) => {
  const { connection, client } = await pair(t, quiet());
  client.pause();
  // The last read of a piece may be a short one, after which the slab is given back.
  for (let sent = 0; connection.slab < 0; ) {
    sent += 2_000_000;
    assert.ok(sent < 200_000_000, 'the connection never reads in bulk');
    client.write(Buffer.alloc(2_000_000, 1));
    while (connection.receivedBytes < sent) await turn();
  }
  const { slab } = connection;
  const large = Buffer.alloc(1_000_000, 2);
  while (connection.send(large, 0, large.length));
  connection.close();
  assert.equal(takeSlab(), slab, 'given back');
  slabView(slab).fill(3);
  await new Promise((resolve) => client.write(Buffer.alloc(50_000, 4), resolve));
  for (let turns = 0; turns < 20; turns++) await turn();
  assert.equal(
    slabView(slab).findIndex((byte) => byte !== 3),
    -1,
    'somebody wrote into a slab of somebody else',
  );
  releaseSlab(slab);
  client.destroy();
});

test('a thousand stalled readers do not take the buffers that everybody else needs', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-io-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const count = 1000;
  const bytes = 600_000;
  const path = join(folder, 'proxy');
  // Unix sockets: their kernel buffers are small, so that a thousand of them fill without filling the machine.
  const origin = await serveRaw(t, (socket, number) => void pour(socket, number * 31, bytes), join(folder, 'origin'));
  const tunnels = await startTunnels(t, origin.address, { path });
  const clients: Socket[] = [];
  for (let number = 0; number < count; number++) {
    const client = open(t, path);
    client.pause();
    clients.push(client);
    await tunnels.tunnel(number);
  }
  while (tunnels.all.some(({ downstream }) => !downstream.blocked && !downstream.gone)) await turn();
  assert.equal(tunnels.all.filter(({ downstream }) => downstream.gone).length, 0, 'tunnels that were given up');
  assert.ok(slabsInUse() < SLAB_COUNT, 'no slab is left');

  // Somebody new is served as ever.
  const other = await startTunnels(t, (await serveRaw(t, (socket) => void pour(socket, 5, 3_000_000))).address);
  assert.equal(await check(open(t, other.where), 5, 3_000_000), '');

  // And those who waited get all of it once they read on.
  const faults = await Promise.all(
    clients.map((client, number) => {
      client.end();
      const fault = check(client, number * 31, bytes);
      client.resume();
      return fault;
    }),
  );
  assert.deepEqual(
    faults.filter((fault) => fault !== ''),
    [],
  );
});

test('without a slab of its own a connection reads on into the shared one', async (t) => {
  const taken: number[] = [];
  // Readers stop getting slabs of their own first; what is left is for those who send.
  while (slabsInUse() < SLAB_COUNT - 60) taken.push(takeSlab());
  t.after(() => taken.forEach(releaseSlab));
  const flows = Array.from({ length: 20 }, (_, number) => ({ up: 500_000, down: 700_000, pauses: number }));
  assert.equal(await transfer(t, flows), '');
});

test('a paused connection gets nothing, paused within a delivery or outside of one, and everything when it goes on', async (t) => {
  let fault = '';
  const { connection, client } = await pair(t, {
    ...quiet(),
    received(from, to) {
      assert.equal(connection.paused, false, 'delivered while paused');
      const at = connection.receivedBytes - (to - from);
      if (fault === '' && pool.compare(memory, from, to, at, at + to - from) !== 0) fault = `wrong bytes at ${at}`;
      // Within a delivery, both at once and one alone.
      connection.pause();
      if (connection.receivedBytes % 2 === 0) {
        connection.resume();
        connection.pause();
      }
      setImmediate(() => {
        connection.resume();
        connection.pause();
        connection.pause();
        setImmediate(() => {
          connection.resume();
          connection.resume();
        });
      });
    },
    finished() {
      connection.finish();
    },
  });
  void pour(client, 0, 4_000_000);
  client.resume();
  await new Promise((resolve) => client.once('end', resolve));
  assert.equal(fault, '');
  assert.equal(connection.receivedBytes, 4_000_000);
});

test('sockets that start while others copy still read into the shared slab', async (t) => {
  const origin = await startOrigin(t);
  const faults: Promise<string>[] = [];
  const { where, connections } = await acceptConnections(t, { copied: true });
  connections((connection) => {
    connection.receiver = quiet();
  });
  const copying = open(t, where);
  copying.write(pool.subarray(0, 500_000));
  const tunnels = await startTunnels(t, loopback(origin.port), { copied: true });
  for (let number = 0; number < 5; number++) {
    const client = open(t, tunnels.where);
    faults.push(check(client, number, 200_000));
    const peer = await origin.peer(number);
    copying.write(pool.subarray(0, 300_000));
    void pour(peer.socket, number, 200_000);
  }
  for (const fault of await Promise.all(faults)) assert.equal(fault, '');
});

function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 2));
}
