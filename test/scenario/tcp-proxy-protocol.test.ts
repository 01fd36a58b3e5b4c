// The PROXY protocol over whole connections, in and out, also with HAProxy at the other end.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import {
  ProxyHeader,
  ProxyRead,
  readProxyHeader,
  writeProxyHeaderV1,
  writeProxyHeaderV2,
} from '../../lib/wire/proxy-protocol.ts';
import { answering, type Origin, startOrigin } from '../support/origin.ts';
import { connectPeer, type Peer } from '../support/peer.ts';
import { run, startOnFreePort, startProgram, temporaryFolder } from '../support/process.ts';
import { startProxy, type TestProxy, tcpTo } from '../support/proxy.ts';

const CLIENT = { address: '198.51.100.7', port: 4711 };
const TARGET = { address: '203.0.113.9', port: 443 };
const TRUSTING = 'proxyProtocol: require\ntrustedProxies: [127.0.0.0/8]';

/** The header at the beginning of what an origin received, and what follows it. */
async function headerOf(peer: Peer, tail: string): Promise<{ header: ProxyHeader; rest: string }> {
  await peer.receive(tail);
  const bytes = Buffer.from(peer.text, 'latin1');
  const header = new ProxyHeader();
  assert.equal(readProxyHeader(bytes, 0, bytes.length, header), ProxyRead.DONE);
  return { header, rest: peer.text.slice(header.length) };
}

/** A proxy that passes the PROXY header that it was told on to `origin`. */
async function chain(t: TestContext, listener: string): Promise<{ origin: Origin; proxy: TestProxy }> {
  const origin = await startOrigin(t);
  return { origin, proxy: await startProxy(t, tcpTo([origin.address], listener, 'proxyProtocol: v1')) };
}

for (const version of ['v1', 'v2'] as const) {
  test(`endpoints that ask for it are told the client's address first, in ${version}`, async (t) => {
    const origin = await startOrigin(t);
    const proxy = await startProxy(t, tcpTo([origin.address], '', `proxyProtocol: ${version}`));
    const client = await connectPeer(t, proxy.port('raw'));
    client.send('payload');
    const { header, rest } = await headerOf(await origin.peer(0), 'payload');
    assert.equal(rest, 'payload');
    assert.deepEqual(
      [header.version, header.local, header.sourceAddress, header.sourcePort, header.destinationAddress],
      [Number(version[1]), false, '127.0.0.1', client.socket.localPort, '127.0.0.1'],
    );
    assert.equal(header.destinationPort, proxy.port('raw'));
  });

  test(`a client on a unix socket has no address to tell, and ${version} says so`, async (t) => {
    const folder = temporaryFolder(t);
    const origin = await startOrigin(t, () => {}, join(folder, 'origin'));
    await startProxy(
      t,
      `
listeners: { raw: { bind: "unix:${join(folder, 'proxy')}", protocol: tcp, cluster: api } }
clusters: { api: { endpoints: ["${origin.address}"], proxyProtocol: ${version} } }
`,
    );
    const client = await connectPeer(t, join(folder, 'proxy'));
    client.send('payload');
    const { header, rest } = await headerOf(await origin.peer(0), 'payload');
    assert.deepEqual([header.local, rest], [true, 'payload']);
  });

  test(`the ${version} header of a trusted proxy is believed, however it is cut, and bytes behind it are kept`, async (t) => {
    const { origin, proxy } = await chain(t, TRUSTING);
    const write = version === 'v1' ? writeProxyHeaderV1 : writeProxyHeaderV2;
    const bytes = Buffer.concat([write(CLIENT, TARGET), Buffer.from('behind')]);
    let number = 0;
    const told = async (client: Peer): Promise<void> => {
      const { header, rest } = await headerOf(await origin.peer(number), 'behind');
      assert.deepEqual([header.sourceAddress, header.sourcePort, rest], [CLIENT.address, CLIENT.port, 'behind']);
      assert.deepEqual([header.destinationAddress, header.destinationPort], [TARGET.address, TARGET.port]);
      client.end();
      number++;
    };
    const whole = await connectPeer(t, proxy.port('raw'));
    whole.send(bytes);
    await told(whole);
    const dripping = await connectPeer(t, proxy.port('raw'));
    for (const byte of bytes) {
      dripping.send(Uint8Array.of(byte));
      await new Promise(setImmediate);
    }
    await told(dripping);
  });
}

