import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createLog, disabledLevel, escapeControls, type LogSetup } from '../../lib/base/log.ts';

function record(setup: Partial<LogSetup> = {}) {
  const lines: string[] = [];
  const log = createLog({
    level: 'info',
    format: 'json',
    colours: false,
    write: (line) => lines.push(line),
    now: () => 1_700_000_000_123,
    ...setup,
  });
  return { log, lines };
}

test('levels below the chosen one are the function that does nothing', () => {
  const { log, lines } = record({ level: 'warn' });
  assert.equal(log.debug, disabledLevel);
  assert.equal(log.info, disabledLevel);
  assert.equal(log.limited('key', 1000).info, disabledLevel);
  log.warn('a');
  log.error('b');
  assert.equal(lines.length, 2);
});

test('JSON lines carry time, level, message and fields, and fields cannot replace these', () => {
  const { log, lines } = record();
  log.info('listening', { listener: 'web', port: 80, level: 'fake', big: 10n, none: undefined, nested: { a: [1] } });
  assert.deepEqual(JSON.parse(lines[0]!), {
    time: '2023-11-14T22:13:20.123Z',
    level: 'info',
    message: 'listening',
    listener: 'web',
    port: 80,
    level_: 'fake',
    big: '10',
    nested: { a: [1] },
  });
});

test('text lines are for reading, with colours only where they are wanted', () => {
  const plain = record({ format: 'text' });
  plain.log.warn('slow', { upstream: '127.0.0.1:80', why: 'no answer', empty: '' });
  assert.equal(plain.lines[0], '22:13:20.123 warn  slow upstream=127.0.0.1:80 why="no answer" empty=""\n');
  const coloured = record({ format: 'text', colours: true });
  coloured.log.warn('slow');
  assert.match(coloured.lines[0]!, /\x1b\[33m/);
});

test('an error is written with its stack, indented so that no line of it passes for another message', () => {
  const error = new Error('bad\n22:13:20.123 info  all is well');
  const text = record({ format: 'text' });
  text.log.error('failed', { error });
  const [first, ...rest] = text.lines[0]!.trimEnd().split('\n');
  assert.equal(first, '22:13:20.123 error failed');
  assert.ok(rest.length > 1 && rest.every((line) => line.startsWith('    ')));
  const json = record();
  json.log.error('failed', { error });
  assert.match(JSON.parse(json.lines[0]!).error, /log\.test\.ts/);
});

test('whatever clients send, a message stays one line without control characters', () => {
  const hostile = fc.string({
    unit: fc.constantFrom('\n', '\r', '\x1b', '\x9b', '\u2028', '\u202e', '\ud800', '\x00', '"', '=', 'a', 'é'),
  });
  fc.assert(
    fc.property(hostile, hostile, fc.constantFrom('text', 'json'), (message, value, format) => {
      const { log, lines } = record({ format });
      log.info(message, { value, [`k${value}`]: [value] });
      assert.equal(lines.length, 1);
      assert.match(lines[0]!, /^[^\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\ud800-\udfff]*\n$/);
    }),
  );
});

test('nothing that is logged makes the log throw', () => {
  const cycle: Record<string, unknown> = {};
  cycle['self'] = cycle;
  const trap = Object.defineProperty({}, 'x', { enumerable: true, get: () => assert.fail('trap') });
  for (const format of ['text', 'json'] as const) {
    const { log, lines } = record({ format });
    for (const value of [cycle, trap, Symbol('s'), () => 1, null, Number.NaN, Object.create(null)])
      log.info('x', { value });
    assert.equal(lines.length, 7);
    const full = record({ format, write: () => assert.fail('disk full') });
    full.log.error('x');
  }
});

test('long texts are cut, with their length', () => {
  const { log, lines } = record();
  log.info('x'.repeat(1_000_000), { value: 'y'.repeat(1_000_000) });
  assert.ok(lines[0]!.length < 20_000);
  assert.match(lines[0]!, /1000000 characters/);
});

test('a limited message comes once per interval, and the next one counts what was held back', () => {
  let now = 0;
  const { log, lines } = record({ now: () => now });
  for (let i = 0; i < 5; i++) log.limited('accept', 1000).warn('full', { i });
  log.limited('other', 1000).warn('own key');
  now = 1000;
  log.limited('accept', 1000).warn('full', { i: 5 });
  now = 5000;
  log.limited('accept', 1000).warn('full');
  const messages = lines.map((line) => JSON.parse(line));
  assert.deepEqual(
    messages.map(({ message, i, suppressed }) => [message, i, suppressed]),
    [
      ['full', 0, undefined],
      ['own key', undefined, undefined],
      ['full', 5, 4],
      ['full', undefined, undefined],
    ],
  );
});

test('keys without end cost no memory without end', () => {
  const { log } = record();
  const seen = new Set(Array.from({ length: 5000 }, (_, i) => log.limited(`key ${i}`, 1000)));
  assert.ok(seen.size <= 1024);
});

test('escapes are readable', () => {
  assert.equal(escapeControls('a\r\n\x1b[0m\u2028é'), 'a\\x0d\\x0a\\x1b[0m\\u2028é');
});
