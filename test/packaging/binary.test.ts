// The single executable, and what is made from it: the Debian package and the files of the container image. It is built anew into
// a folder of its own and then used as on a machine that has neither Node nor this checkout.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { globSync, lstatSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { type AddressInfo, connect, createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import { DockerfileParser } from 'dockerfile-ast';
import { connectPeer } from '../support/peer.ts';
import {
  eventually,
  type Form,
  findProgram,
  freePort,
  type Program,
  ROOT,
  run,
  startMillrace,
  startProgram,
  temporaryFolder,
} from '../support/process.ts';

const elsewhere = mkdtempSync(join(tmpdir(), 'millrace-binary-'));
const BINARY = join(elsewhere, 'millrace');
const FORM: Form = { command: [BINARY], cwd: elsewhere };
/** Nothing to find a Node by, or anything else. */
const BARE = { PATH: '' };

before(async (t) => {
  const { code, out, err } = await run(t as TestContext, process.execPath, ['packaging/binary.ts', BINARY]);
  assert.equal(code, 0, err);
  t.diagnostic?.(out.trim());
});
after(() => rmSync(elsewhere, { recursive: true, force: true }));

test('the same sources make the same executable, byte by byte', async (t) => {
  const again = join(elsewhere, 'again');
  assert.equal((await run(t, process.execPath, ['packaging/binary.ts', again])).code, 0);
  assert.equal(digest(again), digest(BINARY));
  rmSync(again);
  // Nor does anything of the making stay.
  assert.deepEqual(globSync('*', { cwd: elsewhere }), ['millrace']);
});

