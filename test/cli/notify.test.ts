// What systemd is told, and in which order, by a program that stands for its own.

import assert from 'node:assert/strict';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { test } from 'node:test';
import { startMillrace, temporaryFolder } from '../support/process.ts';

test('a reload that a drain breaks off does not tell systemd that the proxy is ready', async (t) => {
  const folder = temporaryFolder(t);
  const [told, program, file] = ['told', 'systemd-notify', 'millrace.config.ts'].map((name) => join(folder, name));
  writeFileSync(program!, `#!/bin/sh\necho "$1" >> '${told}'\n`);
  chmodSync(program!, 0o755);
  // Its second reading never ends.
  writeFileSync(
    file!,
    `
const reads = ((globalThis as { reads?: number }).reads = ((globalThis as { reads?: number }).reads ?? 0) + 1);
if (reads > 1) {
  process.stderr.write('reads again\\n');
  await new Promise(() => {});
}
export default {
  workers: 1,
  listeners: { web: { bind: '127.0.0.1:0', routes: [{ respond: { status: 200, body: 'hi' } }] } },
};
`,
  );
  const proxy = startMillrace(t, ['run', '-c', file!], {
    NOTIFY_SOCKET: join(folder, 'nobody'),
    PATH: `${folder}${delimiter}${process.env['PATH']}`,
  });
  await proxy.port('web');
  proxy.kill('SIGHUP');
  await proxy.until(({ err }) => err.includes('reads again'), 'the reload');
  assert.equal(await proxy.end('SIGTERM'), 0, proxy.err);
  assert.deepEqual(readFileSync(told!, 'utf8').trim().split('\n'), ['READY=1', 'RELOADING=1', 'STOPPING=1']);
});
