// What clients see when processes die, stand still and restart: origins behind the proxy, and the proxy itself, each a
// process of its own. Faults in the bytes of a message are tested elsewhere.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { connectPeer } from '../support/peer.ts';
import {
  eventually,
  findProgram,
  type Millrace,
  type Program,
  pause,
  ROOT,
  run,
  startMillrace,
  startProgram,
  temporaryFolder,
} from '../support/process.ts';

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
        const client = startProgram(t, curl!, ['-sS', '-N', '-q', '-m', '20', ...options, url]);
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
  const proxy = await startConfigured(t, origin.address, 'timeouts: { response: 300ms }');
  const url = `http://${await proxy.address('web')}/`;
  assert.equal((await run(t, curl!, ['-sS', url])).out, 'origin');
  origin.kill('SIGSTOP');
  for (let attempt = 0; attempt < 2; attempt++) {
    // First on the connection that is kept, then on one that the kernel accepted and nobody serves.
    const late = await run(t, curl!, ['-sS', '-i', '-m', '20', url]);
    assert.match(late.out, /^HTTP\/1\.1 504 Gateway Timeout\r\n/);
  }
  origin.kill('SIGCONT');
  assert.equal((await run(t, curl!, ['-sS', url])).out, 'origin');
});

test(
  'an origin that is killed before it answers gets its clients 502, and nobody else an error',
  withCurl,
  async (t) => {
    const origin = await startOrigin(t);
    const proxy = startMillrace(t, ['http', '127.0.0.1:0', origin.address]);
    const url = `http://${await proxy.address('http')}`;
    const waiting = run(t, curl!, ['-sS', '-i', '-m', '20', '-d', 'x', `${url}/slow?ms=60000`]);
    const client = await connectPeer(t, await proxy.port('http'));
    client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await client.receive('origin');
    await pause(300);
    await origin.end('SIGKILL');
    assert.match((await waiting).out, /^HTTP\/1\.1 502 Bad Gateway\r\n/);
    // The proxy has noticed, says so, and serves again as soon as there is an origin.
    client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await client.receive('502 Bad Gateway');
    await startOrigin(t, 'origin', origin.address.split(':')[1]);
    assert.equal((await run(t, curl!, ['-sS', url])).out, 'origin');
  },
);

test('origins restart one after the other, killed or told to, and keep-alive clients see no error', async (t) => {
  const origins = [await startOrigin(t, 'one'), await startOrigin(t, 'two')];
  const proxy = startMillrace(t, ['http', '127.0.0.1:0', ...origins.map((origin) => origin.address)]);
  const port = await proxy.port('http');
  const clients = 6;
  // More connections to each origin than are ever needed at once, so that no request meets its origin's end on a fresh
  // one: there, repeating would be a guess.
  const warm = async (): Promise<void> => {
    const crowd = await Promise.all(Array.from({ length: clients * 3 }, () => connectPeer(t, port)));
    for (const peer of crowd) peer.send('GET /slow?ms=300 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    for (const peer of crowd) assert.match(await peer.receiveAll(), /^HTTP\/1\.1 200 OK\r\n[\s\S]*(one|two)/);
  };
  let going = true;
  const counts: number[] = new Array(clients).fill(0);
  const loops = counts.map(async (_, number) => {
    const peer = await connectPeer(t, port);
    while (going) {
      peer.text = '';
      peer.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
      const reply = await peer.receive(/\r\n\r\n.+/);
      assert.match(reply, /^HTTP\/1\.1 200 OK\r\n/);
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
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    for (const [index, name] of ['one', 'two'].entries()) {
      await warm();
      await further();
      // The kernel closes the port of a killed process after its connections. Were the proxy to dial in between, it
      // would lose a request on a fresh connection, so it looks away for that moment.
      if (signal === 'SIGKILL') proxy.kill('SIGSTOP');
      const ended = await origins[index]!.end(signal);
      proxy.kill('SIGCONT');
      assert.equal(ended, signal === 'SIGTERM' ? 0 : signal);
      await further();
      origins[index] = await startOrigin(t, name, origins[index]!.address.split(':')[1]);
      await further();
    }
  }
  going = false;
  await failed;
});

test('a proxy told to end under load answers everything it was sent before, refuses what comes after, and exits with 0', async (t) => {
  const seen = new Set<string>();
  const origin = createServer((request, response) => {
    seen.add(request.url!);
    setTimeout(() => response.end(`answer to ${request.url}\n`), 30);
  });
  origin.listen(0, '127.0.0.1');
  await once(origin, 'listening');
  t.after(() => void origin.close().closeAllConnections());
  for (let round = 0; round < 3; round++) {
    const proxy = startMillrace(t, ['http', '127.0.0.1:0', `127.0.0.1:${(origin.address() as AddressInfo).port}`]);
    const port = await proxy.port('http');
    const load = new Load(port, round);
    const loops = [
      ...Array.from({ length: 12 }, (_, number) => load.keepAlive(number)),
      ...Array.from({ length: 6 }, (_, number) => load.connectionEach(number)),
    ];
    await eventually(() => load.answered.size > 150, 'some load');
    load.going = false;
    // Whatever has been written by now is in the proxy's hands, or in the kernel's on their way there.
    const before = new Set(load.sent);
    proxy.kill('SIGTERM');
    load.going = true;
    load.ending = true;
    await proxy.until(({ err }) => err.includes('"draining"'));
    await refusing(t, port);
    assert.equal(await proxy.ended, 0, proxy.err);
    assert.match(proxy.err, /"message":"drained"/);
    await Promise.all(loops);
    assert.deepEqual(load.broken, []);
    const lost = [...before].filter((path) => !load.answered.has(path));
    assert.deepEqual(lost, [], 'sent before the signal and not answered');
    const accepted = [...seen].filter((path) => path.startsWith(`/${round}/`) && !load.answered.has(path));
    assert.deepEqual(accepted, [], 'passed on and not answered');
  }
});

/** Resolves once connections are refused: what the kernel accepts in the last moment before is still served. */
async function refusing(t: TestContext, port: number): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    try {
      (await connectPeer(t, port)).socket.destroy();
    } catch (error) {
      return assert.equal((error as NodeJS.ErrnoException).code, 'ECONNREFUSED');
    }
    await pause(5);
  }
  assert.fail('connections are still accepted');
}

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
  const proxy = await startConfigured(t, origin.address, '', 'drainTimeout: 500ms');
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
  const first = startMillrace(t, ['http', '127.0.0.1:0', origin.address]);
  const address = await first.address('http');
  const idle = await connectPeer(t, await first.port('http'));
  idle.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await idle.receive('origin');
  await first.end('SIGKILL');
  const second = startMillrace(t, ['http', address, origin.address]);
  assert.equal(await second.address('http'), address);
  assert.equal((await run(t, curl!, ['-sS', `http://${address}/`])).out, 'origin');
});

