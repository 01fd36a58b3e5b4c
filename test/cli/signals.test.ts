// Signals at awkward moments: before there is a proxy, and while something hangs that it waits for.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { connectPeer } from '../support/peer.ts';
import { type Millrace, startMillrace, temporaryFolder } from '../support/process.ts';

test('before there is a proxy, SIGHUP ends nothing and SIGTERM ends it with 0', async (t) => {
  const proxy = startHanging(t, 1);
  await proxy.until(({ err }) => err.includes('read 1'), 'the first read');
  proxy.kill('SIGHUP');
  assert.equal(await proxy.end('SIGTERM'), 0, proxy.err);
  assert.doesNotMatch(proxy.err, /"listening"/);
});

test('a SIGHUP that comes before there is a proxy reloads it once there is one', async (t) => {
  const proxy = startHanging(t, 3, 'await new Promise((resolve) => process.once("SIGHUP", resolve));');
  await proxy.until(({ err }) => err.includes('read 1'), 'the first read');
  proxy.kill('SIGHUP');
  await proxy.until(({ err }) => err.includes('read 2'), 'the second read');
  proxy.kill('SIGKILL');
});

test('a reload that hangs holds up no drain', async (t) => {
  const proxy = startHanging(t, 2);
  await proxy.port('web');
  proxy.kill('SIGHUP');
  await proxy.until(({ err }) => err.includes('read 2'), 'the second read');
  assert.equal(await proxy.end('SIGTERM'), 0, proxy.err);
  assert.match(proxy.err, /"drained"/);
});

test('a second SIGTERM ends a proxy whose reload hangs and whose clients stay', async (t) => {
  const proxy = startHanging(t, 2);
  const client = await connectPeer(t, await proxy.port('web'));
  client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n');
  proxy.kill('SIGHUP');
  await proxy.until(({ err }) => err.includes('read 2'), 'the second read');
  proxy.kill('SIGTERM');
  await proxy.until(({ err }) => err.includes('"draining"'), 'the drain');
  assert.equal(await proxy.end('SIGTERM'), 1, proxy.err);
});

test('a file that is never read holds up no end', async (t) => {
  const file = join(temporaryFolder(t), 'millrace.yaml');
  writeFileSync(file, `workers: 0\nlisteners: { web: { bind: "127.0.0.1:0", ${RESPOND} } }\n`);
  const proxy = startMillrace(t, ['run', '-c', file, '--log', 'json,debug']);
  await proxy.port('web');
  rmSync(file);
  execFileSync('mkfifo', [file]);
  proxy.kill('SIGHUP');
  // Of the same kind, so the first has been seen by then.
  proxy.kill('SIGUSR2');
  await proxy.until(({ err }) => err.includes('SIGUSR2'), 'its word');
  // exit(3) would wait for the thread that opens it.
  assert.equal(await proxy.end('SIGTERM'), 'SIGKILL', proxy.err);
  assert.match(proxy.err, /"drained"/);
});

const RESPOND = 'routes: [{ respond: { status: 200, body: hi } }]';

/** A proxy that says how often it reads its configuration, and never comes to the end of read number `last`. */
function startHanging(t: TestContext, last: number, first = ''): Millrace {
  const file = join(temporaryFolder(t), 'millrace.config.ts');
  writeFileSync(
    file,
    `
const reads = ((globalThis as { reads?: number }).reads = ((globalThis as { reads?: number }).reads ?? 0) + 1);
process.stderr.write(\`read \${reads}\\n\`);
if (reads === 1) { ${first} }
if (reads >= ${last}) await new Promise(() => {});
export default {
  workers: 1,
  listeners: { web: { bind: '127.0.0.1:0', routes: [{ respond: { status: 200, body: 'hi' } }] } },
};
`,
  );
  return startMillrace(t, ['run', '-c', file]);
}
