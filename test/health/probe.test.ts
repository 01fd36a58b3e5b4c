// What a single check makes of what it meets with.

import assert from 'node:assert/strict';
import { Socket } from 'node:net';
import { test } from 'node:test';
import { readConfiguration } from '../../lib/config/read.ts';
import { probe } from '../../lib/health/probe.ts';
import { Cluster } from '../../lib/upstream/cluster.ts';
import { reply, replying } from '../support/http.ts';
import { startOrigin } from '../support/origin.ts';

/** What one check of this endpoint finds: its fault, and whether that is ours. */
async function check(address: string, health: string): Promise<readonly [string, boolean]> {
  const document = `{ listeners: {}, clusters: { c: { endpoints: ["${address}"], health: ${health} } } }`;
  const read = await readConfiguration(document, 'test.yaml');
  assert.ok('configuration' in read, JSON.stringify(read));
  const options = read.configuration.clusters['c']!;
  const cluster = new Cluster('c', options);
  return new Promise((resolve) => {
    probe(cluster, cluster.endpoints[0]!, options.health!, (fault, ours) => resolve([fault, ours]));
  });
}

test('a body is compared as UTF-8, also when a letter comes in two pieces', async (t) => {
  const text = Buffer.from('Zustand: läuft – 健康');
  for (const cut of [0, 11, 17, 20]) {
    const origin = await startOrigin(t, (peer) => {
      void peer.receive('\r\n\r\n').then(async () => {
        const head = `HTTP/1.1 200 OK\r\nContent-Length: ${text.length}\r\n\r\n`;
        peer.socket.write(Buffer.concat([Buffer.from(head), text.subarray(0, cut)]), () => {
          setImmediate(() => peer.socket.write(text.subarray(cut)));
        });
      });
    });
    assert.deepEqual(await check(origin.address, '{ path: /, body: "läuft – 健康$" }'), ['', false]);
  }
  const other = await startOrigin(t, replying(reply('l\xc3\xa4uft nicht')));
  const [fault] = await check(other.address, '{ path: /, body: "läuft$" }');
  assert.equal(fault, 'the body does not match');
});

test('when we have no descriptor left that is our own fault, and a refused connection is not', async (t) => {
  const origin = await startOrigin(t);
  for (const health of ['{ path: / }', '{ tcp: true }']) {
    const { address, server } = await startOrigin(t);
    await new Promise((resolve) => server.close(resolve));
    const [fault, ours] = await check(address, health);
    assert.match(fault, /ECONNREFUSED/);
    assert.equal(ours, false);
    const mocked = t.mock.method(Socket.prototype, 'connect', function (this: Socket) {
      process.nextTick(() => this.destroy(Object.assign(new Error('too many open files'), { code: 'EMFILE' })));
      return this;
    });
    assert.deepEqual((await check(origin.address, health))[1], true, health);
    mocked.mock.restore();
  }
  assert.equal(origin.peers.length, 0);
});
