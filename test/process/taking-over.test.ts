// An event loop of a successor that dies after it was given sockets and before it accepts there.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { SOCKETS_VARIABLE } from '../../lib/process/inheritance.ts';
import { ROOT, startMillrace, temporaryFolder } from '../support/process.ts';

const DYING = {
  command: [process.execPath, '--import', join(ROOT, 'test/support/dying.ts'), join(ROOT, 'lib/cli/main.ts')],
  cwd: ROOT,
} as const;

test('a successor whose event loop dies before it accepts fails, and leaves paths to its predecessor', async (t) => {
  const folder = temporaryFolder(t);
  const [file, path] = [join(folder, 'millrace.yaml'), join(folder, 'web.sock')];
  writeFileSync(
    file,
    `workers: 2\nlisteners: { web: { bind: "unix:${path}", routes: [{ respond: { status: 200 } }] } }\n`,
  );
  const predecessor = createServer().listen(path);
  t.after(() => predecessor.close());
  await once(predecessor, 'listening');
  const { fd } = (predecessor as unknown as { _handle: { fd: number } })._handle;
  const sockets = JSON.stringify({ [`unix:${path}`]: { bound: `unix:${path}`, descriptors: [3] } });
  // Also the other one, which goes over, must not take anything away.
  for (const place of [0, 1]) {
    const env = { [SOCKETS_VARIABLE]: sockets, DYING: String(place) };
    const successor = startMillrace(t, ['run', '-c', file], env, DYING, [fd]);
    assert.equal(await successor.ended, 1, successor.err);
    assert.match(successor.err, /an event loop has failed while it took over listening sockets/);
    assert.ok(existsSync(path), 'the path is gone');
  }
});
