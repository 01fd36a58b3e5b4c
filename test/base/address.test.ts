// Addresses as people write them, back and forth, and blocks of addresses.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AddressBlocks, formatAddress, parseAddress, parseBlocks, unmapAddress } from '../../lib/base/address.ts';

const GOOD: [string, Partial<ReturnType<typeof parseAddress>>][] = [
  [':8080', { kind: 'tcp', host: '', port: 8080 }],
  ['localhost:0', { kind: 'tcp', host: 'localhost', port: 0 }],
  ['a_b-c.example.:65535', { kind: 'tcp', host: 'a_b-c.example.', port: 65535 }],
  ['192.0.2.1:80', { kind: 'tcp', host: '192.0.2.1', port: 80 }],
  ['[::1]:80', { kind: 'tcp', host: '::1', port: 80 }],
  ['unix:/run/a:b.sock', { kind: 'unix', path: '/run/a:b.sock', port: 0, fd: -1 }],
  ['fd:3', { kind: 'fd', fd: 3 }],
];

test('every form of address is read and written back the same', () => {
  for (const [text, expected] of GOOD) {
    const address = parseAddress(text);
    assert.ok(!('fault' in address), text);
    for (const [key, value] of Object.entries(expected))
      assert.equal(address[key as keyof typeof address], value, text);
    assert.equal(formatAddress(address), text);
  }
});

test('what is no address is refused in words', () => {
  const bad: [string, RegExp][] = [
    ['', /no port/],
    ['localhost', /no port/],
    ['localhost:', /not a port/],
    ['localhost:65536', /not a port/],
    ['localhost:-1', /not a port/],
    ['localhost:8o', /not a port/],
    ['::1:80', /brackets/],
    ['[::x]:80', /not an IPv6/],
    ['[192.0.2.1]:80', /not an IPv6/],
    ['a b:80', /not a host name/],
    ['-a:80', /not a host name/],
    [`${'a'.repeat(64)}:80`, /not a host name/],
    ['unix:', /path/],
    [`unix:/${'x'.repeat(107)}`, /107/],
    ['fd:', /descriptor/],
    ['fd:-1', /descriptor/],
    ['fd:x', /descriptor/],
    ['fd:2', /standard streams/],
  ];
  for (const [text, fault] of bad) {
    const address = parseAddress(text);
    assert.ok('fault' in address, text);
    assert.match(address.fault, fault, text);
  }
});

test('blocks hold what lies in them, whichever way it is written', () => {
  const blocks = parseBlocks(['10.0.0.0/8', '192.0.2.7', '2001:db8::/32', '::1']);
  assert.ok(blocks instanceof AddressBlocks);
  assert.equal(blocks.size, 4);
  for (const inside of ['10.255.0.1', '::ffff:10.0.0.1', '192.0.2.7', '2001:db8:ffff::', '::1']) {
    assert.ok(blocks.has(inside), inside);
  }
  for (const outside of ['11.0.0.1', '192.0.2.8', '2001:db9::', '::2', '', 'localhost', '10.0.0']) {
    assert.ok(!blocks.has(outside), outside);
  }
  assert.ok(!new AddressBlocks().has('10.0.0.1'));
  const everything = parseBlocks(['0.0.0.0/0']);
  assert.ok(everything instanceof AddressBlocks && everything.has('203.0.113.9'));
});

test('what is no block is refused in words', () => {
  for (const [entry, fault] of [
    ['10.0.0.0/33', /0 to 32/],
    ['::/129', /0 to 128/],
    ['10.0.0.0/', /prefix/],
    ['10.0.0.0/8x', /prefix/],
    ['10.0.0/8', /not an IP/],
    ['example.com', /not an IP/],
    ['', /not an IP/],
  ] as const) {
    const blocks = parseBlocks(['::1', entry]);
    assert.ok('fault' in blocks, entry);
    assert.match(blocks.fault, fault, entry);
  }
});

test('mapped IPv4 addresses are written as IPv4, and nothing else changes', () => {
  assert.equal(unmapAddress('::ffff:192.0.2.1'), '192.0.2.1');
  for (const same of ['192.0.2.1', '::1', '::ffff:1', '']) assert.equal(unmapAddress(same), same);
});
