// Documents as people write them, right and wrong: fixtures beside the errors that are expected, and the bounds of reading.

// biome-ignore-all lint/suspicious/noTemplateCurlyInString: that is the syntax under test

import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Configuration } from '../../lib/config/configuration.ts';
import { formatConfigError } from '../../lib/config/error.ts';
import { checkConfiguration, loadConfiguration, type ReadResult, readConfiguration } from '../../lib/config/read.ts';
import { type ConfigurationDocument, defineConfig } from '../../lib/config/schema.ts';

const FIXTURES = new URL('../../fixtures/config/', import.meta.url);
const ENVIRONMENT = {
  HEADERS: '50',
  EMPTY: '',
  NAME: 'app',
  YES: 'true',
  INJECTION: 'x\nlisteners: {}',
  AGAIN: '${NAME}',
};
const MINIMAL = {
  listeners: { web: { bind: ':0', cluster: 'app' } },
  clusters: { app: { endpoints: ['a:1'] } },
} as const;

for (const name of readdirSync(FIXTURES).filter((file) => file.endsWith('.errors.txt'))) {
  const document = name.replace('.errors.txt', '.yaml');
  test(`every error of ${document} is told at once, each with its place and remedy`, () => {
    const result = readConfiguration(readFileSync(new URL(document, FIXTURES), 'utf8'), document, ENVIRONMENT);
    assert.equal(
      lines(result)
        .map((line) => `${line}\n`)
        .join(''),
      readFileSync(new URL(name, FIXTURES), 'utf8'),
    );
  });
}

for (const name of readdirSync(FIXTURES).filter((file) => file.endsWith('.warnings.txt'))) {
  const document = name.replace('.warnings.txt', '.yaml');
  test(`every warning of ${document} is told with its place, and it is served all the same`, () => {
    const { warnings } = valid(readConfiguration(readFileSync(new URL(document, FIXTURES), 'utf8'), document, {}));
    const told = warnings.map((warning) => `${formatConfigError(warning)}\n`).join('');
    assert.equal(told, readFileSync(new URL(name, FIXTURES), 'utf8'));
  });
}

test('no message speaks the language of the schema library', () => {
  for (const name of readdirSync(FIXTURES).filter((file) => file.endsWith('.errors.txt'))) {
    const text = readFileSync(new URL(name, FIXTURES), 'utf8');
    assert.doesNotMatch(text, /invalid|expected|received|union|undefined|NaN|regex|zod|unrecognized/i, name);
  }
});

