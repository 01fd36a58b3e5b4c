// What a plan tells of two configurations: by the keys of the document, with what stands there, and no secrets.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Change, compareConfigurations } from '../../lib/config/compare.ts';
import { readConfiguration } from '../../lib/config/read.ts';

interface Parts {
  readonly top?: string;
  readonly listener?: string;
  readonly cluster?: string;
}

test('settings are told by their keys, with their values as they are written', async () => {
  const changes = await compare(
    { top: 'workers: 1\ndrainTimeout: 30s\nworkerMemory: 256MiB\nlog: { level: info }' },
    { top: 'workers: 2\ndrainTimeout: 1500ms\nworkerMemory: 1GiB\nlog: { level: debug }' },
  );
  assert.deepEqual(
    changes.map(({ kind, name, values }) => [kind, name, told(values)]),
    [
      ['setting', 'workers', 'workers: 1 -> 2'],
      ['setting', 'workerMemory', 'workerMemory: 256MiB -> 1GiB'],
      ['setting', 'log', 'log.level: info -> debug'],
      ['setting', 'drainTimeout', 'drainTimeout: 30s -> 1500ms'],
    ],
  );
  for (const { effect } of changes) assert.notEqual(effect, '');
});

test('a token that changes is told without either, and leaves the admin listener as it is', async () => {
  const [one, two] = ['a', 'b'].map((letter) => letter.repeat(40));
  const admin = (bind: string, token: string): Parts => ({ top: `admin: { bind: "${bind}", token: ${token} }` });
  const [change] = await compare(admin('127.0.0.1:9901', one!), admin('127.0.0.1:9901', two!));
  assert.deepEqual(change?.values, [{ key: 'admin.token', before: '', after: '' }]);
  assert.match(change.effect, /the admin listener stays$/);
  assert.doesNotMatch(JSON.stringify(change), /aaaa|bbbb/);
  const [moved] = await compare(admin('127.0.0.1:9901', one!), admin('127.0.0.1:9902', one!));
  assert.equal(told(moved!.values), 'admin.bind: 127.0.0.1:9901 -> 127.0.0.1:9902');
  assert.match(moved!.effect, /bound anew/);
  const [gone] = await compare(admin('127.0.0.1:9901', one!), {});
  assert.equal(told(gone!.values), 'admin: set -> none');
  assert.match(gone!.effect, /closed/);
});

test('listeners and clusters are told key by key, with units and addresses', async () => {
  const changes = await compare(
    { listener: 'timeouts: { idle: 60s }', cluster: 'endpoints: ["127.0.0.1:1"], timeouts: { response: 5s }' },
    {
      listener:
        'timeouts: { idle: 2m }, httpsRedirect: true, limits: { headBytes: 32KiB }, trustedProxies: [10.0.0.0/8]',
      cluster:
        'endpoints: ["127.0.0.1:1", { address: "127.0.0.1:2", weight: 3 }], tcpKeepAlive: 20s, ' +
        'retries: { attempts: 5, timeout: 3s, maxBackoff: 2s }, health: { path: "/?secret=hush", body: hush }',
    },
  );
  const of = (name: string): Change => changes.find((change) => change.name === name)!;
  assert.deepEqual(of('web').keys, ['trustedProxies', 'timeouts', 'limits', 'httpsRedirect']);
  const web = told(of('web').values);
  for (const part of ['timeouts.idle: 1m -> 2m', 'limits.headBytes: 16KiB -> 32KiB', 'httpsRedirect: 0 -> 443'])
    assert.ok(web.includes(part), web);
  assert.match(web, /trustedProxies: none -> 10\.0\.0\.0\/8/);
  const api = told(of('api').values);
  assert.match(api, /endpoints: 127\.0\.0\.1:1 -> 127\.0\.0\.1:1 127\.0\.0\.1:2 \(weight 3\)/);
  assert.match(api, /health: none -> set/);
  assert.match(api, /retries\.attempts: \d -> 5/);
  assert.match(api, /retries\.timeout: \S+ -> 3s/);
  assert.match(api, /retries\.maxBackoff: \S+ -> 2s/);
  assert.match(api, /tcpKeepAlive: \S+ -> 20s/);
  assert.doesNotMatch(JSON.stringify(changes), /hush|Ms\b|"dial|eachMs/);
});

test('secrets within listeners and clusters are told to differ, and nothing else of them', async () => {
  const at = (word: string): Parts => ({
    listener: `routes: [{ respond: { status: 200, headers: { X-Word: ${word} } } }, { cluster: api }]`,
    cluster:
      `endpoints: ["127.0.0.1:1"], sticky: { cookie: c, secret: ${word.repeat(8)} }, ` +
      `health: { path: "/${word}", body: ${word} }, discovery: { http: { url: "http://u:${word}@127.0.0.1:1/${word}" } }`,
  });
  const changes = await compare(at('first'), at('second'));
  assert.deepEqual(
    changes.flatMap(({ values }) => values.map(({ key }) => key)),
    ['routes', 'discovery.http.url', 'sticky.secret', 'health.path', 'health.body'],
  );
  assert.doesNotMatch(JSON.stringify(changes), /first|second/);
});

async function compare(before: Parts, after: Parts): Promise<readonly Change[]> {
  const [one, two] = await Promise.all([before, after].map(read));
  return compareConfigurations(one!, two!);
}

async function read({ top = '', listener = '', cluster = '' }: Parts) {
  const document = `
${top}
listeners: { web: { bind: "127.0.0.1:1", ${listener.includes('routes') ? '' : 'cluster: api, '}${listener} } }
clusters: { api: { ${cluster || 'endpoints: ["127.0.0.1:1"]'} } }
`;
  const found = await readConfiguration(document, 'test.yaml');
  assert.ok('configuration' in found, JSON.stringify(found));
  return found.configuration;
}

function told(values: Change['values']): string {
  return values.map(({ key, before, after }) => `${key}: ${before} -> ${after}`).join(', ');
}
