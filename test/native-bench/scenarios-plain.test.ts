// Every scenario without TLS once. What the figures are is not judged here.

import { test } from 'node:test';
import { SCENARIOS } from '../../native-bench/catalogue.ts';
import { assertScenariosRun, isEncrypted } from './harness.ts';

test('every scenario of plain connections runs for a moment, or says which feature it waits for', (t) =>
  assertScenariosRun(
    t,
    SCENARIOS.filter((scenario) => !isEncrypted(scenario)),
    ['--generator', 'own', '--seconds', '0.2'],
  ));