test('a document with every key becomes option values without units, text or defaults left open', () => {
  const { configuration, warnings } = valid(
    readConfiguration(readFileSync(new URL('valid-everything.yaml', FIXTURES), 'utf8'), 'valid.yaml', ENVIRONMENT),
  );
  assert.deepEqual(warnings, []);
  assert.equal(configuration.log.level, 'debug');
  assert.equal(configuration.drainTimeoutMs, 90_000);
  assert.equal(configuration.drainDelayMs, 5_000);
  assert.equal(configuration.workers, 3);
  assert.equal(configuration.workerMemoryBytes, 512 * 1024 * 1024);
  const web = configuration.listeners['web']!;
  assert.deepEqual(
    web.bind.map(({ kind, host, port, path }) => [kind, host, port, path]),
    [
      ['tcp', '127.0.0.1', 8080, ''],
      ['tcp', '::1', 8080, ''],
      ['unix', '', 0, '/tmp/millrace.sock'],
      ['fd', '', 0, ''],
    ],
  );
  assert.deepEqual(web.passthrough, { 'db.example.com': 'db', '*.example.com': 'db' });
  assert.deepEqual(web.timeouts, { headMs: 5_000, idleMs: 0, bodyMs: 3_600_000, tunnelMs: 600_000 });
  assert.deepEqual(web.limits, { headBytes: 32_768, headers: 50, bodyBytes: 10_000_000, connections: 0 });
  assert.deepEqual(web.forwarded, { xForwarded: 'append', standard: 'replace', via: false, requestId: 'off' });
  assert.deepEqual(web.routes[0]?.match, {
    host: ['*.example.com'],
    path: ['/api/*', '/v1/*'],
    method: ['GET'],
    header: { 'x-beta': '1' },
  });
  assert.equal(web.routes[0]?.rewrite?.setRequest?.['x-a'], '${b}');
  assert.deepEqual(web.routes[1]?.redirect, { to: '/new/*', status: 308 });
  const sticky = { cookie: 'version', maxAgeMs: 86_400_000, secret: '0123456789abcdef' };
  assert.deepEqual(web.routes[2]?.split, { clusters: { api: 95, next: 5 }, sticky });
  assert.deepEqual(web.routes[3]?.respond, { status: 200, body: 'ok', headers: { 'x-up': '1' } });
  assert.deepEqual(configuration.listeners['plain']?.trustedProxies, ['10.0.0.0/8', '::1']);
  const api = configuration.clusters['api']!;
  assert.deepEqual(
    api.endpoints.map(({ address, weight }) => [address.host || address.path, weight]),
    [
      ['localhost', 1],
      ['::1', 3],
      ['/tmp/api.sock', 1],
    ],
  );
  const unlimited = { maxAgeMs: 0, maxRequests: 0, warm: 0 };
  assert.deepEqual(api.pool, { idle: 0, max: 10, idleTimeoutMs: 5_000, queue: 0, queueTimeoutMs: 100, ...unlimited });
  assert.deepEqual(api.timeouts, { connectMs: 250, responseMs: 0, idleMs: 0 });
  assert.deepEqual(api.retries, {
    attempts: 3,
    on: new Set(['connect']),
    statuses: new Set([503]),
    unsafe: false,
    budget: 0.5,
    eachMs: 2_000,
    hedgeMs: 200,
    backoffMs: 10,
    longestBackoffMs: 100,
  });
});

test('what is left out gets safe defaults, and every time limit is finite', () => {
  const { configuration } = valid(
    checkConfiguration(
      { ...MINIMAL, listeners: { ...MINIMAL.listeners, db: { bind: ':0', protocol: 'tcp', cluster: 'app' } } },
      'x',
    ),
  );
  assert.equal(configuration.log.level, 'info');
  assert.equal(configuration.drainTimeoutMs, 30_000);
  const { web, db } = configuration.listeners;
  assert.deepEqual(web?.timeouts, { headMs: 10_000, idleMs: 60_000, bodyMs: 60_000, tunnelMs: 600_000 });
  assert.equal(db?.timeouts.tunnelMs, 600_000);
  assert.deepEqual(web?.limits, { headBytes: 16_384, headers: 100, bodyBytes: 0, connections: 20_000 });
  assert.deepEqual(web?.forwarded, { xForwarded: 'auto', standard: 'off', via: true, requestId: 'auto' });
  assert.equal(web?.proxyProtocol, 'off');
  const app = configuration.clusters['app']!;
  const pool = { idle: 1_024, max: 0, idleTimeoutMs: 55_000, queue: 1024, queueTimeoutMs: 1_000 };
  assert.deepEqual(app.pool, { ...pool, maxAgeMs: 0, maxRequests: 0, warm: 0 });
  assert.deepEqual([app.retries.attempts, app.retries.budget, app.ejection?.failures], [2, 0.2, 5]);
  assert.deepEqual(app.timeouts, { connectMs: 1_000, responseMs: 30_000, idleMs: 60_000 });
  assert.equal(app.host, 'preserve');
});

test('the cluster of an http listener becomes its only route, the cluster of a tcp listener stays', () => {
  const { configuration } = valid(
    checkConfiguration(
      { ...MINIMAL, listeners: { ...MINIMAL.listeners, db: { bind: ':0', protocol: 'tcp', cluster: 'app' } } },
      'x',
    ),
  );
  assert.deepEqual(configuration.listeners['web']?.routes, [{ cluster: 'app' }]);
  assert.equal('cluster' in configuration.listeners['web']!, false);
  assert.equal(configuration.listeners['db']?.cluster, 'app');
  assert.deepEqual(configuration.listeners['db']?.routes, []);
});

