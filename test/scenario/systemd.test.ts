// What systemd sees of the proxy: sockets that it hands over, and messages of its state. systemd's own program sends them; a
// few lines of Python stand in for the service manager, since Node has no datagrams over unix sockets.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Admin } from '../support/admin.ts';
import { connectPeer } from '../support/peer.ts';
import {
  eventually,
  findProgram,
  type Program,
  startMillrace,
  startProgram,
  temporaryFolder,
} from '../support/process.ts';

const python = findProgram('python3', 'python3');
const notify = findProgram('systemd-notify', 'systemd');
const withBoth = { skip: python === null || notify === null };

const MANAGER = `
import os, socket, sys
heard = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
heard.bind(sys.argv[1])
print("bound", flush=True)
while True:
    words = heard.recv(4096).decode().split("\\n")
    # systemd-notify waits until its messages have been read: for this one to be taken off.
    if words != ["BARRIER=1"]:
        print("|".join(words), flush=True)
`;

test('systemd is told of readiness, reloads, life, and of the end', withBoth, async (t) => {
  const manager = await startManager(t);
  const { document, file } = configuration(t);
  const proxy = startMillrace(t, ['run', '-c', file], { NOTIFY_SOCKET: manager.socket, WATCHDOG_USEC: '400000' });
  await heard(manager.program, /^READY=1\|MAINPID=(\d+)\|STATUS=serving, configuration 1$/m);
  assert.match(manager.program.out, new RegExp(`MAINPID=${proxy.pid}\\|`));
  await heard(manager.program, /^WATCHDOG=1\nWATCHDOG=1$/m);
  writeFileSync(file, document('second'));
  proxy.kill('SIGHUP');
  await heard(
    manager.program,
    /^RELOADING=1\|MONOTONIC_USEC=\d+\n(WATCHDOG=1\n)*READY=1\|MAINPID=\d+\|STATUS=serving, configuration 2$/m,
  );
  // One that fails is over all the same.
  writeFileSync(file, 'nonsense');
  proxy.kill('SIGHUP');
  await eventually(() => manager.program.out.split('RELOADING=1').length === 3, 'the second reload');
  await eventually(() => manager.program.out.split('configuration 2').length === 3, 'its end');
  assert.equal(await proxy.end('SIGTERM'), 0);
  assert.match(manager.program.out, /^STOPPING=1\|STATUS=draining$/m);
});

test('a watchdog of another process is not shown life', withBoth, async (t) => {
  const manager = await startManager(t);
  const { file } = configuration(t);
  const proxy = startMillrace(t, ['run', '-c', file], {
    NOTIFY_SOCKET: manager.socket,
    WATCHDOG_USEC: '20000',
    WATCHDOG_PID: '1',
  });
  await heard(manager.program, /^READY=1/m);
  assert.equal(await proxy.end('SIGTERM'), 0);
  assert.doesNotMatch(manager.program.out, /WATCHDOG=1/);
});

test(
  'a successor becomes the main process, shows life, and nobody says that the service stops',
  withBoth,
  async (t) => {
    const manager = await startManager(t);
    const { file } = configuration(t, 'fd:3');
    const { port, descriptor, close } = await listening();
    // As systemd starts it: the id is that of the process that it is for. Node cannot tell it beforehand, so it is left out.
    const given = { NOTIFY_SOCKET: manager.socket, WATCHDOG_USEC: '400000', LISTEN_FDS: '1' };
    const proxy = startMillrace(t, ['run', '-c', file], given, undefined, [descriptor]);
    close();
    await heard(manager.program, /^READY=1/m);
    assert.equal(await version(t, port), 'first');
    const exited = once(proxy.process, 'exit');
    const admin = await Admin.of(proxy);
    const { status, body } = await admin.post('/v1/upgrade');
    assert.equal(status, 200, JSON.stringify(body));
    proxy.successors.push(body.pid);
    await heard(manager.program, new RegExp(`^READY=1\\|MAINPID=${body.pid}\\|`, 'm'));
    assert.deepEqual(await exited, [0, null]);
    const said = manager.program.out.length;
    await eventually(() => manager.program.out.slice(said).includes('WATCHDOG=1\nWATCHDOG=1'), 'life of the successor');
    assert.doesNotMatch(manager.program.out, /STOPPING=1/);
    assert.equal(await version(t, port), 'first');
    process.kill(body.pid, 'SIGTERM');
    await heard(manager.program, /^STOPPING=1/m);
    await proxy.ended;
  },
);

test('a socket that is handed over is listened at, before the proxy serves too', async (t) => {
  const { file } = configuration(t, 'fd:3');
  const { port, descriptor, close } = await listening();
  const proxy = startMillrace(t, ['run', '-c', file], { LISTEN_FDS: '1' }, undefined, [descriptor]);
  close();
  // Nobody accepts yet: it waits in the queue that systemd would have opened at boot.
  const [early, late] = [await version(t, port), await proxy.address('web').then(() => version(t, port))];
  assert.deepEqual([early, late], ['first', 'first']);
  proxy.kill('SIGHUP');
  await proxy.until(({ err }) => err.includes('reloaded: nothing has changed'), 'the reload');
  assert.equal(await version(t, port), 'first');
  assert.equal(await proxy.end('SIGTERM'), 0);
  await assert.rejects(connectPeer(t, port), { code: 'ECONNREFUSED' });
});

test('a manager that does not answer, and a program that is missing, are told in the log and change nothing', async (t) => {
  const { file } = configuration(t);
  const proxy = startMillrace(t, ['run', '-c', file], {
    NOTIFY_SOCKET: join(temporaryFolder(t), 'nobody'),
    PATH: '/nowhere',
  });
  await proxy.until(({ err }) => err.includes('systemd was not told'), 'its complaint');
  assert.equal(await version(t, await proxy.port('web')), 'first');
  assert.equal(await proxy.end('SIGTERM'), 0);
});

function configuration(t: TestContext, bind = '127.0.0.1:0'): { file: string; document(version: string): string } {
  const file = join(temporaryFolder(t), 'millrace.yaml');
  const document = (version: string): string => `
workers: 1
admin: { bind: "127.0.0.1:0" }
listeners: { web: { bind: "${bind}", routes: [{ respond: { status: 200, body: ${version} } }] } }
`;
  writeFileSync(file, document('first'));
  return { file, document };
}

/** Prints each message on a line of its own. */
async function startManager(t: TestContext): Promise<{ program: Program; socket: string }> {
  const socket = join(temporaryFolder(t), 'notify');
  const program = startProgram(t, python!, ['-c', MANAGER, socket]);
  await program.until(({ out }) => out.includes('bound'), 'its socket');
  return { program, socket };
}

async function heard(manager: Program, pattern: RegExp): Promise<void> {
  await manager.until(({ out }) => pattern.test(out), String(pattern));
}

/** A listening socket to hand over; to be closed here once that is done. */
async function listening(): Promise<{ port: number; descriptor: number; close(): void }> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { _handle } = server as unknown as { _handle: { fd: number } };
  return { port: (server.address() as AddressInfo).port, descriptor: _handle.fd, close: () => void server.close() };
}

async function version(t: TestContext, port: number): Promise<string> {
  const peer = await connectPeer(t, port);
  peer.send('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
  const text = await peer.receiveAll();
  peer.end();
  return text.slice(text.indexOf('\r\n\r\n') + 4);
}
