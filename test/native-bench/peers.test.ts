// The proxies that are compared: each does the job that it is measured at, does as much of it as the others, and is gone
// when it is stopped. Real processes, one after the other. What is not installed is skipped, with its package.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { PEERS, SCENARIOS } from '../../native-bench/catalogue.ts';
import { processTree } from '../../native-bench/host/accounting.ts';
import { Scope } from '../../native-bench/host/scope.ts';
import type { HttpLoad } from '../../native-bench/load/load.ts';
import { type Origin, startOwnOrigin } from '../../native-bench/origin/origin.ts';
import { writeCertificate } from '../../native-bench/peers/certificate.ts';
import { millrace, millraceAt } from '../../native-bench/peers/millrace/peer.ts';
import { isSecure, type Peer, type Setup, startPeer } from '../../native-bench/peers/peer.ts';
import {
  FORWARDING_HEADERS,
  missingHeaders,
  probeHandshakes,
  probeHeaders,
  probeReply,
} from '../../native-bench/probe.ts';
import { type Scenario, SUBJECT } from '../../native-bench/scenario.ts';
import { bareGet, barePost, scatter } from '../../native-bench/scenarios/shapes.ts';
import { living } from './harness.ts';

const scope = new Scope({ taskset: null, setpriv: null });
const folder = mkdtempSync(join(tmpdir(), 'millrace-peers-'));
let origin: Origin;

/** What whoever has the setup can do. */
const BASIC = [
  'http-small',
  'http-post-1m',
  'http-routes-1000',
  'websocket-echo',
  'tcp-small',
  'tls-small',
  'h2-small',
];

before(async () => {
  origin = await startOwnOrigin(scope, []);
});
after(async () => {
  await scope.close();
  rmSync(folder, { recursive: true, force: true });
});

test('every configuration has a value for all that it asks for, installed or not', () => {
  // Only after everything is filled in do they ask for the program.
  for (const peer of PEERS) for (const setup of peer.setups) assert.match(missingFor(peer, setup), /^$|Debian package/);
});

for (const peer of PEERS) {
  for (const setup of peer.setups) {
    const located = peer.locate();
    const skip = 'missing' in located ? located.missing : missingFor(peer, setup) || unbuiltFor(peer, setup) || false;
    test(`${peer.name} does what ${setup} asks for and leaves no process behind`, { skip }, async () => {
      const running = await startPeer(scope, peer, { setup, originPort: origin.port, workers: 1, cores: [] });
      const tree = processTree(running.child.pid);
      try {
        for (const scenario of SCENARIOS) {
          if (scenario.setup === setup && concerns(scenario, peer)) await probeReply(running.port, scenario);
        }
        if (isSecure(setup)) await probeHandshakes(running.port, setup);
        const path = setup === 'http-routes' ? '/service-0/inspect' : '/inspect';
        const missing = await probeHeaders(running.port, path, setup);
        assert.deepEqual(missing, setup === 'tcp' ? FORWARDING_HEADERS : []);
      } finally {
        await scope.stop(running.child);
      }
      assert.equal(running.child.running, false);
      assert.deepEqual(tree.filter(living), []);
    });
  }
}

test('a peer that cannot take its port is reported with what it said, and nothing of it stays', async () => {
  // The origin's port is taken; the peer ends on its own, and nobody is there who would answer on the one given to it.
  const script = `require('node:net').createServer().listen(${origin.port}, '127.0.0.1')`;
  const launch = { command: process.execPath, args: ['-e', script] };
  const late: Peer = { ...millrace, name: 'late', prepare: () => launch };
  const place = { setup: 'http', originPort: origin.port, workers: 1, cores: [] } as const;
  const before = processTree(process.pid);
  const failure = await startPeer(scope, late, place).then(
    () => null,
    (error: Error) => error,
  );
  assert.match(failure?.message ?? '', /^did not start: Error: listen EADDRINUSE/);
  assert.deepEqual(processTree(process.pid), before);
});

