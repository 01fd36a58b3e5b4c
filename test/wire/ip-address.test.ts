import assert from 'node:assert/strict';
import { isIPv4, isIPv6 } from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatIPv4, formatIPv6, isMapped, readIPv4, readIPv6 } from '../../lib/wire/ip-address.ts';

const GUARD = 0xaa;

/** The address's bytes, or null; the text lies between digits, and the bytes around the result must stay. */
function read(reader: typeof readIPv4, width: number, text: string): Buffer | null {
  const bytes = Buffer.from(`1${text}1`, 'latin1');
  const out = Buffer.alloc(width + 4, GUARD);
  const read = reader(bytes, 1, bytes.length - 1, out, 2);
  for (const at of [0, 1, width + 2, width + 3]) assert.equal(out[at], GUARD, text);
  return read ? out.subarray(2, width + 2) : null;
}
const readV4 = (text: string) => read(readIPv4, 4, text);
const readV6 = (text: string) => read(readIPv6, 16, text);

test('IPv4 addresses are read in canonical form only', () => {
  assert.deepEqual(readV4('192.0.2.255'), Buffer.from([192, 0, 2, 255]));
  for (const text of ['', '1', '1.2.3', '1.2.3.4.5', '1.2.3.4.', '.1.2.3.4', '1..2.3', '256.1.1.1', '1.2.3.1000']) {
    assert.equal(readV4(text), null, text);
  }
  for (const text of ['01.2.3.4', '1.2.3.00', '0x1.2.3.4', ' 1.2.3.4', '1.2.3.4 ', '-1.2.3.4', '1.2.3.4:80']) {
    assert.equal(readV4(text), null, text);
  }
});

test('IPv6 addresses are read in all forms of RFC 4291 and no other', () => {
  assert.equal(readV6('2001:DB8:0:0:8:800:200C:417A')!.toString('hex'), '20010db80000000000080800200c417a');
  assert.equal(readV6('::')!.toString('hex'), '0'.repeat(32));
  assert.equal(readV6('1::8')!.toString('hex'), `0001${'0'.repeat(24)}0008`);
  assert.equal(readV6('::13.1.68.3')!.toString('hex'), `${'0'.repeat(24)}0d014403`);
  assert.equal(readV6('1:2:3:4:5:6:7.8.9.10')!.toString('hex'), '0001000200030004000500060708090a');
  assert.equal(readV6('1:2:3:4:5:6:7::')!.toString('hex'), '00010002000300040005000600070000');
  for (const text of [
    '',
    ':',
    ':::',
    '1',
    '1:',
    ':1',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1:2:3:4:5:6:7:8::',
  ]) {
    assert.equal(readV6(text), null, text);
  }
  for (const text of [
    '12345::',
    'g::',
    '::1.2.3',
    '::1.2.3.4.5',
    '1:2:3:4:5:6:7:1.2.3.4',
    '::1.2.3.4:5',
    '1.2.3.4',
    '::1%lo',
    '[::1]',
    '::01.2.3.4',
    '::ffff:1.2.3.456',
  ]) {
    assert.equal(readV6(text), null, text);
  }
});

test('text made of the characters of addresses is judged as the system judges it', () => {
  const pieces = fc.constantFrom(':', '::', '.', '0', '1', '12', '255', '256', 'ffff', 'a', '10000', '1.2.3.4', '0:0');
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 17 }), (parts) => {
      const text = parts.join('');
      assert.equal(readV4(text) !== null, isIPv4(text), text);
      assert.equal(readV6(text) !== null, isIPv6(text), text);
    }),
    { numRuns: 5000 },
  );
});

test('formatting shortens as RFC 5952 asks and reads back as the same bytes', () => {
  for (const [text, short] of [
    ['2001:db8:0:0:0:0:2:1', '2001:db8::2:1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['0:0:0:0:0:0:0:0', '::'],
    ['0:0:0:0:0:0:0:1', '::1'],
    ['1:0:0:0:0:0:0:0', '1::'],
    ['ABCD:EF01:2:3:4:5:6:7', 'abcd:ef01:2:3:4:5:6:7'],
    ['::ffff:c000:201', '::ffff:192.0.2.1'],
    ['::fffe:c000:201', '::fffe:c000:201'],
    ['1::ffff:c000:201', '1::ffff:c000:201'],
  ] as const) {
    assert.equal(formatIPv6(readV6(text)!, 0), short);
  }
  assert.equal(formatIPv4(Buffer.from([9, 192, 0, 2, 1]), 1), '192.0.2.1');
  assert.equal(isMapped(readV6('::ffff:1.2.3.4')!, 0), true);
  assert.equal(isMapped(readV6('::1.2.3.4')!, 0), false);
  const octet = fc.oneof({ weight: 2, arbitrary: fc.constant(0) }, fc.integer({ min: 0, max: 255 }));
  fc.assert(
    fc.property(fc.array(octet, { minLength: 16, maxLength: 16 }), (octets) => {
      const bytes = Buffer.from(octets);
      assert.deepEqual(readV6(formatIPv6(bytes, 0)), bytes);
    }),
    { numRuns: 1000 },
  );
});
