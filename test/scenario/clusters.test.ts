// What clients notice when endpoints die, stand still, err and come back: nothing, as far as it is up to a proxy.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Crowd } from '../support/crowd.ts';
import { eventually, freePort, type Program, ROOT, startProgram } from '../support/process.ts';
import { startProxy, type TestProxy } from '../support/proxy.ts';

const getAndPut = (i: number) => (i % 3 === 0 ? { method: 'PUT', body: 'x'.repeat(500) } : {});

/** Endpoints as processes of their own, on ports that they keep over a restart. */
async function startFleet(t: TestContext, count: number) {
  const ports = await Promise.all(Array.from({ length: count }, () => freePort()));
  const start = async (place: number): Promise<Program> => {
    const args = [join(ROOT, 'test/support/origin-program.ts'), String(place), String(ports[place])];
    const program = startProgram(t, process.execPath, args);
    await program.until(({ out }) => out.includes('\n'));
    return program;
  };
  const programs = await Promise.all(ports.map((_, place) => start(place)));
  return { ports, programs, start };
}

function proxyTo(t: TestContext, ports: readonly number[], cluster: string): Promise<TestProxy> {
  return startProxy(
    t,
    `
listeners:
  web: { bind: "127.0.0.1:0", cluster: api }
clusters:
  api:
    endpoints: [${ports.map((port) => `"127.0.0.1:${port}"`).join(', ')}]
    ${cluster}
`,
  );
}

const told = (proxy: TestProxy, message: string): number =>
  proxy.log.filter((line) => line['message'] === message).length;

