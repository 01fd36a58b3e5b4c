import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { ClientHello, HELLO_BYTES, Hello, readClientHello } from '../../lib/wire/client-hello.ts';
import {
  alpn,
  type Extension,
  type HelloParts,
  helloMessage,
  inRecords,
  serverName,
  sized,
  supportedVersions,
  u16,
} from '../support/client-hello.ts';

const FIXTURES = new URL('../../fixtures/wire/client-hello/', import.meta.url);

/** Reads a whole hello that lies between bytes that are not its own. */
function read(wire: Uint8Array): [answer: number, hello: ClientHello] {
  const hello = new ClientHello();
  hello.serverName = 'left over';
  const bytes = Buffer.concat([Buffer.alloc(7, 0x16), wire, Buffer.alloc(9, 0xff)]);
  return [readClientHello(bytes, 7, 7 + wire.length, hello), hello];
}

function readParts(parts: HelloParts): ClientHello {
  const [answer, hello] = read(inRecords(helloMessage(parts)));
  assert.equal(answer, Hello.DONE, hello.fault);
  return hello;
}

function faultOf(wire: Uint8Array): string {
  const [answer, hello] = read(wire);
  assert.equal(answer, Hello.MALFORMED);
  assert.deepEqual({ ...hello, fault: '' }, { ...new ClientHello() }, 'nothing is told of a malformed hello');
  return hello.fault;
}

const faultOfExtensions = (...extensions: Extension[]): string => faultOf(inRecords(helloMessage({ extensions })));

test('hellos captured from openssl, curl and Node are read as those clients were told to send them', () => {
  const names = readdirSync(FIXTURES).filter((name) => name.endsWith('.hex'));
  assert.ok(names.length >= 6);
  for (const name of names) {
    const wire = Buffer.from(readFileSync(new URL(name, FIXTURES), 'latin1').replaceAll('\n', ''), 'hex');
    const expected = JSON.parse(readFileSync(new URL(name.replace('.hex', '.json'), FIXTURES), 'utf8'));
    const [answer, hello] = read(wire);
    assert.equal(answer, Hello.DONE, name);
    assert.deepEqual({ ...hello }, expected, name);
    const bytes = Buffer.from(wire);
    for (let size = 0; size < wire.length; size++) {
      assert.equal(readClientHello(bytes, 0, size, hello), Hello.MORE, `${name} cut after ${size}`);
    }
  }
});

test('a hello cut over records says the same as in one, down to fragments of one byte', () => {
  const message = helloMessage({ extensions: [serverName('a.example'), alpn('h2'), supportedVersions(0x0304)] });
  const [, whole] = read(inRecords(message));
  for (const fragment of [1, 2, 3, 4, 5, 7, 64, message.length - 1]) {
    const wire = inRecords(message, fragment);
    const [answer, hello] = read(wire);
    assert.equal(answer, Hello.DONE);
    assert.deepEqual({ ...hello, length: 0 }, { ...whole, length: 0 });
    assert.equal(hello.length, wire.length);
    for (let size = 0; size < wire.length; size++) assert.equal(read(wire.subarray(0, size))[0], Hello.MORE);
  }
});

test('what follows the hello in a record of its own is left for others', () => {
  const wire = inRecords(helloMessage());
  const [answer, hello] = read(Buffer.concat([wire, Buffer.from([23, 3, 3, 0, 1, 0])]));
  assert.equal(answer, Hello.DONE);
  assert.equal(hello.length, wire.length);
});

test('hellos up to the limit are read, and larger ones refused as soon as their size is known', () => {
  const room =
    HELLO_BYTES - 4 * 5 - helloMessage({ extensions: [serverName('big.example'), [51, Buffer.alloc(0)]] }).length;
  const big = (extra: number) =>
    helloMessage({ extensions: [serverName('big.example'), [51, Buffer.alloc(room + extra, 7)]] });
  const wire = inRecords(big(0));
  assert.equal(wire.length, HELLO_BYTES);
  const [answer, hello] = read(wire);
  assert.equal(answer, Hello.DONE);
  assert.equal(hello.serverName, 'big.example');
  assert.equal(read(wire.subarray(0, -1))[0], Hello.MORE);
  assert.equal(faultOf(Buffer.from([22, 3, 1, 0x40, 0, 1, 1, 0, 0])), 'too_large');
  // In smaller records the same message takes too many bytes: known only when they came.
  const cut = inRecords(big(0), 1000);
  assert.equal(faultOf(cut), 'too_large');
  assert.equal(read(cut.subarray(0, HELLO_BYTES - 1))[0], Hello.MORE);
  assert.equal(faultOf(cut.subarray(0, HELLO_BYTES)), 'too_large');
});

