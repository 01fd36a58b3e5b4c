// What files of certificates held, and who holds on to it.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { type Built, buildSnapshot } from '../../lib/config/build.ts';
import { readConfiguration } from '../../lib/config/read.ts';
import { Materials } from '../../lib/tls/material.ts';
import { Certificates } from '../support/certificates.ts';
import { quietLog } from '../support/reports.ts';

test('a listener and a cluster hold on to no keys but their own', async (t) => {
  const { built, others } = await build(t);
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  // What was looked at through a weak reference lives until the turn ends.
  for (let count = 0; count < 20; count++) {
    await turn();
    collect();
  }
  assert.equal(others.deref(), undefined);
  assert.equal(built.listeners.length, 1);
});

test('what is known of some files alone is what is known of all, and what is new is told all the same', () => {
  const told: string[] = [];
  const [a, b] = [['a', '', ''], ['b']].map((files) => ({
    kind: 'material' as const,
    files,
    contents: [Buffer.from(files[0]!)],
  }));
  const some = new Materials([a!, b!], ({ files }) => told.push(files[0]!)).only([a!.files, ['unknown']]);
  assert.deepEqual(some.all, [a]);
  some.keep(a!.files, [Buffer.from('a')]);
  assert.deepEqual(told, []);
  some.keep(a!.files, [Buffer.from('new')]);
  assert.deepEqual(told, ['a']);
});

/** A snapshot with TLS on both sides, and the contents of files that are not its own. */
async function build(t: TestContext): Promise<{ built: Built; others: WeakRef<Uint8Array> }> {
  const certificates = new Certificates(t);
  const { certFile, keyFile } = certificates.leaf(['a.test']);
  const read = await readConfiguration(
    `
workers: 0
listeners:
  web:
    bind: "127.0.0.1:0"
    tls: { certificates: [{ cert: ${JSON.stringify(certFile)}, key: ${JSON.stringify(keyFile)} }] }
    cluster: api
clusters:
  api: { endpoints: ["127.0.0.1:1"], tls: { ca: ${JSON.stringify(certificates.caFile)} } }
`,
    'test.yaml',
  );
  assert.ok('configuration' in read, JSON.stringify(read));
  const contents = new Uint8Array(1024);
  const materials = new Materials([{ kind: 'material', files: ['other.pem', 'other.key', ''], contents: [contents] }]);
  const built = buildSnapshot(read.configuration, quietLog, { materials });
  return { built, others: new WeakRef(contents) };
}
