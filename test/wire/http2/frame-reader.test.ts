// Frames are the same however they are cut, and whatever is sent ends in frames or in a reason, never in a throw.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { memory } from '../../../lib/wire/http1/llhttp.ts';
import { Flag, FRAME_BYTES, FrameType, Reason } from '../../../lib/wire/http2/frame.ts';
import { FrameReader, type FrameReceiver } from '../../../lib/wire/http2/frame-reader.ts';
import { frame } from '../../support/http2.ts';

const BLOCK_BYTES = 20_000;

/** What a receiver was told, with the pieces of DATA put together. */
class Recorder implements FrameReceiver {
  readonly told: unknown[] = [];
  onFrame(type: number, flags: number, stream: number, bytes: Buffer, start: number, end: number): void {
    this.told.push(['frame', type, flags, stream, bytes.toString('hex', start, end)]);
  }
  onBlock(stream: number, flags: number, bytes: Buffer, start: number, end: number, promise: boolean): void {
    this.told.push(['block', stream, flags, bytes.toString('hex', start, end), promise]);
  }
  onDataFrame(stream: number, length: number): void {
    this.told.push(['data', stream, length, '', false]);
  }
  onData(_stream: number, start: number, end: number, last: boolean): void {
    const current = this.told.at(-1) as [string, number, number, string, boolean];
    current[3] += memory.toString('hex', start, end);
    current[4] ||= last;
  }
}

/** Reads bytes in pieces of these lengths; what was told, and the fault at the end. */
function read(bytes: Buffer, cuts: readonly number[]): { told: unknown[]; fault: number } {
  const recorder = new Recorder();
  const reader = new FrameReader(recorder, BLOCK_BYTES);
  let at = 0;
  for (let i = 0; at < bytes.length && reader.fault < 0; i++) {
    const length = Math.min(cuts[i % cuts.length]!, bytes.length - at, 16_384);
    // As the slabs are: what was read before has been written over.
    memory.fill(0xee, 0, 16_384);
    bytes.copy(memory, 0, at, at + length);
    reader.read(0, length);
    at += length;
  }
  return { told: recorder.told, fault: reader.fault };
}

const payload = fc.uint8Array({ maxLength: 300 });
const padded = fc
  .tuple(fc.integer({ min: 0, max: 255 }), payload)
  .map(([padding, body]) => Buffer.concat([Buffer.from([padding]), body, Buffer.alloc(padding)]));
const stream = fc.integer({ min: 1, max: 9 });

/** Frames that belong together and are in order. */
const honest = fc.oneof(
  fc
    .tuple(stream, payload, fc.boolean())
    .map(([id, body, last]) => [frame(FrameType.DATA, last ? Flag.END_STREAM : 0, id, Buffer.from(body))]),
  fc.tuple(stream, padded).map(([id, body]) => [frame(FrameType.DATA, Flag.PADDED, id, body)]),
  fc.tuple(stream, payload).map(([id, body]) => [frame(FrameType.HEADERS, Flag.END_HEADERS, id, Buffer.from(body))]),
  fc.tuple(stream, padded).map(([id, body]) => [frame(FrameType.HEADERS, Flag.END_HEADERS | Flag.PADDED, id, body)]),
  fc.tuple(stream, fc.array(payload, { minLength: 2, maxLength: 5 })).map(([id, parts]) =>
    parts.map((part, i) => {
      const flags = i === parts.length - 1 ? Flag.END_HEADERS : 0;
      return frame(i === 0 ? FrameType.HEADERS : FrameType.CONTINUATION, flags, id, Buffer.from(part));
    }),
  ),
  fc
    .tuple(fc.constantFrom(3, 4, 6, 7, 8, 20, 255), payload)
    .map(([type, body]) => [frame(type, 0, 0, Buffer.from(body))]),
);

