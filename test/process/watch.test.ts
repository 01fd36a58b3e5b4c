// What is known of endpoints once for all event loops.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLog } from '../../lib/base/log.ts';
import type { Configuration } from '../../lib/config/configuration.ts';
import { readConfiguration } from '../../lib/config/read.ts';
import { Watch } from '../../lib/process/watch.ts';

const quiet = createLog({ level: 'error', format: 'json', colours: false, write: () => {}, now: Date.now });

test('that an endpoint is put aside is forgotten with it, whoever takes it out', async (t) => {
  const watch = new Watch(quiet, () => {});
  t.after(() => watch.stop());
  const [one, two, three] = ['127.0.0.1:1', '127.0.0.1:2', '127.0.0.1:3'] as const;
  (await watch.prepare(configurationOf(`a: { endpoints: ["${one}", "${two}", "${three}"] }`))).commit();
  for (const endpoint of [one, two, three]) watch.hear({ kind: 'ejection', cluster: 'a', endpoint, forMs: 1_000_000 });
  assert.equal(watch.ejected, 3);
  assert.equal(watch.change('a', { kind: 'remove', name: one }), null);
  assert.equal(watch.ejected, 2);
  (await watch.prepare(configurationOf(`a: { endpoints: ["${one}", "${three}"] }`))).commit();
  assert.equal(watch.ejected, 1);
  assert.deepEqual(
    watch.news.filter(({ kind }) => kind === 'ejection').map((news) => 'endpoint' in news && news.endpoint),
    [three],
  );
  (await watch.prepare(configurationOf(''))).commit();
  assert.equal(watch.ejected, 0);
});

function configurationOf(clusters: string): Configuration {
  const read = readConfiguration(`workers: 0\nlisteners: {}\nclusters: { ${clusters} }\n`, 'test.yaml');
  assert.ok('configuration' in read, JSON.stringify(read));
  return read.configuration;
}