/** An endpoint within this process. */
async function serve(t: TestContext, handle: RequestListener): Promise<number> {
  const server = createServer(handle).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

test('an endpoint that is killed under load costs no client a request, is put aside, and is used again', async (t) => {
  const fleet = await startFleet(t, 3);
  const proxy = await proxyTo(t, fleet.ports, 'ejection: { failures: 3, for: 500ms }');
  const crowd = new Crowd(t, proxy.port('web'), { clients: 16, ask: getAndPut });
  // What is tried again is a share of what has been asked.
  await eventually(() => crowd.asked > 300 && crowd.answers.size === 3, 'some requests');
  await fleet.programs[1]!.end('SIGKILL');
  await eventually(() => told(proxy, 'endpoint is put aside') > 0, 'the ejection');
  const before = crowd.answers.get('1');
  const { asked } = crowd;
  await eventually(() => crowd.asked > asked + 100, 'what is asked elsewhere');
  assert.equal(crowd.answers.get('1'), before);
  await fleet.start(1);
  await eventually(() => (crowd.answers.get('1') ?? 0) > (before ?? 0) + 20, 'its return');
  await crowd.stop();
  assert.deepEqual(crowd.faults, []);
  assert.ok(told(proxy, 'endpoint is used again') > 0);
});

test('an endpoint that stands still is found by checks, and its requests are asked elsewhere in time', async (t) => {
  const fleet = await startFleet(t, 3);
  const proxy = await proxyTo(
    t,
    fleet.ports,
    `health: { path: /, interval: 200ms, fastInterval: 100ms, timeout: 200ms, fall: 2 }
    retries: { on: [connect, reset, refused, timeout], timeout: 300ms, budget: 100% }`,
  );
  const crowd = new Crowd(t, proxy.port('web'), { clients: 8, ask: getAndPut });
  await eventually(() => crowd.asked > 200 && crowd.answers.size === 3, 'some requests');
  fleet.programs[0]!.kill('SIGSTOP');
  await fleet.programs[0]!.standing();
  await eventually(() => told(proxy, 'endpoint is down') > 0, 'the checks');
  const before = crowd.answers.get('0') ?? 0;
  const { asked } = crowd;
  await eventually(() => crowd.asked > asked + 50, 'what is asked elsewhere');
  assert.ok((crowd.answers.get('0') ?? 0) <= before + 8);
  fleet.programs[0]!.kill('SIGCONT');
  await eventually(() => told(proxy, 'endpoint is up') > 0, 'its return');
  await eventually(() => (crowd.answers.get('0') ?? 0) > before + 20, 'its share');
  await crowd.stop();
  assert.deepEqual(crowd.faults, []);
});

test('restarting all endpoints one by one costs nothing', async (t) => {
  const fleet = await startFleet(t, 3);
  const proxy = await proxyTo(t, fleet.ports, 'slowStart: 200ms\n    ejection: { for: 1s }');
  const crowd = new Crowd(t, proxy.port('web'), { clients: 16, ask: getAndPut });
  for (let place = 0; place < 3; place++) {
    const { asked } = crowd;
    await eventually(() => crowd.asked > asked + 150, 'some requests');
    await fleet.programs[place]!.end('SIGTERM');
    await eventually(() => crowd.asked > asked + 300, 'some without it');
    await fleet.start(place);
    // Its turn on trial: the next may not go before it is back.
    const before = crowd.answers.get(String(place)) ?? 0;
    await eventually(() => (crowd.answers.get(String(place)) ?? 0) > before + 5, `the return of ${place}`);
  }
  await crowd.stop();
  assert.deepEqual(crowd.faults, []);
  assert.ok(crowd.asked > 500);
});

test('statuses that are to be tried again are, within the budget, and what may do something twice is not', async (t) => {
  let asked = 0;
  const posts: string[] = [];
  const unsteady: RequestListener = (request, response) => {
    if (request.method === 'POST') posts.push('');
    response.statusCode = ++asked % 10 === 0 || request.method === 'POST' ? 503 : 200;
    response.end('ok');
  };
  const ports = [await serve(t, unsteady), await serve(t, unsteady)];
  const proxy = await proxyTo(
    t,
    ports,
    'retries: { on: [connect, 503], attempts: 6, budget: 100% }\n    ejection: { max: 0% }',
  );
  const crowd = new Crowd(t, proxy.port('web'), { clients: 8, ask: getAndPut });
  await eventually(() => crowd.asked > 400, 'some requests');
  await crowd.stop();
  assert.deepEqual(crowd.faults, []);
  const port = proxy.port('web');
  const post = await fetch(`http://127.0.0.1:${port}/`, { method: 'POST', body: 'x' });
  assert.deepEqual([post.status, posts.length], [503, 1]);
});

test('an endpoint that asks to be left alone for long is not asked again', async (t) => {
  let asked = 0;
  const port = await serve(t, (_request, response) => {
    asked++;
    response.writeHead(503, { 'Retry-After': '60' }).end();
  });
  const proxy = await proxyTo(t, [port], 'retries: { on: [503], attempts: 3 }');
  const reply = await fetch(`http://127.0.0.1:${proxy.port('web')}/`);
  assert.deepEqual([reply.status, reply.headers.get('retry-after'), asked], [503, '60', 1]);
});

test('when all are dead clients are told so, and are served as soon as one is back', async (t) => {
  const fleet = await startFleet(t, 2);
  const health = 'health: { tcp: true, interval: 100ms, fastInterval: 100ms, timeout: 60s, rise: 1, fall: 1 }';
  const proxy = await proxyTo(t, fleet.ports, health);
  const ask = async () => (await fetch(`http://127.0.0.1:${proxy.port('web')}/`)).status;
  assert.equal(await ask(), 200);
  await Promise.all(fleet.programs.map((program) => program.end('SIGKILL')));
  await eventually(() => told(proxy, 'endpoint is down') === 2, 'both to be found');
  assert.equal(await ask(), 502);
  assert.equal(told(proxy, 'too few endpoints are well, so all are used'), 1);
  await fleet.start(1);
  await eventually(() => told(proxy, 'endpoint is up') === 1, 'one to be back');
  for (let i = 0; i < 10; i++) assert.equal(await ask(), 200);
});

test('backups serve only while all others are out of use', async (t) => {
  const fleet = await startFleet(t, 2);
  const health = 'health: { tcp: true, interval: 100ms, fastInterval: 100ms, timeout: 60s, rise: 1, fall: 1 }';
  const proxy = await startProxy(
    t,
    `
listeners: { web: { bind: "127.0.0.1:0", cluster: api } }
clusters:
  api:
    endpoints: ["127.0.0.1:${fleet.ports[0]}", { address: "127.0.0.1:${fleet.ports[1]}", backup: true }]
    ${health}
`,
  );
  const ask = async () => (await fetch(`http://127.0.0.1:${proxy.port('web')}/`)).text();
  for (let i = 0; i < 6; i++) assert.equal(await ask(), '0');
  await fleet.programs[0]!.end('SIGKILL');
  for (let i = 0; i < 6; i++) assert.equal(await ask(), '1');
  await eventually(() => told(proxy, 'endpoint is down') === 1, 'the check');
  await fleet.start(0);
  await eventually(() => told(proxy, 'endpoint is up') === 1, 'the check');
  for (let i = 0; i < 6; i++) assert.equal(await ask(), '0');
});

test('clients stay with their endpoint by its cookie, which nobody can make up, until it dies', async (t) => {
  const fleet = await startFleet(t, 3);
  const proxy = await proxyTo(t, fleet.ports, 'sticky: { cookie: seat, secret: 0123456789abcdef, maxAge: 1h }');
  const ask = async (cookie: string) => {
    const reply = await fetch(`http://127.0.0.1:${proxy.port('web')}/`, { headers: { cookie } });
    return { endpoint: await reply.text(), set: reply.headers.get('set-cookie') };
  };
  const first = await ask('');
  assert.match(first.set ?? '', /^seat=[\w-]{22}; Path=\/; Max-Age=3600; HttpOnly; SameSite=Lax$/);
  const cookie = `a=b; ${first.set!.split(';')[0]}; c=d`;
  for (let i = 0; i < 9; i++) assert.deepEqual(await ask(cookie), { endpoint: first.endpoint, set: null });
  const forged = await Promise.all(['seat=0', 'seat=127.0.0.1', 'xseat=1', 'seat'].map(ask));
  assert.ok(forged.every(({ set }) => set !== null));
  // The same secret gives the same cookies after a restart.
  const other = await proxyTo(t, fleet.ports, 'sticky: { cookie: seat, secret: 0123456789abcdef }');
  const reply = await fetch(`http://127.0.0.1:${other.port('web')}/`, { headers: { cookie } });
  assert.deepEqual([await reply.text(), reply.headers.get('set-cookie')], [first.endpoint, null]);
  await fleet.programs[Number(first.endpoint)]!.end('SIGKILL');
  const moved = await ask(cookie);
  assert.notEqual(moved.endpoint, first.endpoint);
  assert.ok(moved.set !== null);
});

test('the same key goes to the same endpoint: header, cookie, query, path and address', async (t) => {
  const names = ['0', '1', '2', '3'];
  const ports = await Promise.all(names.map((name) => serve(t, (_request, response) => response.end(name))));
  for (const [hash, ask] of [
    ['{ on: header, name: X-User }', (key: string) => ({ path: '/', headers: { 'x-user': key } })],
    ['{ on: cookie, name: id }', (key: string) => ({ path: '/', headers: { cookie: `a=1; id=${key}; b=2` } })],
    ['{ on: query, name: id }', (key: string) => ({ path: `/?a=1&id=${key}&b=2`, headers: {} })],
    ['{ on: path }', (key: string) => ({ path: `/${key}?${Math.random()}`, headers: {} })],
  ] as const) {
    const proxy = await proxyTo(t, ports, `balance: hash\n    hash: ${hash}`);
    const chosen = async (key: string) => {
      const { path, headers } = ask(key);
      return (await fetch(`http://127.0.0.1:${proxy.port('web')}${path}`, { headers })).text();
    };
    const seen = new Set<string>();
    for (let i = 0; i < 12; i++) {
      const once = await chosen(`user${i}`);
      assert.equal(await chosen(`user${i}`), once, hash);
      seen.add(once);
    }
    assert.ok(seen.size > 1, hash);
  }
  const proxy = await proxyTo(t, ports, 'balance: hash\n    hash: { on: client-ip }');
  const all = await Promise.all(Array.from({ length: 8 }, () => fetch(`http://127.0.0.1:${proxy.port('web')}/`)));
  assert.equal(new Set(await Promise.all(all.map((reply) => reply.text()))).size, 1);
});

test('more requests than allowed at once wait for others to end, in a cluster as a whole', async (t) => {
  let open = 0;
  let most = 0;
  const slow: RequestListener = (_request, response) => {
    most = Math.max(most, ++open);
    setTimeout(() => {
      open--;
      response.end('ok');
    }, 30);
  };
  const ports = [await serve(t, slow), await serve(t, slow)];
  const proxy = await proxyTo(t, ports, 'requests: 4\n    pool: { queueTimeout: 60s }');
  const all = await Promise.all(Array.from({ length: 20 }, () => fetch(`http://127.0.0.1:${proxy.port('web')}/`)));
  assert.ok(all.every(({ status }) => status === 200));
  assert.ok(most <= 4, String(most));
});

function splitProxy(t: TestContext, ports: readonly number[], route: string): Promise<TestProxy> {
  return startProxy(
    t,
    `
listeners:
  web: { bind: "127.0.0.1:0", routes: [{ ${route} }] }
clusters:
${ports.map((port, place) => `  c${place}: { endpoints: ["127.0.0.1:${port}"], retries: { attempts: 0 } }`).join('\n')}
`,
  );
}

test('a split shares requests out by weight, and a client stays where its key leads it', async (t) => {
  const ports = [
    await serve(t, (_, response) => response.end('0')),
    await serve(t, (_, response) => response.end('1')),
  ];
  const ask = async (proxy: TestProxy, user: string) =>
    (await fetch(`http://127.0.0.1:${proxy.port('web')}/`, { headers: { 'x-user': user } })).text();
  const byChance = await splitProxy(t, ports, 'split: { clusters: { c0: 3, c1: 1 } }');
  const answers = await Promise.all(Array.from({ length: 400 }, () => ask(byChance, '')));
  const second = answers.filter((answer) => answer === '1').length;
  assert.ok(second > 60 && second < 150, String(second));
  const byUser = await splitProxy(t, ports, 'split: { clusters: { c0: 1, c1: 1 }, on: header, name: X-User }');
  const seen = new Set<string>();
  for (let i = 0; i < 12; i++) {
    const first = await ask(byUser, `u${i}`);
    assert.equal(await ask(byUser, `u${i}`), first);
    seen.add(first);
  }
  assert.equal(seen.size, 2);
});

test('a client that chance has sent to a part of a split stays there by our cookie, whatever the shares become', async (t) => {
  const ports = [
    await serve(t, (request, response) => response.end(`0 ${request.headers.cookie ?? ''}`)),
    await serve(t, (request, response) => response.end(`1 ${request.headers.cookie ?? ''}`)),
  ];
  const split = (shares: string, more = '') =>
    splitProxy(t, ports, `split: { clusters: { ${shares} }, sticky: { cookie: v, secret: 0123456789abcdef${more} } }`);
  const ask = async (proxy: TestProxy, cookie = '') => {
    const reply = await fetch(`http://127.0.0.1:${proxy.port('web')}/`, { headers: { cookie } });
    return { part: (await reply.text())[0]!, set: reply.headers.getSetCookie() };
  };
  const even = await split('c0: 1, c1: 1', ', maxAge: 1h');
  const cookies = new Map<string, string>();
  for (let i = 0; i < 60; i++) {
    const { part, set } = await ask(even);
    assert.equal(set.length, 1);
    assert.match(set[0]!, /^v=[\w-]{22}; Path=\/; Max-Age=3600; HttpOnly; SameSite=Lax$/);
    cookies.set(part, set[0]!.split(';')[0]!);
  }
  assert.equal(cookies.size, 2);
  const uneven = await split('c0: 9999, c1: 1');
  for (const proxy of [even, uneven]) {
    for (const [part, cookie] of cookies) {
      for (let i = 0; i < 5; i++) assert.deepEqual(await ask(proxy, `a=b; ${cookie}; c=d`), { part, set: [] });
    }
  }
  // Nobody chooses by what he makes up, and of what he sends nothing comes back.
  const forged = ['v=c1', 'v=1', 'v=', 'v', `v=${'x'.repeat(5000)}`, 'v=__proto__', 'xv=1', `${cookies.get('1')}x`];
  for (const cookie of forged) {
    // Chance may choose the other once, but not every time.
    const answers = [await ask(uneven, cookie), await ask(uneven, cookie), await ask(uneven, cookie)];
    assert.ok(
      answers.some(({ part, set }) => part === '0' && set[0]?.split(';')[0] === cookies.get('0')),
      cookie,
    );
  }
  // A cluster that is to get nothing any more gets nothing.
  const over = await split('c0: 1, c1: 0');
  const moved = await ask(over, cookies.get('1'));
  assert.deepEqual([moved.part, moved.set[0]?.split(';')[0]], ['0', cookies.get('0')]);
  const other = await split('c0: 1');
  assert.equal((await ask(other, cookies.get('1'))).part, '0');
});

test('the cookie of a split goes beside that of an endpoint, and not with errors of ours', async (t) => {
  const port = await serve(t, (request, response) => {
    if (request.url === '/early') response.writeEarlyHints({ link: '</a>; rel=preload' });
    response.setHeader('Set-Cookie', 'own=1').end('ok');
  });
  const proxy = await startProxy(
    t,
    `
listeners:
  web: { bind: "127.0.0.1:0", routes: [{ split: { clusters: { app: 1 }, sticky: {} } }] }
  dead: { bind: "127.0.0.1:0", routes: [{ split: { clusters: { gone: 1 }, sticky: {} } }] }
clusters:
  app: { endpoints: ["127.0.0.1:${port}"], sticky: {} }
  gone: { endpoints: ["127.0.0.1:${await freePort()}"], retries: { attempts: 0 } }
`,
  );
  for (const path of ['/', '/early']) {
    const reply = await fetch(`http://127.0.0.1:${proxy.port('web')}${path}`);
    const names = reply.headers.getSetCookie().map((line) => line.split('=')[0]);
    assert.deepEqual(names.sort(), ['millrace-split_app', 'millrace_app', 'own']);
  }
  const refused = await fetch(`http://127.0.0.1:${proxy.port('dead')}/`);
  assert.deepEqual([refused.status, refused.headers.getSetCookie()], [502, []]);
});

test('a shadow sees whole copies of requests, and whatever it does, clients notice nothing', async (t) => {
  const bodies: string[] = [];
  const shadow = await serve(t, (request, response) => {
    let body = '';
    request.on('data', (piece) => (body += piece));
    request.on('end', () => {
      bodies.push(`${request.method} ${request.url} ${body}`);
      // Some answers never come, some are errors.
      if (bodies.length % 3 === 0) request.socket.destroy();
      else if (bodies.length % 3 === 1) response.writeHead(500).end('shadow');
    });
  });
  const primary = await serve(t, (request, response) => {
    request.resume();
    request.on('end', () => response.end('primary'));
  });
  const proxy = await splitProxy(t, [primary, shadow], 'cluster: c0, mirror: { cluster: c1 }');
  const url = `http://127.0.0.1:${proxy.port('web')}`;
  for (let i = 0; i < 12; i++) {
    const body = i % 2 === 0 ? null : `body ${i}`;
    const reply = await fetch(`${url}/${i}`, { method: body === null ? 'GET' : 'POST', body });
    assert.deepEqual([reply.status, await reply.text()], [200, 'primary']);
  }
  // Longer ones are not copied, and arrive all the same.
  const long = await fetch(`${url}/long`, { method: 'POST', body: 'x'.repeat(200_000) });
  assert.equal(long.status, 200);
  await eventually(() => bodies.length >= 12, 'the copies');
  assert.deepEqual(
    bodies.toSorted((a, b) => a.localeCompare(b, 'en', { numeric: true })),
    Array.from({ length: 12 }, (_, i) => (i % 2 === 0 ? `GET /${i} ` : `POST /${i} body ${i}`)).toSorted((a, b) =>
      a.localeCompare(b, 'en', { numeric: true }),
    ),
  );
  const some = await splitProxy(t, [primary, shadow], 'cluster: c0, mirror: { cluster: c1, share: 20% }');
  const before = bodies.length;
  for (let i = 0; i < 200; i++) await (await fetch(`http://127.0.0.1:${some.port('web')}/`)).text();
  await eventually(() => bodies.length - before > 12, 'some copies');
  assert.ok(bodies.length - before < 80, String(bodies.length - before));
});

test('connections are there before the first request, are closed after their number of requests, and come from our address', async (t) => {
  const sockets: { requests: number; from: string }[] = [];
  const server = createServer((_request, response) => response.end('ok'));
  server.on('connection', (socket) => {
    const seen = { requests: 0, from: socket.remoteAddress ?? '' };
    sockets.push(seen);
    (socket as { seen?: object }).seen = seen;
  });
  server.on('request', (request) => {
    (request.socket as unknown as { seen: { requests: number } }).seen.requests++;
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const proxy = await proxyTo(
    t,
    [port],
    'source: 127.0.0.2\n    tcpKeepAlive: 60s\n    pool: { warm: 3, maxRequests: 4 }',
  );
  await eventually(() => sockets.length === 3, 'warm connections');
  for (let i = 0; i < 20; i++) assert.equal((await fetch(`http://127.0.0.1:${proxy.port('web')}/`)).status, 200);
  assert.ok(sockets.every(({ requests, from }) => requests <= 4 && from === '127.0.0.2'));
  assert.equal(
    sockets.reduce((sum, { requests }) => sum + requests, 0),
    20,
  );
});

test('a cap that is found out lets requests wait for an endpoint that slows down, and none is lost', async (t) => {
  let open = 0;
  let most = 0;
  const port = await serve(t, (_request, response) => {
    open++;
    most = Math.max(most, open);
    // Room for eight, and a queue behind it.
    setTimeout(
      () => {
        open--;
        response.end('0');
      },
      5 * Math.max(1, open / 8),
    );
  });
  const proxy = await proxyTo(t, [port], 'adaptive: { min: 2, max: 30 }\n    pool: { queueTimeout: 60s }');
  const crowd = new Crowd(t, proxy.port('web'), { clients: 60 });
  await eventually(() => crowd.asked > 1500, 'some requests');
  await crowd.stop();
  assert.deepEqual(crowd.faults, []);
  assert.ok(most <= 31, String(most));
});
