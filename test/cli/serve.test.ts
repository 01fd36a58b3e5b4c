// Commands that serve, as processes of their own: what they print, how signals end them, and the usage of the one-line proxies.
// What the proxy does with traffic is tested elsewhere.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, get } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { makeCertificatesFor } from '../support/certificates.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** Without the server nothing here can run. */
const options = { skip: !existsSync(join(ROOT, 'lib/server/server.ts')) };
const folder = mkdtempSync(join(tmpdir(), 'millrace-serve-'));
const children = new Set<Running>();
after(() => {
  for (const child of children) child.process.kill('SIGKILL');
  rmSync(folder, { recursive: true });
});

/** A command under way. */
class Running {
  readonly process: ChildProcess;
  out = '';
  err = '';
  readonly #ended: Promise<number>;

  constructor(args: readonly string[], env: Record<string, string> = {}) {
    this.process = spawn(process.execPath, [join(ROOT, 'lib/cli/main.ts'), ...args], {
      cwd: ROOT,
      env: { PATH: process.env['PATH'], ...env },
    });
    children.add(this);
    this.process.stdout!.on('data', (chunk) => (this.out += chunk));
    this.process.stderr!.on('data', (chunk) => (this.err += chunk));
    this.#ended = once(this.process, 'close').then(([code]) => {
      children.delete(this);
      return code as number;
    });
  }

  /** Resolves once `found` holds of what was printed. */
  async until(found: (running: Running) => boolean): Promise<void> {
    while (!found(this)) {
      if (this.process.exitCode !== null) assert.fail(`ended early: ${this.out}${this.err}`);
      await Promise.race([once(this.process.stdout!, 'data'), once(this.process.stderr!, 'data'), this.#ended]);
    }
  }

  /** The address that a listener got. */
  async address(listener: string): Promise<string> {
    const pattern = new RegExp(`"listening","listener":"${listener}","address":"([^"]+)"`);
    await this.until(({ err }) => pattern.test(err));
    return pattern.exec(this.err)![1]!;
  }

  end(signal: NodeJS.Signals): Promise<number> {
    this.process.kill(signal);
    return this.#ended;
  }

  get ended(): Promise<number> {
    return this.#ended;
  }
}

async function origin(text: string): Promise<{ address: string; close(): void }> {
  const server = createServer((_, response) => response.end(text));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const close = (): void => void server.close().closeAllConnections();
  return { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, close };
}

async function fetchText(url: string): Promise<string> {
  const [response] = await once(get(url, { agent: false }), 'response');
  let text = '';
  for await (const chunk of response) text += chunk;
  return text;
}

test('millrace http balances over what it is given and ends with 0 on SIGTERM', options, async () => {
  const [one, two] = [await origin('one'), await origin('two')];
  const proxy = new Running(['http', '127.0.0.1:0', one.address, two.address, '--workers', '1', '--log', 'json']);
  const address = await proxy.address('http');
  const answers = new Set([await fetchText(`http://${address}/`), await fetchText(`http://${address}/`)]);
  assert.deepEqual(answers, new Set(['one', 'two']));
  assert.equal(await proxy.end('SIGTERM'), 0);
  assert.match(proxy.err, /"message":"drained"/);
  one.close();
  two.close();
});

test(
  'millrace tcp relays, says on SIGHUP that there is no file to reload, survives SIGUSR2, and ends with 0 on SIGINT',
  options,
  async () => {
    const one = await origin('over tcp');
    const proxy = new Running(['tcp', '127.0.0.1:0', one.address, '--balance', 'least-connections']);
    const address = await proxy.address('tcp');
    proxy.process.kill('SIGUSR2');
    proxy.process.kill('SIGHUP');
    await proxy.until(({ err }) => err.includes('it was not started from a configuration file'));
    assert.equal(await fetchText(`http://${address}/`), 'over tcp');
    assert.equal(await proxy.end('SIGINT'), 0);
    one.close();
  },
);

test('a second signal ends a drain that takes long, with 1', options, async () => {
  const held = createTcpServer().listen(0, '127.0.0.1');
  await once(held, 'listening');
  const proxy = new Running(['tcp', '127.0.0.1:0', `127.0.0.1:${(held.address() as AddressInfo).port}`]);
  const [host, port] = (await proxy.address('tcp')).split(':');
  const { connect } = await import('node:net');
  const client = connect(Number(port), host);
  client.on('error', () => {});
  client.write('x');
  const [upstream] = await once(held, 'connection');
  upstream.on('error', () => {});
  proxy.process.kill('SIGTERM');
  await proxy.until(({ err }) => err.includes('"draining"'));
  assert.equal(await proxy.end('SIGTERM'), 1);
  client.destroy();
  upstream.destroy();
  held.close();
});

test('an address that is taken ends the start with 1 and says which', options, async () => {
  const one = await origin('x');
  const proxy = new Running(['http', one.address, '127.0.0.1:1']);
  assert.equal(await proxy.ended, 1);
  assert.match(proxy.err, new RegExp(one.address.replaceAll('.', '\\.')));
  one.close();
});

test(
  'a configuration with errors starts nothing: exit code 2, and JSON lines where nobody looks',
  options,
  async () => {
    const file = join(folder, 'bad.yaml');
    writeFileSync(file, 'listeners: { web: { bind: nowhere, cluster: app } }\n');
    const run = new Running(['run', '-c', file]);
    assert.equal(await run.ended, 2);
    const paths = run.err
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line).path);
    assert.deepEqual(paths, ['listeners.web.bind', 'listeners.web.cluster']);
    const text = new Running(['run', '-c', file, '--log', 'text']);
    assert.equal(await text.ended, 2);
    assert.match(text.err, /bad\.yaml:1:27: listeners\.web\.bind: /);
  },
);

