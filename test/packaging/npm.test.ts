// The npm package: packed from a copy of the checkout, installed into a folder of its own, and used from there.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import { type Form, Program, ROOT, run, startMillrace } from '../support/process.ts';

const folder = mkdtempSync(join(tmpdir(), 'millrace-npm-'));
const checkout = join(folder, 'checkout');
const user = join(folder, 'user');
const FORM: Form = { command: [join(user, 'node_modules/.bin/millrace')], cwd: user };
/** What a user has who meets `engines`: this Node before the one of the machine. */
const RUNTIME = { PATH: `${dirname(process.execPath)}${delimiter}${process.env['PATH']}` };

before(async () => {
  // A copy, since package.json is another one while npm packs.
  const files = [
    'lib',
    'native-bench',
    'packaging',
    'docs/reference',
    'package.json',
    'tsconfig.json',
    'README.md',
    'LICENSE',
    'CHANGELOG.md',
  ];
  for (const file of files) cpSync(join(ROOT, file), join(checkout, file), { recursive: true });
  symlinkSync(join(ROOT, 'node_modules'), join(checkout, 'node_modules'));
  await npm(checkout, 'pack', '--silent', '--pack-destination', folder);
  mkdirSync(user);
  // What it depends on is there already, of the very versions that it asks for: no registry is needed.
  const { dependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  const there = Object.keys(dependencies).map((name) => [name, `file:${join(ROOT, 'node_modules', name)}`]);
  const manifest = { private: true, type: 'module', dependencies: Object.fromEntries(there) };
  writeFileSync(join(user, 'package.json'), JSON.stringify(manifest));
  await npm(user, 'install', '--offline', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error', tarball());
});
after(() => rmSync(folder, { recursive: true, force: true }));

test('packing leaves the checkout as it was', () => {
  assert.equal(readFileSync(join(checkout, 'package.json'), 'utf8'), readFileSync(join(ROOT, 'package.json'), 'utf8'));
});

test('the package has compiled files and types, and nothing that is for developing it', () => {
  const at = join(user, 'node_modules/millrace');
  const files = globSync('**/*.*', { cwd: at });
  const kinds = new Set(files.map((file) => /(\.d)?\.[^./]+$/.exec(file)![0]));
  assert.deepEqual(kinds, new Set(['.js', '.d.ts', '.json', '.md', '.conf', '.cfg', '.vcl', '.yaml', '.lua']));
  assert.deepEqual(
    files.filter((file) => /(^|\/)(test|fixtures|packaging|results|micro|soak|chaos)\//.test(file)),
    [],
  );
  const manifest = JSON.parse(readFileSync(join(at, 'package.json'), 'utf8')) as Record<string, unknown>;
  for (const key of ['private', 'scripts', 'devDependencies', 'allowScripts'])
    assert.equal(manifest[key], undefined, key);
  const installed = globSync('*', { cwd: join(user, 'node_modules') }).sort();
  assert.deepEqual(installed, ['millrace', ...Object.keys(manifest['dependencies'] as object)].sort());
});

test('the installed command says its version, checks, and finds its benchmark', async (t) => {
  assert.match((await said(t, ['version'])).out, /^millrace \d+\.\d+\.\d+ \(Node 24\./);
  assert.match((await said(t, ['bench', '--list'])).out, /^ {2}http-small: /m);
  assert.match((await said(t, ['bench', '--publish'])).err, /--publish: runs are kept in a checkout/);
  assert.equal((await said(t, ['nonsense'])).code, 2);
});

test('a Node that is too old is told so', { skip: oldNode() === null && 'there is no older Node here' }, async (t) => {
  const { code, err } = await run(t, oldNode()!, [FORM.command[0], 'version']);
  assert.equal(code, 1);
  assert.match(err, /^millrace: needs Node 24 or newer; this is Node \d+/);
});

test('the installed command proxies what a configuration in TypeScript tells it to', async (t) => {
  const web = createServer((request, response) => response.end(`origin ${request.url}`)).listen(0, '127.0.0.1');
  t.after(() => web.close());
  await once(web, 'listening');
  const { port } = web.address() as AddressInfo;
  writeFileSync(
    join(user, 'millrace.config.ts'),
    `import { defineConfig } from 'millrace';
const origin: string = '127.0.0.1:${port}';
export default defineConfig({
  listeners: { web: { bind: '127.0.0.1:0', cluster: 'app' } },
  clusters: { app: { endpoints: [origin] } },
});
`,
  );
  const proxy = startMillrace(t, ['run'], RUNTIME, FORM);
  assert.equal(await (await fetch(`http://${await proxy.address('web')}/path`)).text(), 'origin /path');
  assert.equal(await proxy.end('SIGTERM'), 0, proxy.err);
});

test('its threads are compiled files too', async (t) => {
  const program = join(user, 'thread.js');
  writeFileSync(
    program,
    `import { startThread } from './node_modules/millrace/dist/npm/lib/base/asset.js';
const thread = startThread('native-bench/load/generator/main', { workerData: {} });
thread.once('error', (error) => console.log('thread:', error.message));
`,
  );
  // Given nothing to do it fails, which shows that it ran.
  const { out, err } = await run(t, process.execPath, [program]);
  assert.match(out, /^thread: Cannot read properties of undefined/, err);
});

test('programs that import it are checked against its types', async (t) => {
  const file = join(user, 'program.ts');
  writeFileSync(
    file,
    `import { type ConfigurationDocument, ConfigurationError, createProxy, defineConfig, type RunningProxy } from 'millrace';
const document: ConfigurationDocument = { listeners: { web: { bind: ':80', cluster: 'a' } } };
export default defineConfig({ ...document, clusters: { a: { endpoints: ['127.0.0.1:1'] } } });
// @ts-expect-error: no such key
defineConfig({ listeners: {}, clutsers: {} });
const proxy: RunningProxy = await createProxy(document, { log: (level, message) => console.log(level, message) });
proxy.on('configured', (generation: number) => console.log(generation));
// @ts-expect-error: no such event
proxy.on('begun', () => {});
const ended: string = await proxy.drain().catch((error) => (error instanceof ConfigurationError ? error.message : ''));
console.log(ended);
// @ts-expect-error: not a number
defineConfig({ listeners: { web: { bind: 80 } } });
`,
  );
  const tsc = join(ROOT, 'node_modules/typescript/lib/tsc.js');
  // What a project on Node with TypeScript has.
  for (const types of ['@types/node', 'undici-types']) {
    mkdirSync(dirname(join(user, 'node_modules', types)), { recursive: true });
    symlinkSync(join(ROOT, 'node_modules', types), join(user, 'node_modules', types));
  }
  // With the declarations themselves checked.
  const options = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'esnext', '--types', 'node'];
  const program = new Program(process.execPath, [tsc, ...options, file], {}, user);
  assert.equal(await program.ended, 0, program.out + program.err);
  t.diagnostic('types are whole');
});

/** The Node of the machine, if it can load the command at all but is not ours. */
function oldNode(): string | null {
  const found = (process.env['PATH'] ?? '').split(delimiter).map((at) => join(at, 'node'));
  const versions = found.filter((file) => existsSync(file)).map((file) => ({ file, major: majorOf(file) }));
  return versions.find(({ major }) => major >= 20 && major < 24)?.file ?? null;
}

function majorOf(node: string): number {
  return Number(/\d+/.exec(spawnSync(node, ['--version'], { encoding: 'utf8' }).stdout)?.[0]);
}

function tarball(): string {
  return join(folder, globSync('millrace-*.tgz', { cwd: folder })[0]!);
}

async function npm(cwd: string, ...args: readonly string[]): Promise<void> {
  const program = new Program('npm', args, { HOME: process.env['HOME'] ?? folder }, cwd);
  assert.equal(await program.ended, 0, `npm ${args[0]}: ${program.out}${program.err}`);
}

async function said(
  t: TestContext,
  args: readonly string[],
): Promise<{ code: number | string; out: string; err: string }> {
  const program = startMillrace(t, args, RUNTIME, FORM);
  const code = await program.ended;
  return { code, out: program.out, err: program.err };
}
