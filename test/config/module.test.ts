// Configurations that are modules, which stand outside of any project that has Millrace among its packages.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { importDocument } from '../../lib/config/module.ts';
import { temporaryFolder } from '../support/process.ts';

test('defineConfig can be imported where no package is installed, also by what the module imports', async (t) => {
  const file = write(t, 'export default defineConfig({ listeners: rest });', "import rest from './rest.ts';\n");
  writeFileSync(join(file, '../rest.ts'), `${IMPORT}export default defineConfig({ listeners: {} } as never);\n`);
  assert.deepEqual(await importDocument(file), { listeners: { listeners: {} } });
});

test('other packages that are missing stay missing, during an import and after it', async (t) => {
  await assert.rejects(importDocument(write(t, "import 'millrace-plugin';")), /Cannot find package 'millrace-plugin'/);
  const file = write(t, 'export default 1;');
  await assert.rejects(import(file), /Cannot find package 'millrace'/);
});

test('a module without a default export gives nothing', async (t) => {
  assert.equal(await importDocument(write(t, 'export const x = defineConfig({ listeners: {} });')), undefined);
});

const IMPORT = "import { defineConfig } from 'millrace';\n";

function write(t: TestContext, text: string, before = ''): string {
  const file = join(temporaryFolder(t), 'millrace.config.ts');
  writeFileSync(file, `${IMPORT}${before}${text}\n`);
  return file;
}
