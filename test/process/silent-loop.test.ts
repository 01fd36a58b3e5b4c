// Totals while an event loop does not answer.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Admin } from '../support/admin.ts';
import { connectPeer } from '../support/peer.ts';
import { eventually, ROOT, startMillrace, temporaryFolder } from '../support/process.ts';

const TORMENTED = {
  command: [
    process.execPath,
    '--import',
    join(ROOT, 'test/support/torment.ts'),
    join(ROOT, 'test/support/supervised.ts'),
  ],
  cwd: ROOT,
} as const;
/** All of so many new connections come to one of two event loops once in thousands of millions of times. */
const REQUESTS = 32;
/** An event loop that does not answer is waited for no longer than this, by the proxy; one that does takes far less. */
const REPORT_MS = 1900;

test('what an event loop has counted is not missing from totals while it does not answer', async (t) => {
  const folder = temporaryFolder(t);
  const [file, hanging] = [join(folder, 'millrace.yaml'), join(folder, 'hanging')];
  execFileSync('mkfifo', [hanging]);
  writeFileSync(
    file,
    `
workers: 2
admin: { bind: "127.0.0.1:0" }
listeners: { web: { bind: "127.0.0.1:0", routes: [{ respond: { status: 200, body: hi } }] } }
`,
  );
  // It is not to be replaced while this test lasts.
  const proxy = startMillrace(t, [file, '600000'], {}, TORMENTED);
  const admin = await Admin.of(proxy);
  const port = await proxy.port('web');
  for (let count = 0; count < REQUESTS; count++) {
    const peer = await connectPeer(t, port);
    peer.send('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    assert.match(await peer.receiveAll(), /hi$/);
  }
  const exchanges = async (): Promise<number> => (await admin.status()).listeners[0]!.exchanges;
  await eventually(async () => (await exchanges()) === REQUESTS, 'all to be counted');
  proxy.process.stdin!.write(`hang 0 ${hanging}\n`);
  await eventually(async () => {
    const asked = performance.now();
    assert.equal(await exchanges(), REQUESTS);
    return performance.now() - asked > REPORT_MS;
  }, 'its silence');
});
