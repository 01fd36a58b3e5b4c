// Numbers, chunk sizes, literals and ranges as they end up in memory.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { carve, memory } from '../../../lib/wire/http1/llhttp.ts';
import {
  CHUNK_LINE_BYTES,
  literal,
  putChunkLine,
  putCrlf,
  putLiteral,
  putRange,
  putText,
} from '../../../lib/wire/http1/writer.ts';

const room = carve(4096);

function wrote(put: (at: number) => number): string {
  memory.fill(0x2e, room, room + 256);
  const end = put(room);
  assert.equal(memory[end], 0x2e, 'nothing behind what was written is touched');
  return memory.toString('latin1', room, end);
}

test('chunk sizes are written in hexadecimal and fit their room', () => {
  for (const size of [1, 9, 10, 15, 16, 255, 4096, 0xabcdef, 2 ** 31, 2 ** 32 - 1]) {
    const line = wrote((at) => putChunkLine(size, at));
    assert.equal(line, `${size.toString(16)}\r\n`);
    assert.ok(line.length <= CHUNK_LINE_BYTES);
  }
});

test('literals, text and ranges are copied from wherever they lie', () => {
  const text = literal('Via: 1.1 x\r\n');
  assert.equal(
    wrote((at) => putLiteral(text, at)),
    'Via: 1.1 x\r\n',
  );
  assert.equal(
    wrote((at) => putText('caf\xe9', at)),
    'caf\xe9',
  );
  assert.equal(wrote(putCrlf), '\r\n');
  assert.equal(
    wrote((at) => putRange(Buffer.from('0123456'), 2, 5, at)),
    '234',
  );
  memory.write('inside', room + 1000, 'latin1');
  assert.equal(
    wrote((at) => putRange(memory, room + 1002, room + 1006, at)),
    'side',
  );
});

test('ranges that overlap what they are copied to come out whole', () => {
  memory.write('abcdef', room, 'latin1');
  putRange(memory, room, room + 6, room + 2);
  assert.equal(memory.toString('latin1', room, room + 8), 'ababcdef');
});
