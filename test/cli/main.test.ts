// The real command line in its own process: usage, results, diagnostics and exit codes.

// biome-ignore-all lint/suspicious/noTemplateCurlyInString: that is how configurations name variables

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../lib/cli/main.ts', import.meta.url));
const FIXTURES = fileURLToPath(new URL('../../fixtures/config/', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'millrace-cli-'));
after(() => rmSync(folder, { recursive: true }));

const VALID =
  '{ listeners: { web: { bind: "127.0.0.1:0", cluster: app } }, clusters: { app: { endpoints: ["127.0.0.1:1"] } } }';

interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

function millrace(
  args: readonly string[],
  options: { cwd?: string; env?: Record<string, string> } = {},
): Promise<Ended> {
  return new Promise((resolve) => {
    const env = { PATH: process.env['PATH'], ...options.env };
    execFile(process.execPath, [MAIN, ...args], { cwd: options.cwd ?? folder, env }, (error, out, err) =>
      resolve({ code: typeof error?.code === 'number' ? error.code : error === null ? 0 : -1, out, err }),
    );
  });
}

test('version and help are results: on standard output, with exit code 0', async () => {
  const version = await millrace(['version']);
  assert.deepEqual([version.code, version.err], [0, '']);
  assert.match(version.out, /^millrace \d+\.\d+\.\d+ \(Node \d+\.\d+\.\d+\)\n$/);
  assert.equal((await millrace(['--version'])).out, version.out);
  const help = await millrace(['--help']);
  assert.deepEqual([help.code, help.err], [0, '']);
  for (const word of ['run', 'demo', 'http FROM TO...', 'tcp FROM TO...', 'check', 'version', 'Exit codes']) {
    assert.ok(help.out.includes(word), word);
  }
});

test('a command without a name shows the help as a diagnostic, with exit code 2', async () => {
  const { code, out, err } = await millrace([]);
  assert.deepEqual([code, out], [2, '']);
  assert.match(err, /Usage: millrace COMMAND/);
});

test('what is mistyped is answered with the nearest name and exit code 2', async () => {
  const cases: [string[], RegExp][] = [
    [['chekc'], /unknown command "chekc"; did you mean "check"\?\nTry: millrace --help/],
    [['xyzzy'], /unknown command "xyzzy"\n/],
    [['--hlep'], /unknown option "--hlep"/],
    [['constructor'], /unknown command "constructor"/],
    [['check', '--confgi', 'x'], /unknown option "--confgi"; did you mean "--config"\?/],
    [['check', '-x'], /unknown option "-x"/],
    [['check', '-c'], /-c needs a value: -c FILE/],
    [['check', '-c', 'a', '-c', 'b'], /-c is given twice/],
    [['check', '--help=x'], /--help takes no value/],
    [['check', 'file.yaml'], /unexpected argument "file.yaml"; write: millrace check \[-c FILE\]/],
    [['check', '--log', 'xml'], /--log: "xml" is not text, json or a level/],
    [['version', 'x'], /unexpected argument "x"/],
  ];
  for (const [args, wanted] of cases) {
    const { code, out, err } = await millrace(args);
    assert.deepEqual([args, code, out], [args, 2, '']);
    assert.match(err, wanted);
  }
});

test('commands that are planned say that they are not supported yet', async () => {
  for (const name of ['forward', 'top']) {
    const { code, err } = await millrace([name, 'x']);
    assert.equal(code, 2);
    assert.match(err, new RegExp(`"${name}" is not supported yet`));
  }
});

test('check tells a valid configuration by a line on standard output', async () => {
  writeFileSync(join(folder, 'good.yaml'), VALID);
  assert.deepEqual(await millrace(['check', '-c', 'good.yaml']), {
    code: 0,
    out: 'good.yaml is valid: 1 listener, 1 cluster\n',
    err: '',
  });
});

test('check substitutes its own environment', async () => {
  writeFileSync(join(folder, 'env.yaml'), VALID.replace('127.0.0.1:0', '127.0.0.1:${PORT}'));
  assert.equal((await millrace(['check', '-c', 'env.yaml'], { env: { PORT: '80' } })).code, 0);
  assert.match(
    (await millrace(['check', '-c', 'env.yaml'])).err,
    /^env\.yaml:1:29: listeners\.web\.bind: .*PORT is not set/,
  );
});

test('check prints every error as FILE:LINE:COLUMN on standard error and ends with 2', async () => {
  const { code, out, err } = await millrace(['check', '-c', join(FIXTURES, 'references.yaml')]);
  assert.deepEqual([code, out], [2, '']);
  const lines = err.trimEnd().split('\n');
  assert.ok(lines.length > 15);
  for (const line of lines) assert.match(line, /references\.yaml:\d+:\d+: [a-z][^:]*: ./);
});

test('check with --log json gives one object for each error', async () => {
  const { code, err } = await millrace(['check', '-c', join(FIXTURES, 'unknown-keys.yaml'), '--log', 'json']);
  assert.equal(code, 2);
  const first = JSON.parse(err.split('\n')[0]!);
  assert.deepEqual([first.level, first.line, first.column, first.path], ['error', 1, 1, 'listenrs']);
});

test('check warns without failing', async () => {
  writeFileSync(join(folder, 'odd.yaml'), `${VALID.slice(0, -3)}, spare: { endpoints: ["127.0.0.1:2"] } } }`);
  const { code, out, err } = await millrace(['check', '-c', 'odd.yaml']);
  assert.equal(code, 0);
  assert.match(out, /is valid/);
  assert.match(err, /^odd\.yaml:1:\d+: clusters\.spare: warning: is not used by any listener\n$/);
});

test('the configuration is found in ./millrace.yaml, then ./millrace.config.ts', async () => {
  const cwd = mkdtempSync(join(folder, 'cwd-'));
  const none = await millrace(['check'], { cwd });
  assert.equal(none.code, 2);
  assert.match(
    none.err,
    /there is no \.\/millrace\.yaml or \.\/millrace\.config\.ts here; name a configuration with -c FILE/,
  );
  writeFileSync(join(cwd, 'millrace.config.ts'), `export default ${VALID.replace(/app(?= })/, '"app"')} as object;`);
  assert.match((await millrace(['check'], { cwd })).out, /^\.\/millrace\.config\.ts is valid/);
  writeFileSync(join(cwd, 'millrace.yaml'), VALID);
  assert.match((await millrace(['check'], { cwd })).out, /^\.\/millrace\.yaml is valid/);
  assert.match(
    (await millrace(['check', '-c', 'nowhere.yaml'], { cwd })).err,
    /^nowhere\.yaml: there is no such file\n$/,
  );
});
