// How long snapshots live.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { createLog } from '../../lib/base/log.ts';
import { type Built, buildSnapshot } from '../../lib/config/build.ts';
import { readConfiguration } from '../../lib/config/read.ts';
import { Server } from '../../lib/server/server.ts';

const log = createLog({ level: 'error', format: 'json', colours: false, write: () => {}, now: Date.now });

test('snapshots that were replaced are let go of, also where clusters went over in place', async (t) => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const server = Server.create(log);
  t.after(() => server.close());
  const passed: WeakRef<Built>[] = [];
  let now = await build(0, null);
  for (let n = 1; n < 6; n++) {
    const before = now;
    now = await build(n, before);
    const prepared = await server.prepare(now);
    assert.ok(!('fault' in prepared));
    prepared.commit(0);
    assert.equal(now.clusters.get('api'), before.clusters.get('api'));
    passed.push(new WeakRef(before));
  }
  for (let tries = 0; tries < 20; tries++) {
    await turn();
    collect();
  }
  // The last of them may still be on the stack of a promise.
  assert.deepEqual(
    passed.slice(0, -1).map((one) => one.deref() === undefined),
    [true, true, true, true],
  );
});

/** With another route, and another number in its cluster. */
async function build(n: number, before: Built | null): Promise<Built> {
  const read = await readConfiguration(
    `
listeners: { web: { bind: "127.0.0.1:0", routes: [{ match: { path: "/${n}" }, cluster: api }] } }
clusters: { api: { endpoints: ["127.0.0.1:1"], timeouts: { response: ${10 + n}s } } }
`,
    'test.yaml',
  );
  assert.ok('configuration' in read);
  return buildSnapshot(read.configuration, log, before === null ? {} : { before });
}
