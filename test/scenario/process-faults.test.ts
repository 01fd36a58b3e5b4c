// What clients see when processes die, stand still and restart: origins behind the proxy, and the proxy itself, each a
// process of its own. Faults in the bytes of a message are tested elsewhere.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { startConfigured } from '../support/configured.ts';
import { Load } from '../support/load.ts';
import { connectPeer, type Peer, refused } from '../support/peer.ts';
import {
  eventually,
  findProgram,
  freePort,
  type Millrace,
  type Program,
  ROOT,
  run,
  startMillrace,
  startProgram,
} from '../support/process.ts';
import { startRecording } from '../support/servers.ts';

const curl = findProgram('curl', 'curl');
const withCurl = { skip: curl === null };

/** What curl says of a transfer that stopped: 18 partial file, 56 failure in receiving. */
const BROKEN = new Set<number | string>([18, 56]);

test(
  'an origin that is killed in mid-body breaks the transfer for the client, however it is framed',
  withCurl,
  async (t) => {
    for (const protocol of ['http', 'tcp']) {
      const [first, second, third] = [await startOrigin(t), await startOrigin(t), await startOrigin(t)];
      const cases = [
        { origin: first, args: ['/large'] },
        { origin: second, args: ['/large-chunked'] },
        // A client of HTTP/1.0 gets no chunks: only the way the connection ends tells it that something is missing.
        ...(protocol === 'http' ? [{ origin: third, args: ['/large-chunked', '--http1.0'] }] : []),
      ];
      for (const { origin, args } of cases) {
        const proxy = startMillrace(t, [protocol, '127.0.0.1:0', origin.address]);
        const [path = '', ...options] = args;
        const url = `http://${await proxy.address(protocol)}${path}`;
        const client = startProgram(t, curl!, ['-sS', '-N', '-q', '-m', '60', ...options, url]);
        let bytes = 0;
        client.stream.on('data', (piece) => (bytes += piece.length));
        await eventually(() => bytes >= 64 * 1024, 'half of the body');
        origin.kill('SIGKILL');
        const code = await client.ended;
        assert.ok(BROKEN.has(code), `${protocol} ${args}: curl ended with ${code}`);
        assert.equal(bytes, 64 * 1024);
      }
    }
  },
);

test('an origin that stands still is given up with 504, and used again when it goes on', withCurl, async (t) => {
  const origin = await startOrigin(t);
  const proxy = startWith(t, origin.address, 'timeouts: { response: 300ms }');
  const url = `http://${await proxy.address('web')}/`;
  // An answer in time takes as many attempts as it takes.
  const answered = async (): Promise<boolean> => (await run(t, curl!, ['-sS', url])).out === 'origin';
  await eventually(answered, 'an answer');
  origin.kill('SIGSTOP');
  await origin.standing();
  for (let attempt = 0; attempt < 2; attempt++) {
    // First on the connection that is kept, then on one that the kernel accepted and nobody serves.
    const late = await run(t, curl!, ['-sS', '-i', '-m', '60', url]);
    assert.match(late.out, /^HTTP\/1\.1 504 Gateway Timeout\r\n/);
  }
  origin.kill('SIGCONT');
  await eventually(answered, 'another');
});

test(
  'an origin that is killed before it answers gets its clients 502, and nobody else an error',
  withCurl,
  async (t) => {
    const origin = await startOrigin(t, 'origin', await freePort());
    const proxy = startMillrace(t, ['http', '127.0.0.1:0', origin.address]);
    const url = `http://${await proxy.address('http')}`;
    const waiting = run(t, curl!, ['-sS', '-i', '-m', '60', '-d', 'x', `${url}/held`]);
    const client = await connectPeer(t, await proxy.port('http'));
    client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await client.receive('origin');
    await origin.until(() => heldBy(origin) === 1, 'the request that waits');
    await origin.end('SIGKILL');
    assert.match((await waiting).out, /^HTTP\/1\.1 502 Bad Gateway\r\n/);
    // The proxy has noticed, says so, and serves again as soon as there is an origin.
    client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await client.receive('502 Bad Gateway');
    await startOrigin(t, 'origin', origin.port);
    assert.equal((await run(t, curl!, ['-sS', url])).out, 'origin');
  },
);

