// A listener that has another name, and is otherwise the same, is the same.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startOrigin } from '../support/origin.ts';
import { connectPeer } from '../support/peer.ts';
import { freePort, pause } from '../support/process.ts';
import { supervise } from '../support/supervisor.ts';

test('tunnels of a listener that gets another name go on beyond drainTimeout, and are counted under it', async (t) => {
  const origin = await startOrigin(t);
  const port = await freePort();
  const document = (name: string): string => `
drainTimeout: 1ms
listeners:
  ${name}: { bind: "127.0.0.1:${port}", protocol: tcp, cluster: api, limits: { connections: 1 } }
  other: { bind: "127.0.0.1:0", protocol: tcp, cluster: api }
clusters: { api: { endpoints: ["${origin.address}"] } }
`;
  const proxy = await supervise(t, document('before'));
  const tunnel = await connectPeer(t, port);
  tunnel.send('hello');
  const end = await origin.peer(0);
  await end.receive('hello');

  const plan = await proxy.tryReload(document('after'), true);
  assert.ok('changes' in plan);
  const removed = plan.changes.find(({ what }) => what === 'removed');
  assert.deepEqual([removed?.name, removed?.effect], ['before', 'goes on as after, with its connections']);

  await proxy.reload(document('after'));
  // One that is gone would be cut off within this time, and it would be told.
  await proxy.reload(`${document('after').replace('drainTimeout: 1ms', 'drainTimeout: 2ms')}`);
  end.send('still here');
  await tunnel.receive('still here');
  const connections = async (): Promise<unknown[]> =>
    (await proxy.supervisor.status()).listeners.map(({ name, connections }) => [name, connections]);
  assert.deepEqual(await connections(), [
    ['after', 1],
    ['other', 0],
  ]);
  // The limit knows of it too.
  const second = await connectPeer(t, port);
  await second.receiveAll().catch(() => {});
  assert.ok(proxy.log.some(({ message, listener }) => message === 'too many connections' && listener === 'after'));
  tunnel.end();
  end.end();
  while ((await proxy.supervisor.status()).connections > 0) await pause(5);
  const third = await connectPeer(t, port);
  third.send('third');
  await (await origin.peer(1)).receive('third');
  assert.ok(!proxy.log.some(({ message }) => String(message).includes('cut off')));
});