test('GREASE values and encrypted ClientHello do not hide the rest', () => {
  const hello = readParts({
    extensions: [
      [0x2a2a, Buffer.alloc(0)],
      [0xfe0d, Buffer.alloc(180, 3)],
      alpn('\x3a\x3a', 'h2', 'http/1.1', '\x1a\x2a'),
      supportedVersions(0xfafa, 0x0304, 0x0303, 0x0a1a),
      serverName('Public.Example'),
      [0xdada, Buffer.from([0])],
    ],
  });
  assert.equal(hello.ech, true);
  assert.equal(hello.serverName, 'public.example');
  assert.deepEqual(hello.alpn, ['h2', 'http/1.1', '\x1a\x2a']);
  assert.deepEqual(hello.supportedVersions, [0x0304, 0x0303, 0x0a1a]);
});

test('a hello without extensions or without a name is fine', () => {
  assert.equal(readParts({ extensions: null }).serverName, '');
  assert.equal(readParts({ extensions: [] }).serverName, '');
  assert.equal(readParts({ legacyVersion: 0x0301, session: Buffer.alloc(0) }).legacyVersion, 0x0301);
});

test('IP literals as names are passed over with a note, as RFC 6066 forbids them but clients send them', () => {
  for (const name of ['192.0.2.1', '::1', '2001:DB8::1', '::ffff:192.0.2.1']) {
    const hello = readParts({ extensions: [serverName(name), alpn('h2')] });
    assert.equal(hello.serverName, '', name);
    assert.equal(hello.fault, 'ip_literal', name);
    assert.deepEqual(hello.alpn, ['h2']);
  }
});

test('names that no DNS name looks like make the hello malformed', () => {
  for (const [name, fault] of [
    ['', 'name_length'],
    ['a'.repeat(64), 'name_label'],
    [`${'a'.repeat(63)}.`.repeat(4).slice(0, 254), 'name_length'],
    ['x'.repeat(5000), 'name_length'],
    ['example.com\0.evil.example', 'name_bytes'],
    ['ex\xe4mple.com', 'name_bytes'],
    ['exa mple.com', 'name_bytes'],
    ['*.example.com', 'name_bytes'],
    ['example.com:443', 'name_bytes'],
    ['[::1]', 'name_bytes'],
    ['../etc', 'name_label'],
    ['a/b', 'name_bytes'],
    ['.example.com', 'name_label'],
    ['example..com', 'name_label'],
    ['example.com.', 'name_label'],
    ['.', 'name_label'],
  ] as const) {
    assert.equal(faultOfExtensions(serverName(name)), fault, JSON.stringify(name));
  }
  const longest = `${'a'.repeat(63)}.${'b'.repeat(63)}.${'c'.repeat(63)}.${'d'.repeat(61)}`;
  for (const name of [longest, 'xn--bcher-kva.example', '_sip._tcp.example', 'localhost', '1.2.3.4.5']) {
    assert.equal(readParts({ extensions: [serverName(name)] }).serverName, name);
  }
});

test('every byte but letters, digits, - and _ is refused within a name', () => {
  for (let byte = 0; byte < 256; byte++) {
    const char = String.fromCharCode(byte);
    const [answer, hello] = read(inRecords(helloMessage({ extensions: [serverName(`a${char}b`)] })));
    assert.equal(answer === Hello.DONE, /[A-Za-z0-9_.-]/.test(char), `byte ${byte}`);
    assert.equal(hello.serverName, answer === Hello.DONE ? `a${char}b`.toLowerCase() : '');
  }
});

test('a list of names takes one host name and passes over kinds that are not defined', () => {
  const entry = (kind: number, name: string) =>
    Buffer.concat([Buffer.from([kind]), sized(2, Buffer.from(name, 'latin1'))]);
  const list = (...entries: Buffer[]): Extension => [0, sized(2, Buffer.concat(entries))];
  assert.equal(readParts({ extensions: [list(entry(9, '\0\xff'), entry(0, 'a.example'))] }).serverName, 'a.example');
  assert.equal(readParts({ extensions: [list(entry(9, 'other'))] }).serverName, '');
  assert.equal(readParts({ extensions: [list(entry(9, ''))] }).serverName, '');
  assert.equal(faultOfExtensions(list(entry(0, 'a.example'), entry(0, 'b.example'))), 'name_twice');
  assert.equal(faultOfExtensions(list()), 'name_list_length');
  assert.equal(faultOfExtensions([0, Buffer.alloc(0)]), 'name_list_length');
  assert.equal(faultOfExtensions([0, Buffer.concat([u16(5), entry(0, 'a')])]), 'name_list_length');
  assert.equal(faultOfExtensions(list(Buffer.from([0, 0]))), 'name_length');
  assert.equal(faultOfExtensions(list(Buffer.from([0, 0, 9, 0x61]))), 'name_length');
});