test('origins restart one after the other, killed or told to, and keep-alive clients see no error', async (t) => {
  const origins = [await startOrigin(t, 'one', await freePort()), await startOrigin(t, 'two', await freePort())];
  const [one, two] = origins.map(({ address }) => `"${address}"`);
  // One event loop, since each has connections of its own; and who comes back is soon used again.
  const { proxy } = startConfigured(
    t,
    `
workers: 1
listeners: { web: { bind: "127.0.0.1:0", cluster: api } }
clusters: { api: { endpoints: [${one}, ${two}], ejection: { for: 100ms, longest: 100ms } } }
`,
  );
  const port = await proxy.port('web');
  const clients = 6;
  // More connections to each origin than are ever needed at once, so that no request meets its origin's end on a fresh
  // one: there, repeating would be a guess.
  const warm = async (): Promise<void> => {
    const before = origins.map(heldBy);
    const missing = (): boolean => origins.some((origin, place) => heldBy(origin) < before[place]! + clients);
    const crowd: Peer[] = [];
    const held = (): number => origins.reduce((sum, origin, place) => sum + heldBy(origin) - before[place]!, 0);
    while (missing()) {
      const peer = await connectPeer(t, port);
      peer.send('GET /held HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
      crowd.push(peer);
      await eventually(() => held() === crowd.length, 'the request to arrive');
    }
    for (const origin of origins) origin.process.stdin!.write('go on\n');
    for (const peer of crowd) {
      assert.match(await peer.receiveAll(), /^HTTP\/1\.1 200 OK\r\n[\s\S]*(one|two)/);
      peer.end();
    }
  };
  let going = true;
  const counts: number[] = new Array(clients).fill(0);
  const answers = { one: 0, two: 0 };
  const loops = counts.map(async (_, number) => {
    const peer = await connectPeer(t, port);
    while (going) {
      peer.text = '';
      peer.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
      const reply = await peer.receive(/\r\n\r\n.+/);
      assert.match(reply, /^HTTP\/1\.1 200 OK\r\n[\s\S]*\r\n\r\n(one|two)$/);
      answers[reply.endsWith('one') ? 'one' : 'two']++;
      counts[number]!++;
    }
  });
  const failed = Promise.all(loops);
  failed.catch(() => {});
  const further = async (): Promise<void> => {
    const before = [...counts];
    const moved = eventually(
      () => counts.every((count, number) => count > before[number]! + 30),
      'every client to go on',
    );
    await Promise.race([failed, moved]);
  };
  const both = async (): Promise<void> => {
    const before = { ...answers };
    const used = eventually(
      () => answers.one > before.one + 10 && answers.two > before.two + 10,
      'both origins to be used',
    );
    await Promise.race([failed, used]);
  };
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    for (const [index, name] of ['one', 'two'].entries()) {
      await both();
      await warm();
      await further();
      // The kernel closes the port of a killed process after its connections. Were the proxy to dial in between, it
      // would lose a request on a fresh connection, so it looks away for that moment.
      if (signal === 'SIGKILL') {
        proxy.kill('SIGSTOP');
        await proxy.standing();
      }
      const ended = await origins[index]!.end(signal);
      proxy.kill('SIGCONT');
      assert.equal(ended, signal === 'SIGTERM' ? 0 : signal);
      await further();
      origins[index] = await startOrigin(t, name, origins[index]!.port);
    }
  }
  await both();
  going = false;
  await failed;
});

test('a proxy told to end under load answers everything it was sent before, refuses what comes after, and exits with 0', async (t) => {
  const origin = await startRecording(t, 30);
  for (let round = 0; round < 3; round++) {
    const proxy = startMillrace(t, ['http', '127.0.0.1:0', `127.0.0.1:${origin.port}`]);
    const port = await proxy.port('http');
    const load = new Load(t, { to: port, kept: 12, fresh: 6, path: (i) => `/${round}/${i}`, pauseMs: 0 });
    await load.further(150);
    // Whatever has been written by now is in the proxy's hands, or in the kernel's on their way there.
    const before = new Set(load.sent);
    load.ending = true;
    proxy.kill('SIGTERM');
    await refused(port);
    assert.equal(await proxy.ended, 0, proxy.err);
    assert.match(proxy.err, /"message":"drained"/);
    await load.stop();
    assert.deepEqual(load.faults, []);
    const lost = [...before].filter((path) => !load.answers.has(path));
    assert.deepEqual(lost, [], 'sent before the signal and not answered');
    const accepted = [...origin.seen].filter((path) => path.startsWith(`/${round}/`) && !load.answers.has(path));
    assert.deepEqual(accepted, [], 'passed on and not answered');
  }
});

