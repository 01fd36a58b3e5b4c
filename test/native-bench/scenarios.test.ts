// Every scenario once, for a second, over real processes with loads small enough for a test. What the figures are is not
// judged here.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { SCENARIOS } from '../../native-bench/catalogue.ts';
import { assertMeasured, bench, ownFolder, readBack } from './harness.ts';

const SMALL = ['--quick', '--seconds', '1', '--connections', '8', '--peers', 'millrace'];

test('every scenario runs for a second, or says which feature it waits for', async (t) => {
  const folder = ownFolder(t);
  const json = join(folder, 'report.json');
  const { code, out, err } = await bench(t, [...SMALL, '--json', json]);
  assert.equal(code, 0, err);
  const report = readBack(json);
  assert.deepEqual(
    report.scenarios.map(({ name }) => name),
    SCENARIOS.map(({ name }) => name),
  );
  for (const scenario of report.scenarios) {
    const { unbuilt } = SCENARIOS.find(({ name }) => name === scenario.name)!;
    assert.equal(scenario.omitted, unbuilt, scenario.name);
    assert.ok(out.includes(scenario.name));
    if (unbuilt !== null) assert.ok(out.includes(unbuilt), scenario.name);
    else assertMeasured(scenario);
  }
});