test('JSON is read like YAML', () => {
  const { configuration } = valid(readConfiguration(JSON.stringify(MINIMAL, null, '\t'), 'x.json', {}));
  assert.equal(configuration.clusters['app']?.endpoints[0]?.address.host, 'a');
});

test('variables are replaced once, in values only, and never add structure', () => {
  const read = (value: string): string | undefined => {
    const text = `listeners: { web: { bind: ":0", routes: [{ respond: { body: ${JSON.stringify(value)} } }] } }`;
    return valid(readConfiguration(text, 'x', ENVIRONMENT)).configuration.listeners['web']?.routes[0]?.respond?.body;
  };
  assert.equal(read('${NAME}'), 'app');
  assert.equal(read('a${NAME}b${NAME}c'), 'aappbappc');
  assert.equal(read('${EMPTY}'), '');
  assert.equal(read('${EMPTY:-x}'), 'x');
  assert.equal(read('${UNSET:-}'), '');
  assert.equal(read('${UNSET:-a:-b}'), 'a:-b');
  assert.equal(read('$${NAME}'), '${NAME}');
  assert.equal(read('$NAME $ }'), '$NAME $ }');
  assert.equal(read('${AGAIN}'), '${NAME}');
  assert.equal(read('${INJECTION}'), 'x\nlisteners: {}');
  assert.equal(read('${YES}'), 'true');
});

test('an unquoted variable takes the type of what it holds', () => {
  const text =
    'listeners:\n  web:\n    bind: ":0"\n    cluster: app\n    forwarded:\n      via: ${VIA}\n    limits:\n      headers: ${N}\nclusters: { app: { endpoints: ["a:1"] } }';
  const { configuration } = valid(readConfiguration(text, 'x', { VIA: 'false', N: '7' }));
  assert.equal(configuration.listeners['web']?.forwarded.via, false);
  assert.equal(configuration.listeners['web']?.limits.headers, 7);
});

test('names that JavaScript knows of are neither variables nor clusters', () => {
  const text = 'listeners: { web: { bind: ":0", cluster: constructor }, w: { bind: ":0", cluster: "${toString}" } }';
  assert.match(
    lines(readConfiguration(text, 'x', {})).join('\n'),
    /no cluster "constructor"[\s\S]*toString is not set/,
  );
});

test('warnings name what will hardly work as meant', () => {
  const { warnings } = valid(
    readConfiguration(
      'listeners:\n  web:\n    bind: ":0"\n    routes:\n      - cluster: a\n      - cluster: a\nclusters:\n  a: { endpoints: ["a:1"] }\n  b: { endpoints: ["a:1"] }\n',
      'x.yaml',
      {},
    ),
  );
  assert.deepEqual(warnings.map(formatConfigError), [
    'x.yaml:6:9: listeners.web.routes[1]: is never reached: routes[0] before it matches all that it would',
    'x.yaml:9:3: clusters.b: is not used by any listener',
  ]);
});

test('text that is not YAML is told with its place and alone, without what only follows from it', () => {
  const text = 'listeners:\n  web:\n    limits: { headers: ${N}, bodyBytes: 1MB }\n    bind: x\n';
  assert.deepEqual(lines(readConfiguration(text, 'x.yaml', { N: '1' })), [
    'x.yaml:3:25: is not valid YAML: between { } or [ ], put quotes around a value with ${...}',
  ]);
  assert.deepEqual(lines(readConfiguration('a:\n  bind: [::1]:80\n   x: 1\nb: { c: d\n', 'x.yaml', {})), [
    'x.yaml:2:14: is not valid YAML: Unexpected scalar at node end',
    `x.yaml:4:1: is not valid YAML: Flow map in block collection must be sufficiently indented and end with a }; quote text that begins with or holds any of [ ] { } , # & * ! | > ' " % @`,
  ]);
});