test('more workers than a proxy has are refused rather than imagined', () => {
  const site = { folder, setup: 'http', port: 1, originPort: 2, workers: 2 } as const;
  millrace.prepare(site);
  assert.match(readFileSync(join(folder, 'millrace.yaml'), 'utf8'), /^workers: 2$/m);
  const single = PEERS.filter(({ name, node }) => node && !name.startsWith('millrace'));
  for (const { prepare } of single) assert.throws(() => prepare(site), /event loop/);
  const nginx = PEERS.find(({ name }) => name === 'nginx')!;
  if ('missing' in nginx.locate()) return;
  nginx.prepare(site);
  assert.match(readFileSync(join(folder, 'nginx.conf'), 'utf8'), /^worker_processes 2;$/m);
});

test('another source tree is measured by its own program, with the same configuration', () => {
  const site = { folder, setup: 'tcp', port: 1, originPort: 2, workers: 1 } as const;
  const there = millraceAt('/nowhere/else', 'before');
  assert.deepEqual(there.locate(), { missing: '/nowhere/else/lib/cli/main.ts does not exist' });
  assert.equal(there.name, 'before');
  const here = millraceAt(join(import.meta.dirname, '../..'), 'here');
  assert.ok('version' in here.locate());
  const { command, args, env } = there.prepare(site);
  assert.equal(command, process.execPath);
  assert.equal(args.at(-4), '/nowhere/else/lib/cli/main.ts');
  assert.equal(args[0], '--import');
  assert.equal(env?.['MILLRACE_BENCH_PROBE'], join(folder, 'probe.sock'));
});

test('every scenario names peers that exist, are able to take part, and carry its targets', () => {
  assert.equal(new Set(SCENARIOS.map(({ name }) => name)).size, SCENARIOS.length);
  assert.equal(new Set(PEERS.map(({ name }) => name)).size, PEERS.length);
  for (const { name, setup, peers, headline, columns, targets } of SCENARIOS) {
    assert.equal(peers[0], SUBJECT, name);
    assert.equal(new Set(peers).size, peers.length, name);
    for (const peer of peers) assert.ok(PEERS.find((one) => one.name === peer)?.setups.includes(setup), name + peer);
    assert.ok(columns.includes(headline), name);
    assert.equal(new Set(columns).size, columns.length, name);
    for (const { figure, peer, atMost, atLeast } of targets) {
      assert.ok(peer === null || peers.includes(peer), name);
      assert.ok(columns.includes(figure), name);
      assert.notEqual(atMost === undefined, atLeast === undefined, name);
    }
  }
});

test('http-headers sends 25 different fields that are 4 KiB together', () => {
  const { fields } = loadOf('http-headers').requests[0]!;
  assert.equal(new Set(fields.map(([name]) => name.toLowerCase())).size, 25);
  assert.equal(fields.map(([name, value]) => `${name}: ${value}\r\n`).join('').length, 4_096);
});

test('http-routes-1000 asks for 64 routes from the first to the last', () => {
  const routes = loadOf('http-routes-1000').requests.map(({ path }) =>
    Number(/^\/service-(\d+)\/small$/.exec(path)![1]),
  );
  assert.equal(new Set(routes).size, 64);
  assert.deepEqual([Math.min(...routes), Math.max(...routes)], [0, 999]);
});

test('scattered requests are all there, in the same order each time', () => {
  const items = Array.from({ length: 64 }, (_, index) => index);
  assert.deepEqual(
    scatter(items).sort((a, b) => a - b),
    items,
  );
  assert.deepEqual(scatter(items), scatter(items));
  assert.throws(() => scatter([1, 2, 3]), /power of two/);
});

test('headers that did not reach the origin are named', () => {
  assert.deepEqual(missingHeaders(FORWARDING_HEADERS.map((name) => `${name}=x`).join('\n')), []);
  assert.deepEqual(missingHeaders('x-forwarded-for=1\nx-forwarded-proto=\nx-forwarded-host=h\nvia=1.1 a\n'), [
    'x-forwarded-proto',
    'x-request-id',
  ]);
});

