// `millrace explain`: what it says of a request is what the proxy would do with it.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ROOT, run, startMillrace, temporaryFolder } from '../support/process.ts';

function explain(t: TestContext, file: string, ...args: string[]) {
  return run(t, process.execPath, [join(ROOT, 'lib/cli/main.ts'), 'explain', '-c', file, ...args]);
}

function write(t: TestContext, text: string): string {
  const file = join(temporaryFolder(t), 'millrace.yaml');
  writeFileSync(file, text);
  return file;
}

const DOCUMENT = `
listeners:
  plain: { bind: ":80", httpsRedirect: true, cluster: app }
  web:
    bind: ":8080"
    routes:
      - match: { host: api.test, path: /v1/* }
        split: { clusters: { app: 3, shard: 1 }, on: client-ip }
        mirror: { cluster: app, share: 5% }
      - match: { path: /canary }
        split: { clusters: { app: 3, shard: 0 }, sticky: { cookie: version } }
      - match: { path: /old }
        redirect: { to: /new }
      - match: { host: "*.test" }
        cluster: shard
  db: { bind: ":5432", protocol: tcp, cluster: app }
clusters:
  app: { endpoints: ["10.0.0.1:1", { address: "10.0.0.2:1", weight: 3 }, { address: "10.0.0.3:1", backup: true }] }
  shard: { balance: hash, hash: { on: cookie, name: id }, endpoints: ["10.0.1.1:1", "10.0.1.2:1"] }
`;

test('it names the listener by port, the first route that matches, and every endpoint with its share', async (t) => {
  const file = write(t, DOCUMENT);
  const split = await explain(t, file, '--url', 'http://api.test:8080/v1/x?y=1');
  assert.equal(split.code, 0, split.err);
  assert.match(
    split.out,
    /^listener {3}web \(http\)\nroute {6}routes\[0\], the first of 4 that matches: host \["api\.test"\], path \["\/v1\/\*"\]/,
  );
  assert.match(split.out, /mirror {5}5% of such requests are copied to app/);
  assert.match(
    split.out,
    /split {6}by client-ip\ncluster {4}app: 75%(?: {2}<- this one)?\n.*\n.*10\.0\.0\.1:1: weight 1, 25%\n.*10\.0\.0\.2:1: weight 3, 75%\n.*10\.0\.0\.3:1: not used: a backup/,
  );
  assert.equal(split.out.match(/^cluster .*<- this one$/gm)?.length, 1);
  const canary = await explain(t, file, '--url', 'http://x:8080/canary');
  assert.match(
    canary.out,
    /split {6}by chance\nsticky {5}before that, the cluster that cookie version names: the request has none\ncluster {4}app: 100%\n/,
  );
  assert.match((await explain(t, file, '--url', 'http://x.test:8080/old')).out, /redirect {3}308 to \/new/);
  assert.match(
    (await explain(t, file, '--url', 'http://x.test/')).out,
    /listener {3}plain.*\nredirect {3}308 to https/,
  );
  assert.match((await explain(t, file, '--url', 'http://x:5432/')).out, /listener {3}db \(tcp\)\ncluster {4}app/);
  const none = await explain(t, file, '--url', 'http://other:8080/');
  assert.deepEqual(
    [none.code, none.out],
    [1, 'listener   web (http)\nroute      none of 4 matches, so the answer is 404\n'],
  );
});

test('the endpoint of a hash is the one that the proxy sends the request to', async (t) => {
  const origins = await Promise.all(
    ['0', '1', '2'].map(async () => {
      const server = createServer((request, response) => response.end(String(request.socket.localPort)));
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      t.after(() => {
        server.closeAllConnections();
        server.close();
      });
      return (server.address() as AddressInfo).port;
    }),
  );
  const file = write(
    t,
    `
listeners: { web: { bind: "127.0.0.1:0", cluster: app } }
clusters:
  app: { balance: hash, hash: { on: cookie, name: id }, endpoints: [${origins.map((port) => `"127.0.0.1:${port}"`).join(', ')}] }
`,
  );
  const proxy = startMillrace(t, ['run', '-c', file]);
  const port = await proxy.port('web');
  for (const id of ['alice', 'bob', 'carol']) {
    const told = await explain(t, file, '--url', 'http://localhost:9/', '-H', `Cookie: a=b; id=${id}`);
    const chosen = /127\.0\.0\.1:(\d+): .*<- this one/.exec(told.out)?.[1];
    const reply = await fetch(`http://127.0.0.1:${port}/`, { headers: { cookie: `a=b; id=${id}` } });
    assert.equal(chosen, await reply.text(), told.out);
  }
});

test('what cannot be explained is told in words', async (t) => {
  const file = write(t, DOCUMENT);
  for (const [args, wanted] of [
    [[], /--url: needs an http or https URL/],
    [['--url', 'ftp://a'], /--url: needs an http or https URL/],
    [['--url', 'http://a:99/'], /no listener has the port of this URL; name one with --listener: plain, web, db/],
    [['--url', 'http://a/', '--listener', 'wbe'], /no listener is called "wbe"/],
    [['--url', 'http://a/', '-H', 'nonsense'], /"nonsense" is no header line/],
  ] as const) {
    const { code, err } = await explain(t, file, ...args);
    assert.equal(code, 2);
    assert.match(err, wanted);
  }
});
