// The log of several event loops.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { relayLog } from '../../lib/base/log.ts';
import { Chorus } from '../../lib/process/chorus.ts';

function chorusAt(clock: { ms: number }): { chorus: Chorus; written: string[] } {
  const written: string[] = [];
  const log = relayLog(
    'info',
    (level, message, fields) => written.push(`${level} ${message} ${Object.keys(fields ?? {})}`),
    Date.now,
  );
  return { chorus: new Chorus(log, () => clock.ms), written };
}

test('what all say is written once, what one says twice is written twice', () => {
  const clock = { ms: 0 };
  const { chorus, written } = chorusAt(clock);
  const [one, two, three] = [chorus.voice(0), chorus.voice(1), chorus.voice(2)];
  for (const voice of [one, two, three]) voice.info('certificate replaced', { listener: 'web' });
  assert.equal(written.length, 1);
  one.info('certificate replaced', { listener: 'web' });
  two.info('certificate replaced', { listener: 'other' });
  two.warn('certificate replaced', { listener: 'web' });
  assert.equal(written.length, 4);
  clock.ms = 5000;
  three.info('certificate replaced', { listener: 'web' });
  assert.equal(written.length, 5);
});

test('levels that are not written cost nothing, and nothing is remembered for long', () => {
  const clock = { ms: 0 };
  const { chorus, written } = chorusAt(clock);
  chorus.voice(0).debug('unheard');
  for (let i = 0; i < 2000; i++) chorus.voice(0).info('message', { i });
  chorus.voice(1).info('message', { i: 0 });
  assert.equal(written.length, 2001);
  const circle: Record<string, unknown> = {};
  circle['self'] = circle;
  chorus.voice(1).info('circle', circle);
});
