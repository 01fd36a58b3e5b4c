// The units in examples/systemd/, as systemd itself reads them.

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { checkConfiguration } from '../../lib/config/read.ts';
import { findProgram, ROOT, run, temporaryFolder } from '../support/process.ts';

const UNITS = join(ROOT, 'examples/systemd');
const SERVICE = readFileSync(join(UNITS, 'millrace.service'), 'utf8');
/** Of 100: what `systemd-analyze security` found when they were written (1.9), and some room for other versions of it. */
const MOST_EXPOSED = 25;

const analyze = findProgram('systemd-analyze', 'systemd');
const withAnalyze = { skip: analyze === null };

test('systemd finds nothing wrong with the units', withAnalyze, async (t) => {
  const folder = temporaryFolder(t);
  const service = join(folder, 'millrace.service');
  const socket = join(folder, 'millrace.socket');
  // It looks for the program, which need not be installed here.
  writeFileSync(service, SERVICE.replace('/usr/bin/millrace', process.execPath));
  writeFileSync(socket, readFileSync(join(UNITS, 'millrace.socket')));
  const { code, out, err } = await run(t, analyze!, ['verify', service, socket]);
  assert.equal(code, 0, out + err);
  // Words that it does not know are warnings only.
  assert.doesNotMatch(err, /millrace\.(service|socket)/);
});

test('the service is exposed to little', withAnalyze, async (t) => {
  const line = [
    'security',
    '--offline=true',
    `--threshold=${MOST_EXPOSED}`,
    '--no-pager',
    join(UNITS, 'millrace.service'),
  ];
  const { code, out, err } = await run(t, analyze!, line);
  assert.equal(code, 0, out + err);
  t.diagnostic(/Overall exposure level.*/.exec(out)?.[0] ?? 'no level was told');
});

test('systemd waits longer for the end than the proxy drains', () => {
  const result = checkConfiguration(
    { listeners: { web: { bind: ':80', routes: [{ respond: { status: 200 } }] } } },
    'millrace.yaml',
  );
  assert.ok('configuration' in result);
  const patienceMs = Number(/^TimeoutStopSec=(\d+)$/m.exec(SERVICE)?.[1]) * 1000;
  assert.ok(patienceMs > result.configuration.drainTimeoutMs);
});