/** Requests with names of their own, and what became of them. */
class Load {
  readonly sent = new Set<string>();
  readonly answered = new Set<string>();
  /** Replies that were wrong or stopped half-way. */
  readonly broken: string[] = [];
  going = true;
  /** The proxy is going: connections that end without a byte of a reply are to be expected. */
  ending = false;
  readonly #port: number;
  readonly #round: number;

  constructor(port: number, round: number) {
    this.#port = port;
    this.#round = round;
  }

  async keepAlive(client: number): Promise<void> {
    for (let connection = 0; !this.ending; connection++) {
      const lasts = await this.#exchanges(
        `/${this.#round}/keep-alive/${client}/${connection}`,
        Number.POSITIVE_INFINITY,
      );
      if (!lasts) return;
    }
  }

  async connectionEach(client: number): Promise<void> {
    for (let connection = 0; ; connection++) {
      if (!(await this.#exchanges(`/${this.#round}/one/${client}/${connection}`, 1))) return;
    }
  }

  /** One connection; false when none can be made any more. */
  #exchanges(name: string, count: number): Promise<boolean> {
    return new Promise((resolve) => {
      const socket = connect({ host: '127.0.0.1', port: this.#port, noDelay: true });
      let text = '';
      let path = '';
      let number = 0;
      const ask = (): void => {
        path = `${name}/${number++}`;
        text = '';
        this.sent.add(path);
        socket.write(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
      };
      socket.on('connect', ask);
      socket.on('data', (bytes) => {
        text += bytes;
        if (!text.endsWith('\n') || !text.includes('\r\n\r\nanswer')) return;
        if (text.startsWith('HTTP/1.1 200 OK\r\n') && text.endsWith(`answer to ${path}\n`)) this.answered.add(path);
        else this.broken.push(text);
        const last = number >= count || /\r\nconnection: close\r\n/i.test(text);
        text = '';
        path = '';
        if (last) socket.end();
        else ask();
      });
      let refused = false;
      socket.on('error', (error: NodeJS.ErrnoException) => {
        refused = error.code === 'ECONNREFUSED';
      });
      socket.on('close', () => {
        if (text !== '') this.broken.push(`${path}: ${text}`);
        else if (path !== '' && !this.ending) this.broken.push(`${path}: no answer`);
        resolve(!refused);
      });
    });
  }
}

type Origin = Program & { address: string };

/** An origin in a process of its own. */
async function startOrigin(t: TestContext, name = 'origin', port = '0'): Promise<Origin> {
  const file = join(ROOT, 'test/support/origin-program.ts');
  const program = startProgram(t, process.execPath, [file, name, port]);
  await program.until(({ out }) => out.endsWith('\n'), 'its port');
  return Object.assign(program, { address: `127.0.0.1:${program.out.trim()}` });
}

/** `millrace run` with one listener `web` and one cluster. */
async function startConfigured(t: TestContext, endpoint: string, cluster = '', top = ''): Promise<Millrace> {
  const file = join(temporaryFolder(t), 'millrace.yaml');
  writeFileSync(
    file,
    `
${top}
listeners: { web: { bind: "127.0.0.1:0", cluster: api } }
clusters:
  api:
    endpoints: ["${endpoint}"]
    ${cluster}
`,
  );
  return startMillrace(t, ['run', '-c', file]);
}
