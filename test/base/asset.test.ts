// Files, threads and processes of the program as they are found in a checkout; test/packaging has the other two forms.

import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  BUNDLED,
  callAgain,
  callProgram,
  callWithin,
  ROOT,
  readAsset,
  runCalled,
  startThread,
} from '../../lib/base/asset.ts';
import { ASSETS, PROGRAMS } from '../../packaging/contents.ts';

test('a file is found by its path from the top, wherever the process stands', () => {
  assert.equal(BUNDLED, false);
  assert.equal(
    readAsset('native-bench/origin/nginx.conf'),
    readFileSync(join(ROOT, 'native-bench/origin/nginx.conf'), 'utf8'),
  );
  assert.throws(() => readAsset('native-bench/nothing'), /ENOENT/);
});

test('a thread runs the program of that name, with what it is given', async () => {
  const thread = startThread('native-bench/load/generator/main', { workerData: {} });
  // Given nothing to do it fails, which shows that it ran.
  const [error] = await new Promise<Error[]>((resolve) => thread.once('error', (...given) => resolve(given)));
  assert.match(String(error), /Cannot read properties of undefined/);
});

test('a program is called by Node from its file, and from within the executable by its name', () => {
  const { command, args } = callProgram('native-bench/origin/own/main', ['80'], 'native-bench/host/gc-probe');
  assert.equal(command, process.execPath);
  const file = (name: string): string => join(ROOT, `${name}.ts`);
  assert.deepEqual(args, ['--import', file('native-bench/host/gc-probe'), file('native-bench/origin/own/main'), '80']);
  assert.deepEqual(callWithin('native-bench/origin/own/main', ['80']), [
    '--program',
    'native-bench/origin/own/main',
    '80',
  ]);
  assert.deepEqual(callWithin('lib/cli/main', ['run'], 'a'), ['--first', 'a', 'run']);
  assert.deepEqual(callAgain().args.slice(-process.argv.length + 1), process.argv.slice(1));
  // Only the executable is called like that.
  assert.equal(runCalled(), false);
});

test('what is packed for these is there, and every such name in the sources is packed', () => {
  for (const pattern of ASSETS) assert.ok(globSync(pattern, { cwd: ROOT }).length > 0, pattern);
  const used = new Set<string>();
  for (const file of globSync(['lib/**/*.ts', 'native-bench/**/*.ts'], { cwd: ROOT })) {
    const text = readFileSync(join(ROOT, file), 'utf8');
    for (const [, name] of text.matchAll(/(?:startThread\(|callProgram\(|(?:PROGRAM|PROBE) = )'([\w-]+\/[^']+)'/g))
      used.add(name!);
  }
  assert.ok(used.size > 3);
  for (const name of used) {
    assert.ok(existsSync(join(ROOT, `${name}.ts`)), name);
    assert.ok(PROGRAMS.includes(name), `${name} is not in packaging/contents.ts`);
  }
});