test('requests that reach a waiting connection just before the signal are answered, on used and on fresh ones', async (t) => {
  const origin = await startOrigin(t);
  for (let round = 0; round < 5; round++) {
    const proxy = startMillrace(t, ['http', '127.0.0.1:0', origin.address]);
    const port = await proxy.port('http');
    const clients = await Promise.all(Array.from({ length: 40 }, () => connectPeer(t, port)));
    for (const [number, client] of clients.entries()) {
      if (number % 2 === 0) continue;
      client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
      await client.receive('origin');
      client.text = '';
    }
    for (const client of clients) client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    proxy.kill('SIGTERM');
    for (const client of clients) {
      assert.match(await client.receiveAll(), /^HTTP\/1\.1 200 OK\r\n[\s\S]*\r\n\r\norigin$/);
      client.end();
    }
    assert.equal(await proxy.ended, 0);
  }
});

test('what does not finish within drainTimeout is broken off, and log and exit code say so', async (t) => {
  const origin = await startOrigin(t);
  const proxy = startWith(t, origin.address, '', 'drainTimeout: 500ms');
  const port = await proxy.port('web');
  const client = await connectPeer(t, port);
  client.send('GET /large HTTP/1.1\r\nHost: a\r\n\r\n');
  await client.until(() => client.text.length > 60_000, 'half of the body');
  assert.equal(await proxy.end('SIGTERM'), 3);
  await client.until(() => client.closed, 'the connection to go');
  assert.equal(client.error?.code, 'ECONNRESET');
  assert.match(proxy.err, /drain timeout: connections were cut off/);
});

test('a second SIGTERM ends a drain that waits for an exchange, with 1', async (t) => {
  const origin = await startOrigin(t);
  const proxy = startMillrace(t, ['http', '127.0.0.1:0', origin.address]);
  const client = await connectPeer(t, await proxy.port('http'));
  client.send('GET /large HTTP/1.1\r\nHost: a\r\n\r\n');
  await client.receive('200 OK');
  proxy.kill('SIGTERM');
  await proxy.until(({ err }) => err.includes('"draining"'));
  assert.equal(await proxy.end('SIGTERM'), 1);
  await client.until(() => client.closed, 'the connection to go');
});

test('a proxy that is killed and started again serves at once on the same port', withCurl, async (t) => {
  const origin = await startOrigin(t);
  const address = `127.0.0.1:${await freePort()}`;
  const first = startMillrace(t, ['http', address, origin.address]);
  assert.equal(await first.address('http'), address);
  const idle = await connectPeer(t, await first.port('http'));
  idle.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await idle.receive('origin');
  await first.end('SIGKILL');
  const second = startMillrace(t, ['http', address, origin.address]);
  assert.equal(await second.address('http'), address);
  assert.equal((await run(t, curl!, ['-sS', `http://${address}/`])).out, 'origin');
});

type Origin = Program & { readonly address: string; readonly port: number };

/** An origin in a process of its own; one that is to come back needs a port that nobody else gets meanwhile. */
async function startOrigin(t: TestContext, name = 'origin', port = 0): Promise<Origin> {
  const file = join(ROOT, 'test/support/origin-program.ts');
  const program = startProgram(t, process.execPath, [file, name, String(port)]);
  await program.until(({ out }) => out.endsWith('\n'), 'its port');
  const bound = Number(program.out);
  return Object.assign(program, { address: `127.0.0.1:${bound}`, port: bound });
}

/** How many requests have come to an origin that it does not answer before it is told. */
function heldBy({ out }: Origin): number {
  return out.split('held').length - 1;
}

/** A proxy with one listener `web` and one cluster. */
function startWith(t: TestContext, endpoint: string, cluster = '', top = ''): Millrace {
  const document = `
${top}
listeners: { web: { bind: "127.0.0.1:0", cluster: api } }
clusters:
  api:
    endpoints: ["${endpoint}"]
    ${cluster}
`;
  return startConfigured(t, document).proxy;
}
