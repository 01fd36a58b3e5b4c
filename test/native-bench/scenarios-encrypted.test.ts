// Every scenario behind TLS once, in a file of its own so that they run beside the others. What the figures are is not
// judged here.

import { test } from 'node:test';
import { SCENARIOS } from '../../native-bench/catalogue.ts';
import { ownObjection } from '../../native-bench/load/own.ts';
import { assertScenariosRun, isEncrypted } from './harness.ts';

test('every scenario behind TLS runs for a moment, or says which feature it waits for', async (t) => {
  const encrypted = SCENARIOS.filter(isEncrypted);
  // HTTP/2 is beyond our own generator, and those of others count whole seconds.
  const second = encrypted.filter(({ load }) => ownObjection(load) !== null);
  await assertScenariosRun(t, second, ['--seconds', '1']);
  await assertScenariosRun(
    t,
    encrypted.filter((scenario) => !second.includes(scenario)),
    ['--generator', 'own', '--seconds', '0.2'],
  );
});
