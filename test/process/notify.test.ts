// Signs of life for systemd.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLog } from '../../lib/base/log.ts';
import { Notifier } from '../../lib/process/notify.ts';

test('life is shown three times within what the unit allows, so that one that is missed ends nothing', (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const log = createLog({ level: 'error', format: 'json', colours: false, write: () => {}, now: Date.now });
  const notifier = new Notifier(log, { NOTIFY_SOCKET: '/nowhere', WATCHDOG_USEC: '30000000' });
  let looks = 0;
  notifier.watch(() => {
    looks++;
    return false;
  });
  t.mock.timers.tick(30_000);
  assert.equal(looks, 3);
});