test('wrong lengths and repeated extensions are malformed', () => {
  const message = (parts: HelloParts) => faultOf(inRecords(helloMessage(parts)));
  assert.equal(message({ session: Buffer.alloc(33) }), 'session_length');
  assert.equal(message({ suites: Buffer.alloc(0) }), 'cipher_length');
  assert.equal(message({ suites: Buffer.alloc(3) }), 'cipher_length');
  assert.equal(message({ compressions: Buffer.alloc(0) }), 'compression_length');
  assert.equal(faultOfExtensions([7, Buffer.alloc(0)], [7, Buffer.alloc(0)]), 'extension_twice');
  assert.equal(faultOfExtensions(serverName('a'), serverName('a')), 'extension_twice');
  assert.equal(faultOfExtensions([16, Buffer.alloc(0)]), 'alpn_length');
  assert.equal(faultOfExtensions([16, u16(0)]), 'alpn_length');
  assert.equal(faultOfExtensions([16, Buffer.from([0, 3, 2, 0x68])]), 'alpn_length');
  assert.equal(faultOfExtensions([16, Buffer.from([0, 2, 2, 0x68, 0x32])]), 'alpn_length');
  assert.equal(faultOfExtensions([16, Buffer.from([0, 3, 3, 0x68, 0x32])]), 'alpn_length');
  assert.equal(faultOfExtensions(alpn('')), 'alpn_length');
  assert.equal(faultOfExtensions(supportedVersions()), 'versions_length');
  assert.equal(faultOfExtensions([43, Buffer.from([3, 3, 4, 3])]), 'versions_length');
  assert.equal(faultOfExtensions([43, Buffer.from([2, 3, 4, 3, 3])]), 'versions_length');
  // Every cut of the message's body whose header claims the cut length.
  const whole = helloMessage({ extensions: [serverName('example.com'), alpn('h2')] });
  const withoutExtensions = helloMessage({ extensions: null }).length;
  for (let size = 4; size < whole.length; size++) {
    if (size === withoutExtensions) continue;
    const cut = Buffer.concat([Buffer.from([1]), sized(3, whole.subarray(4, size))]);
    assert.ok(faultOf(inRecords(cut)) !== '', `cut to ${size}`);
  }
  const longer = Buffer.concat([Buffer.from([1]), sized(3, Buffer.concat([whole.subarray(4), Buffer.alloc(2)]))]);
  assert.equal(faultOf(inRecords(longer)), 'extensions_length');
  const inner = Buffer.from(whole);
  inner[inner.length - 6] = 0xff; // the length of the last extension
  assert.equal(faultOf(inRecords(inner)), 'extension_length');
  const stub = helloMessage({ extensions: null });
  const stubbed = Buffer.concat([stub.subarray(4), sized(2, Buffer.from([0, 7]))]);
  assert.equal(faultOf(inRecords(Buffer.concat([Buffer.from([1]), sized(3, stubbed)]))), 'extension_length');
});

test('what is no ClientHello record is malformed at its first wrong byte', () => {
  for (const [bytes, fault] of [
    [[0x47], 'record_type'],
    [[22, 2], 'record_version'],
    [[22, 3, 9], 'record_version'],
    [[22, 3, 1, 0, 0], 'record_length'],
    [[22, 3, 1, 0x40, 1], 'record_length'],
    [[22, 3, 1, 0, 5, 2], 'message_type'],
    [[22, 3, 1, 0, 1, 1, 23], 'record_type'],
  ] as const) {
    const wire = Buffer.from(bytes);
    assert.equal(faultOf(wire), fault);
    assert.equal(read(wire.subarray(0, -1))[0], Hello.MORE);
  }
  const message = helloMessage();
  const trailing = inRecords(Buffer.concat([message, Buffer.from([20])]));
  assert.equal(faultOf(trailing), 'bytes_after_message');
  assert.equal(faultOf(trailing.subarray(0, 9)), 'bytes_after_message');
});