test('LOCAL and UNKNOWN headers leave the connection its own addresses', async (t) => {
  const { origin, proxy } = await chain(t, TRUSTING);
  for (const [number, bytes] of [writeProxyHeaderV2(null, null), Buffer.from('PROXY UNKNOWN\r\n')].entries()) {
    const client = await connectPeer(t, proxy.port('raw'));
    client.send(bytes);
    client.send('x');
    const { header } = await headerOf(await origin.peer(number), 'x');
    assert.deepEqual([header.sourceAddress, header.sourcePort], ['127.0.0.1', client.socket.localPort]);
  }
});

test('accept takes connections with and without a header; require only those with one', async (t) => {
  const accepting = await chain(t, TRUSTING.replace('require', 'accept'));
  const plain = await connectPeer(t, accepting.proxy.port('raw'));
  plain.send('plain');
  const { header, rest } = await headerOf(await accepting.origin.peer(0), 'plain');
  assert.deepEqual([header.sourcePort, rest], [plain.socket.localPort, 'plain']);
  const { origin, proxy } = await chain(t, TRUSTING);
  const refused = await connectPeer(t, proxy.port('raw'));
  refused.send('plain');
  await refused.receiveAll();
  assert.equal(origin.peers.length, 0);
  assert.ok(proxy.log.some((line) => line['cause'] === 'bad_proxy_header'));
});

test('the header of a peer that is not trusted is not believed: refused where required, passed on where accepted', async (t) => {
  const untrusted = (mode: string): string => `proxyProtocol: ${mode}\ntrustedProxies: [192.0.2.0/24]`;
  const bytes = writeProxyHeaderV1(CLIENT, TARGET).toString('latin1');
  const required = await chain(t, untrusted('require'));
  const refused = await connectPeer(t, required.proxy.port('raw'));
  refused.send(bytes);
  await refused.receiveAll();
  assert.equal(required.origin.peers.length, 0);
  const accepted = await chain(t, untrusted('accept'));
  const client = await connectPeer(t, accepted.proxy.port('raw'));
  client.send(`${bytes}x`);
  const { header, rest } = await headerOf(await accepted.origin.peer(0), '443\r\nx');
  assert.deepEqual([header.sourceAddress, rest], ['127.0.0.1', `${bytes}x`]);
});

test('a header that is malformed, endless or cut off ends the connection before anything is dialed', async (t) => {
  const { origin, proxy } = await chain(t, TRUSTING);
  const bad = [
    'PROXY TCP4 1.2.3.4 5.6.7.8 1 99999\r\n',
    `PROXY TCP4 ${'9'.repeat(200)}`,
    'PROXY TCP4  1.2.3.4 5.6.7.8 1 2\r\n',
    '\r\n\r\n\x00\r\nQUIT\n\x51\x11\x00\x0c',
    '\r\n\r\n\x00\r\nQUIT\n\x21\x11\xff\xff',
  ];
  for (const bytes of bad) {
    const client = await connectPeer(t, proxy.port('raw'));
    client.send(bytes);
    await client.until(() => client.ended || client.closed, `the end after ${JSON.stringify(bytes)}`);
  }
  const cut = await connectPeer(t, proxy.port('raw'));
  cut.send('PROXY TCP4 1.2.');
  cut.end();
  await cut.receiveAll();
  assert.equal(origin.peers.length, 0);
});

test('a trusted proxy that sends no header in time is refused', async (t) => {
  // Layer 4 has no limit for heads of its own, so the one of HTTP listeners is used with `auto`.
  const origin = await startOrigin(t);
  const proxy = await startProxy(
    t,
    `
listeners:
  raw:
    bind: 127.0.0.1:0
    protocol: auto
    cluster: api
    proxyProtocol: require
    trustedProxies: [127.0.0.1]
    timeouts: { head: 100ms }
clusters: { api: { endpoints: ["${origin.address}"] } }
`,
  );
  const silent = await connectPeer(t, proxy.port('raw'));
  const begun = await connectPeer(t, proxy.port('raw'));
  begun.send('PROXY TCP4 ');
  await Promise.all([silent.receiveAll(), begun.receiveAll()]);
  assert.ok(proxy.log.some((line) => line['detail'] === 'none in time'));
});

