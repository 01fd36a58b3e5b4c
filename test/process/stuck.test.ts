// An event loop that waits for a file system that does not answer, for which a file stands that nobody writes to. Not even
// the end of its thread, or of the process, gets it out of there.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, constants, openSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Certificates } from '../support/certificates.ts';
import { eventually, ROOT, startMillrace, startProgram, temporaryFolder } from '../support/process.ts';

test('an event loop that cannot be ended ends the process as a failure, once the others have drained', async (t) => {
  const folder = temporaryFolder(t);
  const file = join(folder, 'millrace.yaml');
  writeFileSync(
    file,
    'workers: 2\nlisteners: { web: { bind: "127.0.0.1:0", routes: [{ respond: { status: 200 } }] } }\n',
  );
  const program = startProgram(t, process.execPath, [
    '--import',
    join(ROOT, 'test/support/torment.ts'),
    join(ROOT, 'test/support/supervised.ts'),
    file,
    '1000',
  ]);
  await program.until(({ err }) => err.includes('"listening"'), 'its listener');
  const hanging = nobodyWrites(folder);
  program.process.stdin!.write(`hang 1 ${hanging}\n`);
  assert.equal(await program.ended, 'SIGKILL', program.err);
  assert.match(program.err, /"event loop is lost with its connections","worker":1,"cause":"does not turn"/);
  assert.match(program.err, /cannot be ended: ending","worker":1/);
  assert.match(program.err, /"drained"/);
});

test('a second SIGTERM ends a process whose event loop waits for a file', async (t) => {
  const certificates = new Certificates(t);
  const { certFile, keyFile } = certificates.leaf(['a.test']);
  const file = join(certificates.folder, 'millrace.yaml');
  const tls = `tls: { certificates: [{ cert: "${certFile}", key: "${keyFile}" }] }`;
  writeFileSync(
    file,
    `workers: 1\nlisteners: { web: { bind: "127.0.0.1:0", ${tls}, routes: [{ respond: { status: 200 } }] } }\n`,
  );
  const proxy = startMillrace(t, ['run', '-c', file]);
  await proxy.address('web');
  renameSync(nobodyWrites(certificates.folder), certFile);
  await waitedFor(t, certFile);
  proxy.kill('SIGTERM');
  await proxy.until(({ err }) => err.includes('"draining"'), 'the drain');
  assert.equal(await proxy.end('SIGTERM'), 'SIGKILL', proxy.err);
});

function nobodyWrites(folder: string): string {
  const file = join(folder, 'hanging');
  execFileSync('mkfifo', [file]);
  return file;
}

/** Resolves once somebody has opened the file, and waits for what is never written. */
async function waitedFor(t: TestContext, file: string): Promise<void> {
  await eventually(() => {
    try {
      const descriptor = openSync(file, constants.O_WRONLY | constants.O_NONBLOCK);
      t.after(() => closeSync(descriptor));
      return true;
    } catch {
      // ENXIO: nobody reads.
      return false;
    }
  }, 'a reader');
}
