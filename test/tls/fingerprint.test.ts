// JA3 and JA4 against the examples of their authors.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { fingerprint } from '../../lib/tls/fingerprint.ts';
import { ClientHello, Hello, readClientHello } from '../../lib/wire/client-hello.ts';
import {
  alpn,
  type Extension,
  helloMessage,
  inRecords,
  serverName,
  sized,
  supportedVersions,
  u16,
} from '../support/client-hello.ts';

const list = (...values: number[]): Buffer => Buffer.concat(values.map(u16));

function print(parts: Parameters<typeof helloMessage>[0], fragment?: number) {
  const bytes = inRecords(helloMessage(parts), fragment);
  const hello = new ClientHello();
  assert.equal(readClientHello(bytes, 0, bytes.length, hello), Hello.DONE, hello.fault);
  return fingerprint(bytes, 0, hello.length);
}

const CHROME_SUITES = [
  0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014, 0x9c, 0x9d, 0x2f, 0x35,
];
const CHROME_SIGNATURES = [0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601];

/** Chrome as the description of JA4 has it, its extensions in this order. */
function chrome(order: readonly number[]): Parameters<typeof helloMessage>[0] {
  const bodies: Readonly<Record<number, Extension>> = {
    0: serverName('example.com'),
    10: [10, sized(2, list(0x2a2a, 29, 23, 24))],
    11: [11, sized(1, Buffer.from([0]))],
    13: [13, sized(2, list(...CHROME_SIGNATURES))],
    16: alpn('h2', 'http/1.1'),
    43: supportedVersions(0x3a3a, 0x0304, 0x0303),
  };
  return {
    suites: list(0x4a4a, ...CHROME_SUITES),
    extensions: order.map((kind) => bodies[kind] ?? ([kind, Buffer.alloc(0)] as const)),
  };
}

const CHROME_ORDER = [
  0x8a8a, 0x1b, 0, 0x33, 16, 0x4469, 0x17, 0x2d, 13, 5, 0x23, 0x12, 43, 0xff01, 11, 10, 0x15, 0xfafa,
];

test('JA4 is what its description says for Chrome, in whatever order the extensions stand', () => {
  for (const order of [CHROME_ORDER, CHROME_ORDER.toReversed()]) {
    assert.equal(print(chrome(order)).ja4, 't13d1516h2_8daaf6152771_e5627efa2ab1');
  }
});

test('JA3 is what its description says', () => {
  const suites = list(47, 53, 5, 10, 49161, 49162, 49171, 49172, 50, 56, 19, 4);
  const groups: Extension = [10, sized(2, list(23, 24, 25))];
  const formats: Extension = [11, sized(1, Buffer.from([0]))];
  const extensions = [serverName('example.com'), groups, formats];
  assert.equal(print({ legacyVersion: 769, suites, extensions }).ja3, 'ada70206e40642a3e4461f35503241d5');
  // Without extensions its last three parts are empty.
  const bare = list(4, 5, 10, 9, 100, 98, 3, 6, 19, 18, 99);
  assert.equal(print({ legacyVersion: 769, suites: bare, extensions: null }).ja3, 'de350869b8c85de67a350c8d186f11e6');
});

test('the first part of JA4 tells version, name, counts and protocol', () => {
  const first = (extensions: readonly Extension[] | null, legacyVersion = 0x0303): string =>
    print({ legacyVersion, suites: list(0x1301), extensions }).ja4.slice(0, 10);
  assert.equal(first(null), 't12i010000');
  assert.equal(first([], 0x0301), 't10i010000');
  assert.equal(first([serverName('a.test')]), 't12d010100');
  assert.equal(first([alpn('http/1.1')]), 't12i0101h1');
  assert.equal(first([alpn('\xabx\xcd')]), 't12i0101ad');
  assert.equal(first([alpn('a')]), 't12i0101aa');
  assert.equal(print({ suites: list(0x1301), extensions: null }).ja4.slice(-12), '000000000000');
});

test('a hello has the same fingerprints in one record and in many', () => {
  const whole = print(chrome(CHROME_ORDER));
  for (const fragment of [1, 7, 100]) assert.deepEqual(print(chrome(CHROME_ORDER), fragment), whole);
});

test('whatever a hello holds that is let in, its fingerprints have their form', () => {
  const extension = fc.tuple(fc.integer({ min: 44, max: 0xffff }), fc.uint8Array({ maxLength: 20 }));
  const odd = fc.tuple(fc.constantFrom(10, 11, 13), fc.uint8Array({ maxLength: 9 }));
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.oneof(extension, odd), { selector: ([kind]) => kind, maxLength: 12 }),
      (extensions) => {
        const { ja3, ja4 } = print({ extensions });
        assert.match(ja3, /^[0-9a-f]{32}$/);
        assert.match(ja4, /^t1[0-9][di]\d{4}[0-9a-z]{2}_[0-9a-f]{12}_[0-9a-f]{12}$/);
      },
    ),
  );
});
