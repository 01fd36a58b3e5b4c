// What the Debian package does with a service that runs when it is upgraded. The service manager is a few lines of shell.

import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Admin } from '../support/admin.ts';
import { type Millrace, ROOT, startMillrace, startProgram, temporaryFolder } from '../support/process.ts';

const SCRIPT = readFileSync(join(ROOT, 'packaging/debian/postinst'), 'utf8');

test('a service with an admin listener is upgraded in place', async (t) => {
  const machine = await boot(t, true);
  const { calls, err } = await machine.configure(machine.proxy.pid, '0.0.9');
  const { pid } = await new Admin(machine.admin).status();
  machine.proxy.successors.push(pid);
  const asked = 'show --property=MainPID --value millrace.service';
  assert.deepEqual(calls, ['daemon-reload', asked, asked], err);
  assert.notEqual(pid, machine.proxy.pid);
  process.kill(pid, 'SIGTERM');
  assert.equal(await machine.proxy.ended, 0);
});

test('a service that nobody answers for, or another proxy, is restarted if it runs', async (t) => {
  const restart = 'try-restart millrace.service';
  const silent = await boot(t, false);
  assert.equal((await silent.configure(silent.proxy.pid, '0.0.9')).calls.at(-1), restart);
  const other = await boot(t, true);
  // Not the one that answers.
  assert.equal((await other.configure(process.pid, '0.0.9')).calls.at(-1), restart);
  assert.equal((await new Admin(other.admin).status()).pid, other.proxy.pid);
});

test('a service that somebody else has answered for is restarted: its main process is still the same', async (t) => {
  const machine = await boot(t, true);
  machine.program('millrace', `[ "$1" = upgrade ] || echo '{"pid":${machine.proxy.pid},"state":"serving"}'`);
  const { calls } = await machine.configure(machine.proxy.pid, '0.0.9');
  assert.equal(calls.at(-1), 'try-restart millrace.service');
  assert.equal((await new Admin(machine.admin).status()).pid, machine.proxy.pid);
});

test('the first installation starts and restarts nothing', async (t) => {
  const machine = await boot(t, true);
  assert.deepEqual((await machine.configure(machine.proxy.pid, '')).calls, ['daemon-reload']);
});

/** A folder that stands for a machine on which the service runs. */
async function boot(t: TestContext, answering: boolean) {
  const folder = temporaryFolder(t);
  const [bin, admin, file] = [join(folder, 'bin'), join(folder, 'admin.sock'), join(folder, 'millrace.yaml')];
  mkdirSync(bin);
  const program = (name: string, text: string): void => {
    writeFileSync(join(bin, name), `#!/bin/sh\n${text}\n`);
    chmodSync(join(bin, name), 0o755);
  };
  const listener = answering ? `admin: { bind: "unix:${admin}" }\n` : '';
  writeFileSync(
    file,
    `workers: 1\n${listener}listeners: { web: { bind: "127.0.0.1:0", routes: [{ respond: {} }] } }\n`,
  );
  const proxy: Millrace = startMillrace(t, ['run', '-c', file]);
  await proxy.address('web');
  program('systemd-sysusers', 'exit 0');
  program('sleep', 'exit 0');
  // The service manager hears of a successor.
  const main = join(folder, 'main');
  program(
    'millrace',
    `said=$("${process.execPath}" "${join(ROOT, 'lib/cli/main.ts')}" "$@") || exit
[ "$1" != upgrade ] || echo "$said" | sed 's/process \\([0-9]*\\).*/\\1/' > "${main}"
echo "$said"`,
  );
  // Of the addresses only the one in the folder: another proxy of this machine must not be asked.
  const script = join(folder, 'postinst');
  writeFileSync(
    script,
    SCRIPT.replaceAll('/run/systemd/system', folder)
      .replace('/run/millrace/admin.sock', admin)
      .replace(' 127.0.0.1:9901', ''),
  );
  return {
    proxy,
    admin,
    program,
    /** Runs the script as dpkg does after `version` (as the first time with ''); answers what the manager was told. */
    async configure(pid: number, version: string): Promise<{ calls: string[]; err: string }> {
      const record = join(folder, 'calls');
      program('systemctl', `echo "$@" >> "${record}"\n[ "$1" != show ] || cat "${main}" 2>/dev/null || echo ${pid}`);
      const path = `${bin}:${process.env['PATH']}`;
      const run = startProgram(t, 'sh', [script, 'configure', version], { PATH: path });
      assert.equal(await run.ended, 0, run.err);
      const calls = existsSync(record) ? readFileSync(record, 'utf8').trim().split('\n') : [];
      return { calls, err: run.err };
    },
  };
}
