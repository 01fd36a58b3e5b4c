// What the README tells a newcomer to type: the demo while others use it, the one-line proxies at real ports, and a first
// configuration checked, run and stopped. Usage errors and the demo's printed commands: test/cli/serve.test.ts.

import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { startOrigin } from '../support/origin.ts';
import { connectPeer, type Peer } from '../support/peer.ts';
import {
  eventually,
  findProgram,
  freePort,
  ROOT,
  run,
  startMillrace,
  startProgram,
  temporaryFolder,
} from '../support/process.ts';

const curl = findProgram('curl', 'curl');
const withCurl = { skip: curl === null };

test('a second demo takes other ports and both serve', withCurl, async (t) => {
  const state = { MILLRACE_STATE: temporaryFolder(t) };
  const demos = [startMillrace(t, ['demo'], state), startMillrace(t, ['demo'], state)];
  const urls = new Set<string>();
  for (const demo of demos) {
    await demo.until(({ out }) => out.includes('Ctrl-C'), 'its welcome');
    assert.match(demo.out, /^Millrace is running\.\n/);
    const url = /http:\/\/127\.0\.0\.1:\d+\//.exec(demo.out)![0];
    urls.add(url);
    assert.match((await run(t, curl!, ['-sS', url])).out, /^hello from origin (one|two)\n$/);
    const page = await run(t, curl!, ['-sS', '-H', 'Accept: text/html', url]);
    assert.match(page.out, /<h1>Hello from origin (one|two)<\/h1>/);
    assert.equal(demo.err, '');
  }
  assert.equal(urls.size, 2);
  for (const demo of demos) assert.equal(await demo.end('SIGTERM'), 0);
});