test('hostile documents end in one error each, in bounded time and without a throw', () => {
  const laughs = Array.from(
    { length: 30 },
    (_, i) => `a${i}: &a${i} [${i === 0 ? 'x' : `*a${i - 1},*a${i - 1},*a${i - 1}`}]`,
  );
  const documents: Record<string, [string, RegExp]> = {
    'too large': [' '.repeat(8 * 1024 * 1024 + 1), /larger than 8 MiB/],
    'too deep': ['['.repeat(100_000), /not valid YAML|nested/],
    'deep and closed': [`${'['.repeat(500)}${']'.repeat(500)}`, /nested more than 64 levels/],
    'too many values': [laughs.join('\n'), /more than 500000 values/],
    'unknown tag': ['listeners: !!js/function x', /not valid YAML/],
    'binary rubbish': ['\u0000\u0001\ufffd: [', /not valid YAML/],
    'several documents': ['a: 1\n---\nb: 2', /not valid YAML/],
    'map as key': ['{a: 1}: 2', /keys are text/],
  };
  for (const [what, [text, wanted]] of Object.entries(documents)) {
    assert.match(lines(readConfiguration(text, 'x', {})).join('\n'), wanted, what);
  }
});

test('very many repeated and unknown keys are read in linear time and reported up to a bound', () => {
  const text = Array.from({ length: 50_000 }, (_, i) => `k${i % 40_000}: 1`).join('\n');
  assert.equal(lines(readConfiguration(text, 'x', {})).length, 1000);
});

test('control characters of a document cannot forge lines of the report', () => {
  const [line] = lines(readConfiguration('"a\\nx.yaml:1:1: \\u001b[2J": 1\nlisteners: {}', 'x', {}));
  assert.doesNotMatch(line!, /[\n\u001b]/);
});

test('files are read by their name: text, modules, and what cannot be read', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-config-'));
  try {
    const write = (name: string, text: string | Uint8Array): string => {
      writeFileSync(join(folder, name), text);
      return join(folder, name);
    };
    const document = JSON.stringify(MINIMAL);
    valid(await loadConfiguration(write('a.yaml', document), {}));
    valid(await loadConfiguration(write('a.ts', `export default ${document} as object;`), {}));
    valid(await loadConfiguration(write('a.mjs', `export default ${document};`), {}));
    const faults: [string, RegExp][] = [
      [join(folder, 'missing.yaml'), /missing\.yaml: there is no such file$/],
      [folder, /is a directory/],
      [write('b.yaml', Uint8Array.of(0xff, 0xfe, 0xc0)), /is not UTF-8 text$/],
      [write('b.mjs', 'export const x = 1;'), /has no default export/],
      [write('c.mjs', 'throw new Error("broken here");'), /cannot be loaded: broken here$/],
      [
        write('d.mjs', 'export default { listeners: { web: { bnd: 1 } } };'),
        /d\.mjs: listeners\.web\.bnd: is not a known key/,
      ],
      [write('e.mjs', 'export default () => {};'), /must be a map of keys/],
    ];
    for (const [file, wanted] of faults) assert.match(lines(await loadConfiguration(file, {})).join('\n'), wanted);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('defineConfig returns its document, and undefined keys count as left out', () => {
  const document: ConfigurationDocument = {
    listeners: {
      web: { bind: ':0', cluster: undefined, routes: [{ match: { path: '/x' }, cluster: 'app', redirect: undefined }] },
    },
    clusters: { app: { endpoints: ['a:1'] } },
  };
  assert.equal(defineConfig(document), document);
  valid(checkConfiguration(document, 'x'));
});

function valid(result: ReadResult): {
  configuration: Configuration;
  warnings: readonly Parameters<typeof formatConfigError>[0][];
} {
  if ('errors' in result) assert.fail(lines(result).join('\n'));
  return result;
}

function lines(result: ReadResult): string[] {
  assert.ok('errors' in result, 'the document was taken for valid');
  return result.errors.map(formatConfigError);
}

test('errors name the variable, not the secret that it holds', () => {
  const result = readConfiguration(
    'listeners: { web: { bind: "127.0.0.1:0", cluster: app } }\nclusters:\n  app:\n    endpoints:\n      - ${PASSWORD}\n',
    'x.yaml',
    { PASSWORD: 'hunter2-topsecret' },
  );
  assert.ok('errors' in result);
  const text = result.errors.map((error) => error.message).join('\n');
  assert.match(text, /\$\{PASSWORD\}/);
  assert.doesNotMatch(text, /hunter2/);
});
