// Every scenario behind TLS once, in a file of its own so that they run beside the others. What the figures are is not
// judged here.

import { test } from 'node:test';
import { SCENARIOS } from '../../native-bench/catalogue.ts';
import { assertScenariosRun, isEncrypted } from './harness.ts';

test('every scenario behind TLS runs for a second, or says which feature it waits for', (t) =>
  assertScenariosRun(t, SCENARIOS.filter(isEncrypted)));
