// A real browser on our HTTP/2: a page with what it loads, over TLS by an authority of our own, and a WebSocket.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { chromium, type Page } from 'playwright-core';
import { WebSocketServer } from 'ws';
import { findProgram, startMillrace, temporaryFolder } from '../support/process.ts';
import { startProxy } from '../support/proxy.ts';

const executablePath = findProgram('chromium', 'chromium') ?? findProgram('google-chrome', 'chromium');
const inBrowser = { skip: executablePath === null ? 'chromium is not installed (Debian package chromium)' : false };

/** It reads no authorities from files, so here it believes everybody; curl checks the authority elsewhere. */
async function openPage(t: TestContext): Promise<Page> {
  const browser = await chromium.launch({ executablePath: executablePath!, args: ['--no-sandbox'] });
  t.after(() => browser.close());
  return browser.newPage({ ignoreHTTPSErrors: true });
}

test(
  'Chromium loads a page and all its parts over one HTTP/2 connection, and a WebSocket beside them',
  inBrowser,
  async (t) => {
    const folder = temporaryFolder(t);
    const server = createServer((request, response) => {
      if (request.url?.startsWith('/part')) return void response.end(`parts.push(${request.url.slice(6)})`);
      const parts = Array.from({ length: 40 }, (_, at) => `<script src="/part/${at}"></script>`).join('');
      response.setHeader('Content-Type', 'text/html');
      response.end(`<!doctype html><title>page</title><link rel=icon href=data:,><script>parts = []</script>${parts}`);
    });
    const sockets = new WebSocketServer({ server });
    sockets.on('connection', (socket) => socket.on('message', (text) => socket.send(`re: ${text}`)));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => {
      for (const client of sockets.clients) client.terminate();
      server.closeAllConnections();
      server.close();
    });
    const proxy = await startProxy(
      t,
      `
listeners:
  web:
    bind: 127.0.0.1:0
    tls: { certificates: [{ auto: local, names: [localhost], folder: ${JSON.stringify(folder)} }] }
    cluster: app
clusters:
  app: { endpoints: ["127.0.0.1:${(server.address() as AddressInfo).port}"] }
`,
    );
    const page = await openPage(t);
    const protocols = new Set<string>();
    const session = await page.context().newCDPSession(page);
    await session.send('Network.enable');
    session.on('Network.responseReceived', ({ response }) => protocols.add(response.protocol ?? ''));
    const origin = `localhost:${proxy.port('web')}`;
    await page.goto(`https://${origin}/`);
    const count = await page.evaluate('parts.length');
    assert.equal(count, 40);
    assert.deepEqual([...protocols], ['h2']);
    const answer = await page.evaluate(`new Promise((resolve, reject) => {
    const socket = new WebSocket('wss://${origin}/chat');
    socket.onopen = () => socket.send('hello');
    socket.onmessage = ({ data }) => { resolve(data); socket.close(); };
    socket.onerror = () => reject(new Error('no WebSocket'));
  })`);
    assert.equal(answer, 're: hello');
    // All of it over one connection: the WebSocket is a stream of it.
    assert.equal(proxy.server.open, 1);
  },
);

test('Chromium loads the page of the demo over HTTP/2', inBrowser, async (t) => {
  const demo = startMillrace(t, ['demo'], { MILLRACE_STATE: temporaryFolder(t) });
  while (!demo.out.includes('Ctrl-C')) await once(demo.process.stdout!, 'data');
  const url = /https:\S+/.exec(demo.out)![0];
  const page = await openPage(t);
  const session = await page.context().newCDPSession(page);
  await session.send('Network.enable');
  const protocol = new Promise((resolve) =>
    session.once('Network.responseReceived', ({ response }) => resolve(response.protocol)),
  );
  await page.goto(url);
  assert.equal(await protocol, 'h2');
  assert.match((await page.textContent('body')) ?? '', /Hello from origin/);
});
