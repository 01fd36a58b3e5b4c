// How many connections a process can hold: the figures, and what the log says of them.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { capacityOf } from '../../lib/server/capacity.ts';
import { type Program, ROOT, startProgram, temporaryFolder } from '../support/process.ts';

const WARNING = 'fewer descriptors than listeners may have connections';

test('a connection takes two descriptors, listeners are added up, and one without a limit wants any number', () => {
  const capacity = (connections: number[], descriptors: number): unknown[] => {
    const listeners = connections.map((most) => ({ limits: { connections: most } }) as never);
    const found = capacityOf(listeners, descriptors);
    return [found.connections, found.wanted, found.enough];
  };
  assert.deepEqual(capacity([], 1128), [500, 128, true]);
  assert.deepEqual(capacity([500], 1128), [500, 1128, true]);
  assert.deepEqual(capacity([501], 1128), [500, 1130, false]);
  assert.deepEqual(capacity([300, 300], 1128), [500, 1328, false]);
  assert.deepEqual(capacity([1, 0], 1128), [500, Number.POSITIVE_INFINITY, false]);
  assert.deepEqual(capacity([1], 100), [0, 130, false]);
});

test('the soft limit of descriptors is raised to the hard one at the start, and the capacity is that of the hard one', async (t) => {
  const proxy = start(t, documentOf(100), 'ulimit -Sn 256 && ulimit -Hn 900');
  assert.deepEqual(await capacityIn(proxy), { descriptors: 900, connections: 386 });
  assert.equal(await proxy.end('SIGTERM'), 0);
  assert.ok(!proxy.err.includes(WARNING));
});

test('fewer descriptors than all listeners may need are warned about, at the start and when a reload makes it worse', async (t) => {
  const file = join(temporaryFolder(t), 'millrace.yaml');
  writeFileSync(file, documentOf(300, 300));
  const proxy = start(t, file, 'ulimit -n 900');
  assert.deepEqual(await capacityIn(proxy), { descriptors: 900, connections: 386 });
  const warnings = (): unknown[] =>
    proxy.err.split('\n').flatMap((line) => (line.includes(WARNING) ? [JSON.parse(line).wanted] : []));
  await proxy.until(() => warnings().length === 1, 'the warning');
  let reloads = 0;
  const reload = async (...limits: number[]): Promise<void> => {
    writeFileSync(file, documentOf(...limits));
    proxy.kill('SIGHUP');
    reloads++;
    await proxy.until(({ err }) => err.split('"message":"reloaded"').length === reloads + 1, 'the reload');
  };
  await reload(300, 200);
  await reload(10, 10);
  await reload(400, 10);
  await reload(10, 0);
  assert.deepEqual(warnings(), [1328, 948, 'no limit']);
});

/** `workers: 0`, with a listener for each of these limits. */
function documentOf(...limits: number[]): string {
  const listeners = limits.map(
    (limit, at) => `  l${at}: { bind: "127.0.0.1:0", limits: { connections: ${limit} }, routes: [{ respond: {} }] }\n`,
  );
  return `workers: 0\nlisteners:\n${listeners.join('')}`;
}

/** Under limits of descriptors that a shell sets; `document` is one, or its file. */
function start(t: TestContext, document: string, limits: string): Program {
  let file = document;
  if (document.includes('\n')) {
    file = join(temporaryFolder(t), 'millrace.yaml');
    writeFileSync(file, document);
  }
  const command = `${limits} && exec "$0" "$@"`;
  return startProgram(t, 'bash', ['-c', command, process.execPath, join(ROOT, 'lib/cli/main.ts'), 'run', '-c', file]);
}

async function capacityIn(proxy: Program): Promise<{ descriptors: number; connections: number }> {
  const pattern = /"message":"capacity","workers":0,"descriptors":(\d+),"connections":(\d+)/;
  await proxy.until(({ err }) => pattern.test(err), 'its capacity');
  const [, descriptors, connections] = pattern.exec(proxy.err)!.map(Number);
  return { descriptors: descriptors!, connections: connections! };
}