test('frames are told the same whether they come at once or in any pieces', () => {
  const cuts = fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 8 });
  fc.assert(
    fc.property(fc.array(honest, { minLength: 1, maxLength: 12 }), cuts, (frames, pieces) => {
      const bytes = Buffer.concat(frames.flat());
      const whole = read(bytes, [16_384]);
      assert.equal(whole.fault, -1);
      assert.deepEqual(read(bytes, pieces), whole);
      assert.deepEqual(read(bytes, [1]), whole);
    }),
    { numRuns: 200 },
  );
});

test('whatever is sent ends in frames or in one reason, the same however it is cut', () => {
  const header = fc
    .tuple(
      fc.integer({ min: 0, max: 40 }),
      fc.integer({ min: 0, max: 12 }),
      fc.integer({ min: 0, max: 255 }),
      fc.integer({ min: 0, max: 3 }),
      fc.uint8Array({ minLength: 0, maxLength: 40 }),
    )
    .map(([length, type, flags, id, body]) =>
      Buffer.concat([Buffer.from([0, 0, length, type, flags, 0, 0, 0, id]), body]),
    );
  fc.assert(
    fc.property(fc.array(header, { minLength: 1, maxLength: 10 }), fc.integer({ min: 1, max: 60 }), (parts, cut) => {
      const bytes = Buffer.concat(parts);
      const whole = read(bytes, [16_384]);
      assert.ok(whole.fault >= -1 && whole.fault <= Reason.HTTP_1_1_REQUIRED);
      assert.deepEqual(read(bytes, [cut]), whole);
    }),
    { numRuns: 500 },
  );
});

test('a frame or a block beyond its bounds is refused before it is held', () => {
  const long = Buffer.from([0, 0x40, 1, 4, 0, 0, 0, 0, 0]);
  assert.equal(read(long, [9]).fault, Reason.FRAME_SIZE_ERROR);
  const part = Buffer.alloc(FRAME_BYTES);
  const block = Buffer.concat([frame(FrameType.HEADERS, 0, 1, part), frame(FrameType.CONTINUATION, 0, 1, part)]);
  assert.equal(read(block, [5000]).fault, Reason.ENHANCE_YOUR_CALM);
  const many = [
    frame(FrameType.HEADERS, 0, 1),
    ...Array.from({ length: 20 }, () => frame(FrameType.CONTINUATION, 0, 1)),
  ];
  assert.equal(read(Buffer.concat(many), [100]).fault, Reason.ENHANCE_YOUR_CALM);
});

test('faults of single frames have the reason that RFC 9113 names', () => {
  const cases: readonly (readonly [string, Buffer, number])[] = [
    ['DATA on stream 0', frame(FrameType.DATA, 0, 0, Buffer.from('x')), Reason.PROTOCOL_ERROR],
    ['HEADERS on stream 0', frame(FrameType.HEADERS, Flag.END_HEADERS, 0, Buffer.from('x')), Reason.PROTOCOL_ERROR],
    ['more padding than payload', frame(FrameType.DATA, Flag.PADDED, 1, Buffer.from([9, 1])), Reason.PROTOCOL_ERROR],
    ['padding without length', frame(FrameType.DATA, Flag.PADDED, 1), Reason.FRAME_SIZE_ERROR],
    ['CONTINUATION alone', frame(FrameType.CONTINUATION, Flag.END_HEADERS, 1), Reason.PROTOCOL_ERROR],
    [
      'another frame in a block',
      Buffer.concat([frame(FrameType.HEADERS, 0, 1), frame(6, 0, 0)]),
      Reason.PROTOCOL_ERROR,
    ],
    [
      'another stream in a block',
      Buffer.concat([frame(FrameType.HEADERS, 0, 1), frame(FrameType.CONTINUATION, 4, 3)]),
      Reason.PROTOCOL_ERROR,
    ],
    [
      'a stream of itself',
      frame(FrameType.HEADERS, Flag.END_HEADERS | Flag.PRIORITY, 3, Buffer.from([0, 0, 0, 3, 0])),
      Reason.PROTOCOL_ERROR,
    ],
  ];
  for (const [what, bytes, reason] of cases) {
    assert.equal(read(bytes, [16_384]).fault, reason, what);
    assert.equal(read(bytes, [1]).fault, reason, `${what}, byte by byte`);
  }
});
