// Waiting for a connection takes no longer than it may, however often there seems to be one.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ask, reply, replying, request } from '../support/http.ts';
import { startOrigin } from '../support/origin.ts';
import { connectPeer } from '../support/peer.ts';
import { httpTo, startProxy } from '../support/proxy.ts';

test('who is woken in vain again and again is answered in time', async (t) => {
  const busy = await startOrigin(t);
  const tried = await startOrigin(t, replying(reply('hi')));
  const proxy = await startProxy(t, httpTo([busy.address, tried.address], '', 'pool: { max: 1, queueTimeout: 200ms }'));
  const [cluster] = proxy.snapshot.clusters.values();
  const holder = await connectPeer(t, proxy.port('web'));
  holder.send(request('GET /holds'));
  await (await busy.peer(0)).receive('\r\n\r\n');
  // It has room, but not for those who come before its trial is over.
  cluster!.endpoints[1]!.standing.trial = 'underway';
  cluster!.publish();
  let answered = 0;
  const begun = performance.now();
  const late = ['a', 'b'].map((path) =>
    ask(t, proxy.port('web'), request(`GET /${path}`, ['Connection: close'])).finally(() => answered++),
  );
  while (answered < late.length && performance.now() - begun < 10_000) {
    cluster!.wake();
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  assert.equal(answered, 2, 'they wait for ever');
  for (const text of await Promise.all(late)) assert.match(text, /^HTTP\/1\.1 503 /);
  assert.equal(tried.peers.length, 0);
});