test('one-line proxies tell every mistake in their arguments, with exit code 2', options, async () => {
  const cases: [string[], RegExp[]][] = [
    [['http'], [/too few arguments; write: millrace http FROM TO/]],
    [['http', ':0'], [/too few arguments/]],
    [
      ['http', 'x', 'y:0', '::1:80', 'fd:3'],
      [/FROM x: /, /TO y:0: must have a port/, /TO ::1:80: .*brackets/, /TO fd:3: /],
    ],
    [['tcp', ':0', 'a:1', 'a:1'], [/TO a:1 is given twice/]],
    [['tcp', ':0', 'a:1', '--balance', 'least-conections'], [/did you mean "least-connections"/]],
    [['tcp', ':0', 'a:1', '--balance', 'fastest'], [/"fastest" is not known/]],
    [['tcp', ':0', 'a:1', '--workers', 'many'], [/--workers: "many" is not a number from 0 to 256/]],
    [['tcp', ':0', 'a:1', '--balnce=x'], [/did you mean "--balance"/]],
  ];
  for (const [args, wanted] of cases) {
    const command = new Running(args);
    assert.equal(await command.ended, 2, args.join(' '));
    assert.equal(command.out, '');
    for (const pattern of wanted) assert.match(command.err, pattern);
  }
});

test('--help of every command names its options', options, async () => {
  for (const name of [
    'run',
    'demo',
    'http',
    'tcp',
    'check',
    'reload',
    'upgrade',
    'drain',
    'status',
    'cert',
    'version',
  ]) {
    const command = new Running([name, '--help']);
    assert.equal(await command.ended, 0);
    assert.match(command.out, new RegExp(`^Usage: millrace ${name}`));
    assert.match(command.out, /-h, --help/);
  }
});

test('the commands that the demo prints work as printed, with curl and bash alone', options, async () => {
  const demo = new Running(['demo'], { MILLRACE_STATE: join(folder, 'state') });
  await demo.until(({ out }) => out.includes('Ctrl-C'));
  const commands = demo.out.split('\n').filter((line) => line.startsWith('     ') && line.trim() !== '');
  assert.equal(commands.length, 4);
  // One after the other: a request in between would take a turn.
  const turns = await shell(commands[0]!);
  const [events, echo] = await Promise.all([shell(commands[1]!), shell(commands[2]!)]);
  assert.equal(turns.match(/hello from origin one/g)?.length, 2);
  assert.equal(turns.match(/hello from origin two/g)?.length, 2);
  assert.match(events, /data: event 1 of 10 from origin/);
  assert.match(echo, /^hello from tcp server (one|two).*\nanybody there\n$/);
  // The authority was made a moment ago, and curl believes nothing else.
  assert.match(await shell(commands[3]!), /^hello from origin (one|two)/);
  assert.equal(await demo.end('SIGINT'), 0);
});

test('every example is valid as it stands, with certificates made as its comment says', options, async () => {
  const examples = readdirSync(join(ROOT, 'examples'), { recursive: true, encoding: 'utf8' }).filter((file) =>
    /\.(yaml|config\.ts)$/.test(file),
  );
  assert.ok(examples.length >= 14);
  const CERTS = join(folder, 'certs');
  for (const example of examples) {
    makeCertificatesFor(example, CERTS);
    const check = new Running(['check', '-c', join('examples', example)], { CERTS });
    assert.equal(await check.ended, 0, `${example}: ${check.err}`);
    assert.equal(check.err, '');
  }
});

/** What a command line prints, up to a second and a half of a stream. */
function shell(command: string): Promise<string> {
  return new Promise((resolve) => {
    const child = spawn('timeout', ['2', 'bash', '-c', command.trim()]);
    let text = '';
    child.stdout.on('data', (chunk) => (text += chunk));
    child.on('close', () => resolve(text));
  });
}