test('HTTP behind a header is served with the address that the header tells', async (t) => {
  const origin = await startOrigin(t, answering('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi'));
  const proxy = await startProxy(
    t,
    `
listeners:
  web: { bind: "127.0.0.1:0", cluster: api, proxyProtocol: require, trustedProxies: [127.0.0.1] }
  auto: { bind: "127.0.0.1:0", protocol: auto, cluster: api, proxyProtocol: accept, trustedProxies: [127.0.0.1] }
clusters: { api: { endpoints: ["${origin.address}"] } }
`,
  );
  for (const listener of ['web', 'auto']) {
    const client = await connectPeer(t, proxy.port(listener));
    client.send(writeProxyHeaderV2(CLIENT, TARGET));
    client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await client.receive('hi');
    client.end();
  }
  for (const listener of ['web', 'auto']) {
    const client = await connectPeer(t, proxy.port(listener));
    client.send(Buffer.concat([writeProxyHeaderV1(CLIENT, TARGET), Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n\r\n')]));
    await client.receive('hi');
  }
  const seen = origin.peers.map((peer) => peer.text).join('');
  assert.equal(seen.match(/x-forwarded-for: 198\.51\.100\.7\r/gi)?.length, 4);
});

/** Starts HAProxy with one listening section; null where there is none. */
async function haproxy(t: TestContext, section: (port: number) => string): Promise<number | null> {
  const found = await run(t, 'haproxy', ['-v']).catch(() => null);
  if (found === null || found.code !== 0) return null;
  const folder = temporaryFolder(t);
  const { port } = await startOnFreePort((candidate) => {
    const file = join(folder, `${candidate}.cfg`);
    writeFileSync(
      file,
      `defaults\n  timeout connect 5s\n  timeout client 60s\n  timeout server 60s\n${section(candidate)}`,
    );
    return startProgram(t, 'haproxy', ['-db', '-f', file]);
  });
  return port;
}

for (const [version, option] of [
  [1, 'send-proxy'],
  [2, 'send-proxy-v2'],
] as const) {
  test(`what HAProxy sends as version ${version} is believed`, async (t) => {
    const { origin, proxy } = await chain(t, TRUSTING);
    const port = await haproxy(
      t,
      (candidate) =>
        `listen l\n  mode tcp\n  bind 127.0.0.1:${candidate}\n  server s 127.0.0.1:${proxy.port('raw')} ${option}\n`,
    );
    if (port === null) {
      t.diagnostic('SKIPPED: haproxy is not installed');
      t.skip('haproxy is not installed');
      return;
    }
    const client = await connectPeer(t, port);
    client.send('through both');
    while (!origin.peers.some((peer) => peer.text.endsWith('through both'))) await new Promise(setImmediate);
    const peer = origin.peers.find((one) => one.text.endsWith('through both'))!;
    const { header } = await headerOf(peer, 'through both');
    assert.deepEqual(
      [header.sourceAddress, header.sourcePort, header.destinationPort],
      ['127.0.0.1', client.socket.localPort, port],
    );
  });

  test(`what is sent as version ${version} HAProxy believes`, async (t) => {
    const origin = await startOrigin(t, answering('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi'));
    const port = await haproxy(
      t,
      (candidate) =>
        `listen l\n  mode http\n  option forwardfor\n  bind 127.0.0.1:${candidate} accept-proxy\n  server s ${origin.address}\n`,
    );
    if (port === null) {
      t.diagnostic('SKIPPED: haproxy is not installed');
      t.skip('haproxy is not installed');
      return;
    }
    const proxy = await startProxy(t, tcpTo([`127.0.0.1:${port}`], TRUSTING, `proxyProtocol: v${version}`));
    const client = await connectPeer(t, proxy.port('raw'));
    client.send(writeProxyHeaderV1(CLIENT, TARGET));
    client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await client.receive('hi');
    assert.match(origin.peers.map((peer) => peer.text).join(''), /x-forwarded-for: 198\.51\.100\.7\r/i);
  });
}
