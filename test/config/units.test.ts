import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatDuration, formatSize, parseDuration, parseSize } from '../../lib/config/units.ts';

test('durations are read with every unit and refused without one', () => {
  const good: Record<string, number> = {
    '0': 0,
    '0s': 0,
    '300ms': 300,
    '10s': 10_000,
    '1m': 60_000,
    '1h': 3_600_000,
    '2d': 172_800_000,
    '1.5s': 1_500,
    ' 7 s ': 7_000,
  };
  for (const [text, value] of Object.entries(good)) assert.deepEqual(parseDuration(text), { value }, text);
  for (const text of [
    '',
    '10',
    's',
    '-1s',
    '+1s',
    '1e3s',
    '1S',
    '1 m 2 s',
    '10sec',
    '.5s',
    '1,5s',
    'NaN',
    '0.1ms',
    '9'.repeat(40),
  ]) {
    assert.ok('fault' in parseDuration(text), text);
  }
});

test('sizes tell binary units from decimal ones', () => {
  const good: Record<string, number> = {
    '0': 0,
    '512B': 512,
    '16KiB': 16_384,
    '10KB': 10_000,
    '1MiB': 1_048_576,
    '10MB': 1e7,
    '1GiB': 2 ** 30,
    '2GB': 2e9,
  };
  for (const [text, value] of Object.entries(good)) assert.deepEqual(parseSize(text), { value }, text);
  for (const text of ['16', '16K', '16kb', '16kib', '1TB', '-1B', 'KiB', '99999999999GiB'])
    assert.ok('fault' in parseSize(text), text);
});

test('what is written is what is read again', () => {
  fc.assert(
    fc.property(fc.nat(2 ** 31 - 1), (value) => {
      assert.deepEqual(parseDuration(formatDuration(value)), { value });
      assert.deepEqual(parseSize(formatSize(value)), { value });
    }),
  );
});

test('no text makes reading throw or yield anything but a whole number', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      for (const found of [parseDuration(text), parseSize(text)]) {
        if ('value' in found) assert.ok(Number.isSafeInteger(found.value) && found.value >= 0);
      }
    }),
  );
});
