// Clients that several clusters and splits of one site remember by cookies, as browsers keep them: one of a name.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { startProxy, type TestProxy } from '../support/proxy.ts';

async function serve(t: TestContext, text: string): Promise<string> {
  const server = createServer((_request, response) => response.end(text)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function siteOf(t: TestContext, routes: string): Promise<TestProxy> {
  const endpoints = async (name: string): Promise<string> =>
    `["${await serve(t, `${name}1`)}", "${await serve(t, `${name}2`)}"]`;
  const secret = 'sticky: { secret: 0123456789abcdef }';
  return startProxy(
    t,
    `
listeners: { web: { bind: "127.0.0.1:0", routes: [${routes}] } }
clusters:
  a: { endpoints: ${await endpoints('a')}, ${secret} }
  b: { endpoints: ${await endpoints('b')}, ${secret} }
  c: { endpoints: ${await endpoints('c')}, ${secret} }
`,
  );
}

/** What a browser with the cookies `jar` gets at these paths, and then has. */
async function browse(proxy: TestProxy, jar: Map<string, string>, paths: readonly string[]): Promise<string[]> {
  const texts: string[] = [];
  for (const path of paths) {
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ');
    const reply = await fetch(`http://127.0.0.1:${proxy.port('web')}${path}`, { headers: { cookie } });
    for (const line of reply.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line)!;
      jar.set(name, value);
    }
    texts.push(await reply.text());
  }
  return texts;
}

test('a client of two clusters on one site stays with its endpoint of each', async (t) => {
  const proxy = await siteOf(t, '{ match: { path: /a }, cluster: a }, { cluster: b }');
  for (let client = 0; client < 4; client++) {
    const jar = new Map<string, string>();
    const first = await browse(proxy, jar, ['/a', '/b']);
    assert.deepEqual([...jar.keys()].sort(), ['millrace_a', 'millrace_b']);
    for (let turn = 0; turn < 3; turn++) assert.deepEqual(await browse(proxy, jar, ['/a', '/b']), first);
  }
});

test('a client of two splits stays with its cluster of each, and with the same one where they are the same', async (t) => {
  const sticky = 'sticky: { secret: 0123456789abcdef }';
  const proxy = await siteOf(
    t,
    `{ match: { path: /ab }, split: { clusters: { a: 1, b: 1 }, ${sticky} } },
     { match: { path: /ba }, split: { clusters: { b: 9, a: 1 }, ${sticky} } },
     { split: { clusters: { a: 1, c: 1 }, ${sticky} } }`,
  );
  for (let client = 0; client < 8; client++) {
    const jar = new Map<string, string>();
    const first = await browse(proxy, jar, ['/ab', '/ac', '/ba']);
    assert.ok(jar.has('millrace-split_a+b') && jar.has('millrace-split_a+c'));
    assert.equal(first[0]![0], first[2]![0]);
    for (let turn = 0; turn < 3; turn++) assert.deepEqual(await browse(proxy, jar, ['/ab', '/ac', '/ba']), first);
  }
});