test('without Node, from any folder, it says its version and checks configurations', async (t) => {
  const version = await said(t, ['version']);
  assert.match(version.out, /^millrace \d+\.\d+\.\d+ \(Node 24\./);
  const good = join(elsewhere, 'good.yaml');
  writeFileSync(
    good,
    'listeners: { web: { bind: ":80", cluster: a } }\nclusters: { a: { endpoints: ["127.0.0.1:1"] } }\n',
  );
  assert.deepEqual([(await said(t, ['check', '-c', 'good.yaml'])).code, 'valid'], [0, 'valid']);
  writeFileSync(good, 'listeners: { web: { bind: ":80", clutser: a } }\n');
  const bad = await said(t, ['check', '-c', 'good.yaml']);
  assert.equal(bad.code, 2);
  assert.match(bad.err, /good\.yaml:1:\d+: listeners\.web\.clutser: .*did you mean "cluster"/);
  assert.equal((await said(t, ['nonsense'])).code, 2);
});

test('a configuration in TypeScript is read, with defineConfig, where no package is installed', async (t) => {
  writeFileSync(join(elsewhere, 'teams.ts'), 'export const teams: readonly string[] = ["red", "blue"];\n');
  writeFileSync(
    join(elsewhere, 'millrace.config.ts'),
    `import { type ConfigurationDocument, defineConfig } from 'millrace';
import { teams } from './teams.ts';
const clusters: ConfigurationDocument['clusters'] = Object.fromEntries(teams.map((team) => [team, { endpoints: ['127.0.0.1:1'] }]));
export default defineConfig({ listeners: { web: { bind: '127.0.0.1:0', cluster: 'red' } }, clusters });
`,
  );
  const { code, out, err } = await said(t, ['check']);
  assert.equal(code, 0, err);
  assert.match(out, /1 listener, 2 clusters/);
  writeFileSync(join(elsewhere, 'millrace.config.ts'), `import 'not-installed';\nexport default {};\n`);
  const broken = await said(t, ['check']);
  assert.equal(broken.code, 2);
  assert.match(broken.err, /millrace\.config\.ts: cannot be loaded: Cannot find package 'not-installed'/);
  assert.doesNotMatch(broken.err, /\n\s+at /);
  rmSync(join(elsewhere, 'millrace.config.ts'));
});

test('it proxies HTTP and TCP, and drains on SIGTERM', async (t) => {
  const web = createServer((request, response) => response.end(`origin ${request.url}`)).listen(0, '127.0.0.1');
  const echo = createTcpServer((socket) => socket.on('error', () => {}).pipe(socket)).listen(0, '127.0.0.1');
  t.after(() => {
    web.close();
    echo.close();
  });
  await Promise.all([once(web, 'listening'), once(echo, 'listening')]);
  const http = startMillrace(t, ['http', '127.0.0.1:0', `127.0.0.1:${portOf(web)}`], BARE, FORM);
  const tcp = startMillrace(t, ['tcp', '127.0.0.1:0', `127.0.0.1:${portOf(echo)}`], BARE, FORM);
  const answer = await fetch(`http://${await http.address('http')}/path`);
  assert.equal(await answer.text(), 'origin /path');
  const peer = await connectPeer(t, await tcp.port('tcp'));
  peer.send('through layer 4\n');
  assert.equal(await peer.receive('\n'), 'through layer 4\n');
  peer.end();
  assert.equal(await http.end('SIGTERM'), 0, http.err);
  assert.equal(await tcp.end('SIGTERM'), 0, tcp.err);
});

test('the demo shows HTTP, HTTPS and TCP', async (t) => {
  const env = { ...BARE, MILLRACE_STATE: join(elsewhere, 'state') };
  const demo = startMillrace(t, ['demo'], env, FORM);
  await demo.until(({ out }) => out.includes('Ctrl-C stops it'), 'welcome');
  const url = /http:\/\/127\.0\.0\.1:\d+\//.exec(demo.out)![0];
  assert.match(await (await fetch(url)).text(), /^hello from origin/);
  assert.equal(await demo.end('SIGINT'), 0, demo.err);
});

test('how soon it accepts is told', async (t) => {
  const taken: number[] = [];
  for (let round = 0; round < 5; round++) {
    const port = await freePort();
    const startedMs = performance.now();
    const proxy = startMillrace(t, ['http', `127.0.0.1:${port}`, '127.0.0.1:1'], BARE, FORM);
    while (!(await accepts(port))) assert.equal(proxy.process.exitCode, null, proxy.err);
    taken.push(performance.now() - startedMs);
    await proxy.end('SIGKILL');
  }
  t.diagnostic(`first accept after ${taken.map((ms) => ms.toFixed(0)).join(', ')} ms`);
});

test('its threads come from within', async (t) => {
  const port = await freePort();
  // Two event loops that share a port: the process itself and a thread.
  const origin = startProgram(t, BINARY, ['--program', 'native-bench/origin/own/main', String(port), '2'], BARE);
  await eventually(() => listeningOn(port) === 2, `two sockets on a port: ${origin.err}`);
  for (let count = 0; count < 8; count++) {
    const answer = await fetch(`http://127.0.0.1:${port}/small`, { headers: { connection: 'close' } });
    assert.equal((await answer.bytes()).length, 129);
  }
});

test('the benchmark runs with its own origin and generator, and says what it cannot do here', async (t) => {
  const list = await said(t, ['bench', '--list']);
  assert.match(list.out, /^ {2}http-small: /m);
  assert.match(list.out, /http-proxy is an npm package: it is measured from a checkout of Millrace/);
  for (const [option, words] of [
    ['--against=main', /--against: an executable holds no other revisions; compare them in a checkout/],
    ['--publish', /--publish: runs are kept in a checkout/],
    ['--trend', /--trend: runs are kept in a checkout/],
  ] as const) {
    const refused = await said(t, ['bench', option]);
    assert.equal(refused.code, 2, option);
    assert.match(refused.err, words);
  }
  const line = ['bench', 'http-small', '--quick', '--seconds', '1', '--peers', 'millrace'];
  const env = { ...BARE, MILLRACE_BENCH_PROGRAMS: elsewhere };
  const bench = startMillrace(t, line, env, FORM);
  assert.equal(await bench.ended, 0, bench.err);
  assert.match(bench.out, /^millrace +[\d.]+/m);
  assert.match(bench.out, /Load by the generator that comes with Millrace; origin: Millrace's own/);
  // By the probe within the proxy's own process.
  assert.match(bench.out, /alloc B\/request at most \d+: \d+/);
});

test('the container image holds what the executable needs, and no shell', async (t) => {
  const root = join(temporaryFolder(t), 'image');
  const stages = dockerStages();
  const [build, last] = [stages.at(-2)!, stages.at(-1)!];
  // What the build stage makes is made here by the same script, with its own path in place of the image's.
  const script = /packaging\/image-root\.sh \/image\b/;
  assert.ok(build.some(({ keyword, text }) => keyword === 'RUN' && script.test(text)));
  assert.equal((await run(t, join(ROOT, 'packaging/image-root.sh'), [root, BINARY])).code, 0);
  assert.deepEqual(last[0], { keyword: 'FROM', text: 'scratch' });
  const copies = last.filter(({ keyword }) => keyword === 'COPY' || keyword === 'ADD' || keyword === 'RUN');
  assert.deepEqual(copies, [{ keyword: 'COPY', text: '--from=build /image /' }]);
  const user = last.find(({ keyword }) => keyword === 'USER')?.text ?? '';
  assert.match(user, /^[1-9]\d*:[1-9]\d*$/, 'a number that is not root');

  const files = globSync('**', { cwd: root }).filter((file) => lstatSync(join(root, file)).isFile());
  const libraries = (await run(t, 'ldd', [BINARY])).out.match(/\/\S+/g)!.map((path) => path.slice(1));
  const plain = ['usr/bin/millrace', 'etc/millrace/millrace.yaml', 'etc/passwd', 'etc/group', 'etc/nsswitch.conf'];
  assert.deepEqual(files.sort(), [...plain, ...libraries].sort());

  if (process.getuid?.() !== 0) return t.diagnostic('not root: it is not tried inside of its own root');
  const entry = JSON.parse(last.find(({ keyword }) => keyword === 'ENTRYPOINT')!.text) as string[];
  const command = JSON.parse(last.find(({ keyword }) => keyword === 'CMD')!.text) as string[];
  const port = await freePort();
  writeFileSync(
    join(root, 'etc/millrace/millrace.yaml'),
    readFileSync(join(root, 'etc/millrace/millrace.yaml'), 'utf8').replace(':8080', `127.0.0.1:${port}`),
  );
  const chroot = findProgram('chroot', 'coreutils')!;
  const inside = startProgram(t, chroot, [`--userspec=${user}`, root, ...entry, ...command], BARE);
  await inside.until(({ err }) => err.includes('"listening"'), 'listening');
  assert.match(await (await fetch(`http://127.0.0.1:${port}/`)).text(), /^Millrace is running/);
  assert.equal(ownerOf(inside), user.split(':')[0]);
  assert.equal(await inside.end('SIGTERM'), 0, inside.err);
});

test('every instruction of the Dockerfile is one, and its ignore file lets through what it copies', () => {
  const known = new Set([
    'FROM',
    'RUN',
    'WORKDIR',
    'COPY',
    'USER',
    'ENV',
    'VOLUME',
    'EXPOSE',
    'STOPSIGNAL',
    'ENTRYPOINT',
    'CMD',
  ]);
  const instructions = dockerStages().flat();
  assert.deepEqual(
    instructions.filter(({ keyword }) => !known.has(keyword)),
    [],
  );
  const admitted = readFileSync(join(ROOT, '.dockerignore'), 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('!'));
  const copied = instructions.flatMap(({ keyword, text }) =>
    keyword === 'COPY' && !text.startsWith('--') ? text.split(/\s+/).slice(0, -1) : [],
  );
  assert.deepEqual(
    copied.filter((path) => path !== '.' && !admitted.includes(`!${path}`)),
    [],
  );
});

const dpkg = findProgram('dpkg-deb', 'dpkg');

test('the Debian package brings executable, units, configuration and user', { skip: dpkg === null }, async (t) => {
  const folder = temporaryFolder(t);
  const made = await run(t, process.execPath, ['packaging/deb.ts', BINARY, folder]);
  assert.equal(made.code, 0, made.err);
  const [file = ''] = globSync('millrace_*_amd64.deb', { cwd: folder });
  const deb = join(folder, file);
  const about = (await run(t, dpkg!, ['-I', deb])).out;
  assert.match(about, /^ Package: millrace$/m);
  assert.match(about, /^ Depends: libc6 \(>= 2\.28\)/m);
  const list = (await run(t, dpkg!, ['-c', deb])).out;
  for (const line of [
    /^-rwxr-xr-x root\/root +\d+ .* \.\/usr\/bin\/millrace$/m,
    /^-rw-r--r-- root\/root .* \.\/usr\/lib\/systemd\/system\/millrace\.service$/m,
    /^-rw-r--r-- root\/root .* \.\/usr\/lib\/systemd\/system\/millrace\.socket$/m,
    /^-rw-r--r-- root\/root .* \.\/etc\/millrace\/millrace\.yaml$/m,
    /^-rw-r--r-- root\/root .* \.\/usr\/share\/doc\/millrace\/copyright$/m,
  ]) {
    assert.match(list, line);
  }
  const sysusers = findProgram('systemd-sysusers', 'systemd');
  if (process.getuid?.() !== 0 || sysusers === null)
    return t.diagnostic('not root, or no systemd: it is not installed');
  // Into a root of its own: nothing of this machine is touched.
  const root = join(folder, 'root');
  const options = [`--root=${root}`, '--force-script-chrootless', '--force-depends', `--log=${join(folder, 'log')}`];
  const admin = join(root, 'var/lib/dpkg');
  assert.equal((await run(t, 'mkdir', ['-p', join(admin, 'info'), join(admin, 'updates')])).code, 0);
  writeFileSync(join(admin, 'status'), '');
  const installed = await run(t, 'dpkg', [...options, '--install', deb]);
  assert.equal(installed.code, 0, installed.err);
  assert.match(readFileSync(join(root, 'etc/passwd'), 'utf8'), /^millrace:x:\d+:\d+:.*:\/usr\/sbin\/nologin$/m);
  const check = ['check', '-c', join(root, 'etc/millrace/millrace.yaml')];
  assert.equal((await run(t, join(root, 'usr/bin/millrace'), check)).code, 0);
  const purged = await run(t, 'dpkg', [...options, '--purge', 'millrace']);
  assert.equal(purged.code, 0, purged.err);
  assert.deepEqual(globSync(['usr/bin/*', 'etc/millrace/*'], { cwd: root }), []);
});

async function said(
  t: TestContext,
  args: readonly string[],
): Promise<{ code: number | string; out: string; err: string }> {
  const program = startMillrace(t, args, BARE, FORM);
  const code = await program.ended;
  return { code, out: program.out, err: program.err };
}

function digest(file: string): string {
  return createHash('sha256').update(readFileSync(file)).digest('hex');
}

function portOf(server: { address(): unknown }): number {
  return (server.address() as AddressInfo).port;
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(!socket.destroy().connecting));
    socket.once('error', () => setTimeout(resolve, 1, false));
  });
}

/** How many sockets listen on a port of this machine. */
function listeningOn(port: number): number {
  const end = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const lines = readFileSync('/proc/net/tcp', 'latin1').split('\n').slice(1);
  return lines.filter((line) => line.trim().split(/\s+/)[1]?.endsWith(end) && line.trim().split(/\s+/)[3] === '0A')
    .length;
}

function ownerOf({ pid }: Program): string {
  return /^Uid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? '';
}

/** The instructions of each stage, the first of which is its FROM. */
function dockerStages(): { keyword: string; text: string }[][] {
  const stages: { keyword: string; text: string }[][] = [];
  for (const instruction of DockerfileParser.parse(readFileSync(join(ROOT, 'Dockerfile'), 'utf8')).getInstructions()) {
    const keyword = instruction.getKeyword();
    if (keyword === 'FROM') stages.push([]);
    stages.at(-1)!.push({ keyword, text: instruction.getTextContent().slice(keyword.length).trim() });
  }
  return stages;
}
