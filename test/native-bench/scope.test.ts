// What the harness leaves behind: nothing. Real processes, real signals; temporary folders are made below a folder of
// the test's own, so that whatever stays can be seen.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type TestContext, test } from 'node:test';
import { processTree } from '../../native-bench/host/accounting.ts';
import { findProgram } from '../../native-bench/host/machine.ts';
import { Scope } from '../../native-bench/host/scope.ts';
import { living, ownFolder, until } from './harness.ts';

const NOTHING = { taskset: null, setpriv: null };
const BENCH = join(import.meta.dirname, '../../native-bench');

/** Starts a child of its own and says both ids, then waits. */
const WITH_CHILD = `
  const { spawn } = require('node:child_process');
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'inherit' });
  process.on('SIGTERM', () => { child.kill(); process.exit(); });
  console.log('ready');
`;

/** Does not hear SIGTERM. */
const STUBBORN = `process.on('SIGTERM', () => {}); setInterval(() => {}, 1000); console.log('ready');`;

test('closing ends children, their children, and removes folders', async () => {
  const scope = new Scope(NOTHING);
  const folder = scope.folder();
  const child = scope.start('family', { command: process.execPath, args: ['-e', WITH_CHILD], cores: [] });
  await until(() => child.stdout.includes('ready') && processTree(child.pid).length === 2);
  const tree = processTree(child.pid);
  await scope.close();
  assert.deepEqual(tree.filter(living), []);
  assert.equal(existsSync(folder), false);
  assert.equal(child.running, false);
  assert.throws(() => scope.start('late', { command: process.execPath, args: [], cores: [] }), /over/);
  assert.throws(() => scope.folder(), /over/);
});

test('a child that does not hear is killed', async () => {
  const scope = new Scope(NOTHING, 50);
  const child = scope.start('stubborn', { command: process.execPath, args: ['-e', STUBBORN], cores: [] });
  await until(() => child.stdout.includes('ready'));
  await scope.stop(child);
  assert.equal(living(child.pid), false);
  await scope.close();
});

test('a program that cannot be started is named', async () => {
  const scope = new Scope(NOTHING);
  assert.throws(
    () => scope.start('ghost', { command: '/nonexistent/ghost', args: [], cores: [] }),
    /ghost: cannot start/,
  );
  await scope.close();
});

test('an uncaught error in the harness leaves neither process nor folder', async (t) => {
  const { pid, folder, harness } = await startHarness(t, `setTimeout(() => { throw new Error('broken'); });`);
  assert.deepEqual(await once(harness, 'close'), [1, null]);
  await until(() => !living(pid));
  assert.equal(existsSync(folder), false);
});

for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const) {
  test(`${signal} ends all that was started, then the harness with ${code}`, async (t) => {
    const { pid, folder, harness } = await startHarness(t, '');
    harness.kill(signal);
    assert.deepEqual(await once(harness, 'close'), [code, null]);
    assert.equal(living(pid), false);
    assert.equal(existsSync(folder), false);
  });
}

const setpriv = findProgram('setpriv');

test('children end even when the harness is killed outright', { skip: setpriv === null }, async (t) => {
  const { pid, harness } = await startHarness(t, '', setpriv);
  harness.kill('SIGKILL');
  await once(harness, 'close');
  await until(() => !living(pid));
});

/** A process that owns a scope with one child and one folder, as the benchmark does. `then` is run at its end. */
async function startHarness(
  t: TestContext,
  then: string,
  setprivPath: string | null = null,
): Promise<{ pid: number; folder: string; harness: ChildProcess }> {
  const launcher = JSON.stringify({ taskset: null, setpriv: setprivPath });
  const script = `
    import { closeOnSignals, Scope } from ${JSON.stringify(join(BENCH, 'host/scope.ts'))};
    const scope = new Scope(${launcher});
    closeOnSignals();
    const folder = scope.folder();
    const args = ['-e', "setInterval(() => {}, 1000); console.log('ready')"];
    const child = scope.start('child', { command: process.execPath, args, cores: [] });
    while (!child.stdout.includes('ready')) await new Promise((resolve) => setTimeout(resolve, 5));
    console.log(JSON.stringify({ pid: child.pid, folder }));
    ${then}
  `;
  const harness = spawn(process.execPath, ['--input-type=module', '-e', script], {
    env: { ...process.env, TMPDIR: ownFolder(t) },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  t.after(() => harness.kill('SIGKILL'));
  const [line] = (await once(createInterface({ input: harness.stdout }), 'line')) as [string];
  return { ...(JSON.parse(line) as { pid: number; folder: string }), harness };
}
