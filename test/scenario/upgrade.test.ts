// A successor takes the place of a running proxy, sockets and all: nobody who asks notices, and nobody is cut off.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Admin } from '../support/admin.ts';
import { startConfigured } from '../support/configured.ts';
import { Load } from '../support/load.ts';
import { connectPeer } from '../support/peer.ts';
import { eventually, type Millrace, startMillrace, temporaryFolder } from '../support/process.ts';
import { startEcho, startRecording } from '../support/servers.ts';

test('an upgrade under load refuses and resets nobody: the old process ends with 0, the new one serves and is asked', async (t) => {
  const origin = await startRecording(t, 5);
  const folder = temporaryFolder(t);
  const [path, control] = [join(folder, 'web.sock'), join(folder, 'admin.sock')];
  const { proxy, configure } = startConfigured(t, upgradable(origin.port, path, control));
  const port = await proxy.port('web');
  const admin = new Admin(control);
  assert.equal((await admin.status()).pid, proxy.pid);
  const loads = [
    new Load(t, { to: port, kept: 6, fresh: 4, path: (i) => `/${i}` }),
    new Load(t, { to: path, kept: 2, fresh: 2, path: (i) => `/${i}` }),
  ];
  for (const load of loads) await load.further(50);

  // What cannot start leaves all as it was.
  configure('nonsense');
  const vain = startMillrace(t, ['upgrade', '--admin', `unix:${control}`]);
  assert.equal(await vain.ended, 1);
  assert.match(vain.err, /it ended with 2; its log says why/);
  await proxy.until(({ err }) => /nonsense|must be a map/.test(err), 'why');
  await proxy.until(({ err }) => err.includes('the successor did not start, this process goes on'), 'its word');
  assert.deepEqual([(await admin.status()).pid, (await admin.call({ path: '/v1/ready' })).status], [proxy.pid, 200]);
  for (const load of loads) await load.further(50);
  for (const load of loads) assert.deepEqual(load.faults, []);

  let pid = proxy.pid;
  let gone = once(proxy.process, 'exit');
  for (let round = 1; round <= 2; round++) {
    configure(`${upgradable(origin.port, path, control)}# ${round}\n`);
    const next = await upgrade(t, proxy, `unix:${control}`);
    assert.notEqual(next, pid);
    if (round === 1) assert.deepEqual(await gone, [0, null], proxy.err);
    else await eventually(() => !existsSync(`/proc/${pid}`), 'the one before to end');
    const { pid: serving, state, workers } = await admin.status();
    assert.deepEqual([serving, state, workers.length], [next, 'serving', 2]);
    for (const load of loads) await load.further(80);
    pid = next;
    gone = Promise.resolve([]) as never;
  }
  for (const load of loads) {
    await load.stop();
    assert.deepEqual(load.faults, []);
    assert.equal(load.answered, load.asked);
  }
  assert.equal(existsSync(path), true);
  process.kill(pid, 'SIGTERM');
  await eventually(() => !existsSync(path) && !existsSync(control), 'the last one to take its sockets with it');
  assert.equal(await proxy.ended, 0);
});

test('an upgrade from three event loops to one loses nothing under load: the one takes what waits for each of them', async (t) => {
  const origin = await startRecording(t, 5);
  const document = (workers: number): string => `
workers: ${workers}
drainTimeout: 10m
admin: { bind: "127.0.0.1:0" }
listeners: { web: { bind: "127.0.0.1:0", cluster: api } }
clusters: { api: { endpoints: ["127.0.0.1:${origin.port}"] } }
`;
  const { proxy, configure } = startConfigured(t, document(3));
  const port = await proxy.port('web');
  const admin = await Admin.of(proxy);
  assert.equal((await admin.status()).workers.length, 3);
  const load = new Load(t, { to: port, kept: 12, fresh: 8, path: (i) => `/${i}`, pauseMs: 1 });
  await load.round();
  await load.further(100);
  const exited = once(proxy.process, 'exit');
  configure(document(1));
  const pid = await upgrade(t, proxy, await Admin.addressOf(proxy));
  await load.round();
  assert.deepEqual(await exited, [0, null], proxy.err);
  // The kernel still shares out what comes among three sockets.
  const many = await Promise.all(Array.from({ length: 60 }, () => connectPeer(t, port)));
  for (const peer of many) peer.send('GET /many HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
  for (const peer of many) assert.match(await peer.receiveAll(), /^HTTP\/1\.1 200 [\s\S]*\/many$/);
  await load.further(100);
  const { pid: serving, state, workers } = await admin.status();
  assert.deepEqual([serving, state, workers.length], [pid, 'serving', 1]);
  await load.stop();
  assert.deepEqual(load.faults, []);
  assert.equal(load.answered, load.asked);
  assert.equal(new Set(load.answers.keys()).size, load.asked, 'everybody got the answer to what was asked');
});

test('tunnels stay with the process that they began in while its successor serves', async (t) => {
  const echo = await startEcho(t);
  const { proxy } = startConfigured(
    t,
    `
workers: 2
drainTimeout: 10m
admin: { bind: "127.0.0.1:0" }
listeners: { raw: { bind: "127.0.0.1:0", protocol: tcp, cluster: raw } }
clusters: { raw: { endpoints: ["127.0.0.1:${echo}"] } }
`,
  );
  const port = await proxy.port('raw');
  const old = await connectPeer(t, port);
  old.send('before');
  await old.receive('before');
  const exited = once(proxy.process, 'exit');
  const admin = await Admin.of(proxy);
  const { status, body } = await admin.post('/v1/upgrade');
  assert.equal(status, 200, JSON.stringify(body));
  proxy.successors.push(body.pid);
  old.send('after');
  await old.receive('after');
  const young = await connectPeer(t, port);
  young.send('hello');
  await young.receive('hello');
  assert.equal((await admin.status()).connections, 1);
  assert.equal(proxy.process.exitCode, null);
  old.end();
  assert.deepEqual(await exited, [0, null]);
  process.kill(body.pid, 'SIGKILL');
});

/** `millrace upgrade`; resolves to the process that serves then. */
async function upgrade(t: TestContext, proxy: Millrace, address: string): Promise<number> {
  const command = startMillrace(t, ['upgrade', '--admin', address]);
  assert.equal(await command.ended, 0, command.err + proxy.err);
  const pid = Number(/^process (\d+) serves; the one before drains\n$/.exec(command.out)![1]);
  proxy.successors.push(pid);
  return pid;
}

function upgradable(origin: number, path: string, control: string): string {
  return `
workers: 2
admin: { bind: "unix:${control}" }
listeners: { web: { bind: ["127.0.0.1:0", "unix:${path}"], cluster: api } }
clusters: { api: { endpoints: ["127.0.0.1:${origin}"] } }
`;
}