test('the demo’s events arrive one by one, and the demo ends although one is still listening', async (t) => {
  const demo = startMillrace(t, ['demo'], { MILLRACE_STATE: temporaryFolder(t) });
  await demo.until(({ out }) => out.includes('Ctrl-C'), 'its welcome');
  const port = Number(/http:\/\/127\.0\.0\.1:(\d+)\//.exec(demo.out)![1]);
  let client: Peer;
  let askedMs = 0;
  // Whoever looks away for seconds finds all of them.
  await eventually(async () => {
    client = await connectPeer(t, port);
    askedMs = performance.now();
    client.send('GET /events HTTP/1.1\r\nHost: demo\r\n\r\n');
    await client.receive('event 1 of 10');
    return !client.text.includes('event 10');
  }, 'the first before the last');
  await client!.receive('event 2 of 10');
  assert.equal(await demo.end('SIGINT'), 0);
  await client!.until(() => client.closed, 'the connection to go');
  if (performance.now() - askedMs < 9 * 500) assert.doesNotMatch(client!.text, /\r\n0\r\n\r\n$/);
});

test('millrace http and tcp listen at :PORT on both families and pass on to whoever listens', withCurl, async (t) => {
  const origin = await startOriginProgram(t);
  for (const protocol of ['http', 'tcp']) {
    const port = await freePort();
    // To a port of this machine, as `:PORT`, and to an address.
    for (const to of [`:${origin}`, `127.0.0.1:${origin}`, `localhost:${origin}`]) {
      const proxy = startMillrace(t, [protocol, `:${port}`, to]);
      await proxy.address(protocol);
      for (const host of ['127.0.0.1', 'localhost', ...(hasIpv6() ? ['[::1]'] : [])]) {
        const { code, out } = await run(t, curl!, ['-sS', '-g', '-m', '60', `http://${host}:${port}/`]);
        assert.deepEqual([code, out], [0, 'origin']);
      }
      assert.equal(await proxy.end('SIGTERM'), 0);
    }
  }
});

test('unix sockets on both sides, and the socket file is gone afterwards or reused', withCurl, async (t) => {
  const folder = temporaryFolder(t);
  const origin = await startOriginProgram(t);
  const [inner, outer] = [join(folder, 'inner.sock'), join(folder, 'outer.sock')];
  const first = startMillrace(t, ['tcp', `unix:${inner}`, `127.0.0.1:${origin}`]);
  const second = startMillrace(t, ['http', `unix:${outer}`, `unix:${inner}`]);
  await Promise.all([first.address('tcp'), second.address('http')]);
  const ask = () => run(t, curl!, ['-sS', '-m', '60', '--unix-socket', outer, 'http://any/']);
  assert.equal((await ask()).out, 'origin');
  // Killed, so nobody tidies up: whoever comes next takes the socket over.
  await second.end('SIGKILL');
  const third = startMillrace(t, ['http', `unix:${outer}`, `unix:${inner}`]);
  await third.address('http');
  assert.equal((await ask()).out, 'origin');
  assert.equal(await third.end('SIGTERM'), 0);
  assert.equal(existsSync(outer), false);
});

test(
  'a first configuration: check finds what is wrong with its place, run serves it once it is right',
  withCurl,
  async (t) => {
    const folder = temporaryFolder(t);
    const file = join(folder, 'millrace.yaml');
    const origin = await startOriginProgram(t);
    const document = (cluster: string): string => `listeners:
  web:
    bind: 127.0.0.1:0
    routes:
      - match: { path: /healthz }
        respond: { status: 200, body: ok }
      - cluster: ${cluster}
clusters:
  api: { endpoints: ["127.0.0.1:${origin}"] }
`;
    writeFileSync(file, document('apy'));
    const wrong = startMillrace(t, ['check', '-c', file, '--log', 'text']);
    assert.equal(await wrong.ended, 2);
    assert.match(wrong.err, /millrace\.yaml:7:18: listeners\.web\.routes\[1\]\.cluster: .*api/);
    writeFileSync(file, document('api'));
    const right = startMillrace(t, ['check', '-c', file]);
    assert.equal(await right.ended, 0, right.err);
    const proxy = startMillrace(t, ['run', '-c', file]);
    const url = `http://${await proxy.address('web')}`;
    assert.equal((await run(t, curl!, ['-sS', `${url}/healthz`])).out, 'ok');
    assert.equal((await run(t, curl!, ['-sS', `${url}/`])).out, 'origin');
    assert.equal(await proxy.end('SIGINT'), 0);
  },
);

test('silent clients of protocol auto are spoken to first, and nobody else waits for that', withCurl, async (t) => {
  const folder = temporaryFolder(t);
  const file = join(folder, 'millrace.yaml');
  const origin = await startOriginProgram(t);
  const mail = await startMail(t);
  writeFileSync(
    file,
    `listeners:
  all: { bind: "127.0.0.1:0", protocol: auto, fallback: mail, routes: [{ cluster: web }] }
clusters:
  web: { endpoints: ["127.0.0.1:${origin}"] }
  mail: { endpoints: ["127.0.0.1:${mail.port}"] }
`,
  );
  const proxy = startMillrace(t, ['run', '-c', file]);
  const address = await proxy.address('all');
  assert.equal((await run(t, curl!, ['-sS', `http://${address}/`])).out, 'origin');
  // curl as a mail client: it says nothing until it has been greeted.
  const args = ['-sS', '-m', '60', '--mail-from', 'a@example.com', '--mail-rcpt', 'b@example.com', '-T', '-'];
  const sent = await run(
    t,
    curl!,
    [...args, `smtp://${address}/me.example.com`],
    'Subject: hi\r\n\r\nthrough the proxy\r\n',
  );
  assert.equal(sent.code, 0, sent.err);
  assert.match(mail.heard(), /^EHLO me\.example\.com\r\nMAIL FROM:<a@example\.com>[\s\S]*through the proxy\r\n\.\r\n/);
});

async function startOriginProgram(t: TestContext): Promise<string> {
  const program = startProgram(t, process.execPath, [join(ROOT, 'test/support/origin-program.ts'), 'origin']);
  await program.until(({ out }) => out.endsWith('\n'), 'its port');
  return program.out.trim();
}

/** As much of a mail server as one message needs (RFC 5321). */
async function startMail(t: TestContext): Promise<{ port: number; heard(): string }> {
  const origin = await startOrigin(t, (peer: Peer) => {
    let from = 0;
    let inMessage = false;
    peer.send('220 mail.example.com ESMTP\r\n');
    peer.socket.on('data', () => {
      for (let end = peer.text.indexOf('\r\n', from); end >= 0; end = peer.text.indexOf('\r\n', from)) {
        const line = peer.text.slice(from, end);
        from = end + 2;
        if (inMessage && line !== '.') continue;
        inMessage = line === 'DATA';
        peer.send(inMessage ? '354 go on\r\n' : line === 'QUIT' ? '221 bye\r\n' : '250 ok\r\n');
        if (line === 'QUIT') peer.end();
      }
    });
  });
  return { port: origin.port, heard: () => origin.peers[0]?.text ?? '' };
}

function hasIpv6(): boolean {
  try {
    return readFileSync('/proc/net/if_inet6', 'latin1').includes('00000000000000000000000000000001');
  } catch {
    return false;
  }
}