test('a probe tells a wrong reply from a right one', async (t) => {
  const load = (path: string, replyBytes: number): { load: HttpLoad } => ({
    load: { kind: 'http', connections: 1, requests: [bareGet(path, replyBytes)], closing: false },
  });
  await probeReply(origin.port, load('/small', 129));
  await assert.rejects(probeReply(origin.port, load('/small', 128)), /answers \/small with 129 bytes instead of 128/);
  await assert.rejects(probeReply(origin.port, load('/nothing', 13)), /answers \/nothing with status 404/);
  const reply = 'stored\n';
  const shape = barePost('/sink', { bodyBytes: 10, chunkBytes: 0, replyBytes: reply.length });
  const sink: HttpLoad = { kind: 'http', connections: 1, requests: [shape], closing: false };
  for (const [said, wanted] of [
    [reply, null],
    ['STORED\n', /answers \/sink with other bytes than the origin's/],
  ] as const) {
    const server = createServer((_request, response) => void response.end(said)).listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => server.close());
    const probed = probeReply((server.address() as AddressInfo).port, { load: sink });
    await (wanted === null ? probed : assert.rejects(probed, wanted));
  }
  await assert.rejects(probeReply(1, load('/small', 129)), /gives no answer to \/small/);
  await assert.rejects(probeReply(1, { load: { kind: 'websocket', connections: 1, messageBytes: 1 } }), /WebSocket/);
});

test('a probe tells how a peer encrypts when that is not how all do', async (t) => {
  const files = writeCertificate(mkdtempSync(join(folder, 'certificate-')));
  const [cert, key] = [readFileSync(files.cert), readFileSync(files.key)];
  assert.equal(readFileSync(files.both, 'utf8'), `${cert}${key}`);
  assert.equal(statSync(files.key).mode & 0o777, 0o600);
  const aes128 = { ciphers: 'TLS_AES_128_GCM_SHA256', ALPNProtocols: ['http/1.1'] };
  for (const [options, wanted] of [
    [aes128, null],
    [{ ...aes128, ALPNProtocols: ['h2'] }, /makes no handshake: .*alert/],
    [{ ...aes128, ciphers: 'TLS_AES_256_GCM_SHA384' }, /the cipher TLS_AES_256_GCM_SHA384 instead of TLS_AES_128_GCM/],
    [{ ...aes128, maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256' }, /the version TLSv1.2 instead/],
    [{ ciphers: aes128.ciphers, ALPNProtocols: [] }, /the protocol false instead of http\/1.1/],
  ] as const) {
    const server = createSecureServer({ cert, key, ...options } as object).listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => server.close());
    const probed = probeHandshakes((server.address() as AddressInfo).port, 'https');
    await (wanted === null ? probed : assert.rejects(probed, wanted));
  }
  await assert.rejects(probeHandshakes(origin.port, 'https'), /makes no handshake/);
});

/** What `peer` lacks for `setup`, as it says when it is configured; '' when nothing. */
function missingFor(peer: Peer, setup: Setup): string {
  const site = { folder: mkdtempSync(join(folder, 'site-')), setup, port: 1, originPort: 2, workers: 1 };
  try {
    peer.prepare(site);
    return '';
  } catch (error) {
    return String(error);
  }
}

/** A scenario's own peers must do all of it, and all must do what each setup is about. */
function concerns({ name, peers }: Scenario, peer: Peer): boolean {
  return peers.includes(peer.name) || BASIC.includes(name);
}

/** What Millrace itself cannot do yet; the others can. */
function unbuiltFor(peer: Peer, setup: Setup): string {
  const waiting = SCENARIOS.filter((scenario) => scenario.setup === setup && scenario.unbuilt !== null);
  return peer === millrace ? (waiting[0]?.unbuilt ?? '') : '';
}

function loadOf(name: string): HttpLoad {
  const { load } = SCENARIOS.find((scenario) => scenario.name === name)!;
  assert.ok(load.kind === 'http');
  return load;
}
