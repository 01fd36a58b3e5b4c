// Properties that every reader of this room keeps on bytes nobody thought of: seeds from the fixtures, broken at
// random, and bytes made up whole.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { isIPv6 } from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';
import { ClientHello, Hello, readClientHello } from '../../lib/wire/client-hello.ts';
import { parseHttpDate } from '../../lib/wire/date.ts';
import { DETECT_BYTES, Detected, detect } from '../../lib/wire/detect.ts';
import {
  ProxyHeader,
  ProxyRead,
  readProxyHeader,
  writeProxyHeaderV1,
  writeProxyHeaderV2,
} from '../../lib/wire/proxy-protocol.ts';
import { Authority, normalisePath, pathIsPlain, readAuthority, readTarget, Target } from '../../lib/wire/uri.ts';
import { alpn, helloMessage, inRecords, serverName, supportedVersions } from '../support/client-hello.ts';

const FIXTURES = new URL('../../fixtures/wire/', import.meta.url);
const HELLOS = readdirSync(new URL('client-hello/', FIXTURES))
  .filter((name) => name.endsWith('.hex'))
  .map((name) => readFileSync(new URL(`client-hello/${name}`, FIXTURES), 'latin1').replaceAll('\n', ''))
  .map((hex) => Buffer.from(hex, 'hex'));
const HEADERS = (JSON.parse(readFileSync(new URL('proxy-protocol.json', FIXTURES), 'utf8')) as { hex: string }[]).map(
  ({ hex }) => Buffer.from(hex, 'hex'),
);
const REQUESTS = [
  'GET / HTTP/1.1\r\n\r\n',
  '\r\n\r\nOPTIONS * HTTP/1.1\r\n',
  'CONNECT [::1]:443 HTTP/1.1\r\n',
  'GET https://a.example:8443/b?c HTTP/1.1\r\n',
  'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
].map((text) => Buffer.from(text, 'latin1'));
const TARGETS = ['/a/b?c', 'http://a.example:80/b?c', 'HTTPS://[::ffff:192.0.2.1]?', 'a.example:443', '*', '/%2e%2E/'];

/** What a reader answered and everything it told, so that two readings can be compared. */
type Reading = readonly [answer: number | boolean, told: object | null];
type Reader = (bytes: Uint8Array, start: number, end: number) => Reading;

const READERS = {
  detect: (bytes, start, end) => [detect(bytes, start, end), null],
  hello: (bytes, start, end) => {
    const into = new ClientHello();
    return [readClientHello(bytes, start, end, into), { ...into }];
  },
  header: (bytes, start, end) => {
    const into = new ProxyHeader();
    return [readProxyHeader(bytes, start, end, into), { ...into }];
  },
  target: (bytes, start, end) => {
    const into = new Target();
    const read = readTarget(bytes, start, end, into);
    return [read, read ? relative({ ...into }, start) : null];
  },
  authority: (bytes, start, end) => {
    const into = new Authority();
    const read = readAuthority(bytes, start, end, into);
    return [read, read ? relative({ ...into }, start) : null];
  },
  plain: (bytes, start, end) => [pathIsPlain(bytes, start, end), null],
} satisfies Record<string, Reader>;

/** A seed with a few bytes changed, left out or put in. */
function broken(seeds: readonly Uint8Array[]): fc.Arbitrary<Buffer> {
  const change = fc.record({
    at: fc.nat(),
    // Lengths stand at the beginning of what they count, so breaking there goes deepest.
    near: fc.nat({ max: 63 }),
    early: fc.boolean(),
    cut: fc.constantFrom(0, 0, 1, 1, 1, 2, 16),
    put: fc.oneof(fc.uint8Array({ maxLength: 4 }), fc.constantFrom(...seeds)),
  });
  return fc.tuple(fc.constantFrom(...seeds), fc.array(change, { maxLength: 3 })).map(([seed, changes]) => {
    let bytes = Buffer.from(seed);
    for (const { at, near, early, cut, put } of changes) {
      const place = (early ? near : at) % (bytes.length + 1);
      bytes = Buffer.concat([bytes.subarray(0, place), put, bytes.subarray(place + cut)]);
    }
    return bytes;
  });
}

const madeUp = fc.uint8Array({ maxLength: 96 }).map((bytes) => Buffer.from(bytes));
const anyBytes = fc.oneof(
  { weight: 1, arbitrary: madeUp },
  { weight: 3, arbitrary: broken([...HELLOS, inRecords(helloMessage(), 3)]) },
  { weight: 3, arbitrary: broken(HEADERS) },
  { weight: 2, arbitrary: broken(REQUESTS) },
  { weight: 2, arbitrary: broken(TARGETS.map((text) => Buffer.from(text, 'latin1'))) },
);
const surroundings = fc.tuple(fc.uint8Array({ maxLength: 20 }), fc.uint8Array({ maxLength: 20 }));

test('a range reads as its copy does, whatever lies around it', () => {
  fc.assert(
    fc.property(anyBytes, surroundings, (bytes, [before, after]) => {
      const among = Buffer.concat([before, bytes, after]);
      // A plain Uint8Array at an offset: nothing may depend on Buffer or on where its memory begins.
      const view = new Uint8Array(among.buffer, among.byteOffset, among.length);
      for (const [name, read] of Object.entries(READERS)) {
        const whole = read(bytes, 0, bytes.length);
        assert.deepEqual(read(view, before.length, before.length + bytes.length), whole, name);
      }
    }),
    { numRuns: 12_000 },
  );
});

test('an answer given for some bytes stays when more bytes come', () => {
  const cuts = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 4, maxLength: 12 });
  fc.assert(
    fc.property(anyBytes, cuts, (bytes, places) => {
      const sizes = [0, 1, 2, 5, 6, ...places.map((place) => Math.floor(place * bytes.length)), bytes.length]
        .filter((size) => size <= bytes.length)
        .sort((a, b) => a - b);
      for (const [name, more] of [
        ['detect', Detected.MORE],
        ['hello', Hello.MORE],
        ['header', ProxyRead.MORE],
      ] as const) {
        let first: Reading | null = null;
        for (const size of sizes) {
          const reading = READERS[name](bytes, 0, size);
          if (first !== null) assert.deepEqual(reading, first, name);
          else if (reading[0] !== more) first = reading;
        }
      }
      if (bytes.length >= DETECT_BYTES) assert.notEqual(detect(bytes, 0, bytes.length), Detected.MORE);
    }),
    { numRuns: 12_000 },
  );
});

const label = fc.stringMatching(/^[a-z0-9_]([a-z0-9_-]{0,20}[a-z0-9_])?$/);
// A last label with a letter in it keeps the name from being an IPv4 address.
const hostName = fc.array(label, { maxLength: 4 }).map((labels) => [...labels, 'test'].join('.'));

test('a well-formed hello in any cut asks for more at every prefix and tells what was put in', () => {
  const plain = fc.constantFrom('h2', 'http/1.1', 'imap', 'x'.repeat(255));
  const fragment = fc.integer({ min: 1, max: 300 });
  fc.assert(
    fc.property(hostName, fc.array(plain, { minLength: 1 }), fragment, fc.uint8Array(), (name, names, size, more) => {
      const extensions = [serverName(name.toUpperCase()), alpn(...names), supportedVersions(0x0304)];
      const wire = inRecords(helloMessage({ extensions: [[0x1a1a, more], ...extensions] }), size);
      const hello = new ClientHello();
      const bytes = Buffer.concat([wire, more]);
      assert.equal(readClientHello(bytes, 0, bytes.length, hello), Hello.DONE);
      assert.deepEqual([hello.serverName, hello.alpn, hello.length], [name, names, wire.length]);
      assert.equal(detect(bytes, 0, bytes.length), Detected.TLS);
      const step = Math.max(1, Math.floor(wire.length / 50));
      for (let cut = wire.length - 1; cut >= 0; cut -= step) {
        assert.equal(readClientHello(bytes, 0, cut, hello), Hello.MORE);
      }
    }),
    { numRuns: 1200 },
  );
});

test('what the PROXY writers write is what the reader reads, and every prefix asks for more', () => {
  const address = fc.oneof(
    fc.ipV4(),
    fc.ipV6(),
    fc.ipV4().map((v4) => `::ffff:${v4}`),
  );
  const end = fc.record({ address, port: fc.nat({ max: 65535 }) });
  const ends = fc.option(end, { freq: 20 });
  const extras = fc.record({ authority: fc.oneof(fc.constant(''), hostName), checksummed: fc.boolean() });
  fc.assert(
    fc.property(ends, ends, extras, madeUp, (source, destination, more, after) => {
      const told: ProxyHeader[] = [];
      for (const wire of [
        writeProxyHeaderV1(source, destination),
        writeProxyHeaderV2(source, destination),
        writeProxyHeaderV2(source, destination, more),
      ]) {
        const bytes = Buffer.concat([wire, after]);
        const header = new ProxyHeader();
        for (let cut = 0; cut < wire.length; cut++) {
          assert.equal(readProxyHeader(bytes, 0, cut, header), ProxyRead.MORE);
        }
        assert.equal(readProxyHeader(bytes, 0, bytes.length, header), ProxyRead.DONE);
        assert.equal(header.length, wire.length);
        assert.equal(header.local, source === null || destination === null);
        if (!header.local) {
          assert.deepEqual([header.sourcePort, header.destinationPort], [source!.port, destination!.port]);
          for (const [read, sent] of [
            [header.sourceAddress, source!.address],
            [header.destinationAddress, destination!.address],
          ] as const) {
            assert.equal(canonical(read), canonical(sent));
          }
        }
        told.push(header);
      }
      assert.equal(told[2]!.authority, more.authority);
      const [one, two, three] = told.map((header) => ({ ...header, version: 0, length: 0, authority: '' }));
      assert.deepEqual(two, one);
      assert.deepEqual(three, one);
    }),
    { numRuns: 6_000 },
  );
});

test('targets and authorities that are taken stay inside their range and hold nothing that splits a request', () => {
  const pieces = fc.constantFrom(
    '/',
    '?',
    ':',
    '//',
    '@',
    'a',
    '.',
    '%',
    '[',
    ']',
    '::1',
    '80',
    'http://',
    ',',
    '\\',
    '*',
  );
  const text = fc.array(pieces, { maxLength: 12 }).map((parts) => Buffer.from(parts.join(''), 'latin1'));
  const target = new Target();
  const authority = new Authority();
  fc.assert(
    fc.property(fc.oneof(text, anyBytes), (bytes) => {
      if (readTarget(bytes, 0, bytes.length, target)) {
        assert.ok(!/[\x00-\x20\x7f#]/.test(bytes.toString('latin1')));
        const ends = [target.authorityStart, target.authorityEnd, target.pathStart, target.pathEnd];
        const there = [...ends, target.queryStart, target.queryEnd].filter((at) => at >= 0);
        assert.deepEqual(
          there,
          [...there].sort((a, b) => a - b),
        );
        assert.ok(there.every((at) => at <= bytes.length));
        if (target.authorityStart >= 0) {
          assert.ok(readAuthority(bytes, target.authorityStart, target.authorityEnd, authority));
        }
      }
      if (readAuthority(bytes, 0, bytes.length, authority)) {
        const host = bytes.toString('latin1', authority.hostStart, authority.hostEnd);
        assert.equal(isIPv6(host), authority.bracketed);
        assert.ok(authority.bracketed || /^[A-Za-z0-9\-._~!$&'()*+;=]{1,255}$/.test(host));
        assert.ok(authority.port >= -1 && authority.port <= 65535);
      }
    }),
    { numRuns: 30_000 },
  );
});

test('normalising a path twice changes nothing, leaves no dot segment, and agrees with the URL class', () => {
  const pieces = fc.constantFrom(
    '/',
    '/',
    '/',
    '.',
    '..',
    '%2e',
    '%2E',
    'a',
    '%41',
    '%7e',
    '%2f',
    '%c3',
    '%',
    '\\',
    '%00',
  );
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 14 }), (parts) => {
      const path = `/${parts.join('')}`;
      const bytes = Buffer.from(path, 'latin1');
      const normal = normalisePath(path);
      if (pathIsPlain(bytes, 0, bytes.length)) assert.equal(normal, path);
      if (normal === null) return;
      assert.equal(normalisePath(normal), normal);
      assert.ok(!/\/\.\.?(\/|$)/.test(normal), normal);
      if (path.includes('\\')) return; // which the URL class takes for a slash
      const other = new URL(`http://a${path}`).pathname;
      const decoded = other.replaceAll(/%(2e|41|7e)/gi, (triplet) => decodeURIComponent(triplet));
      assert.equal(
        normal,
        decoded.replaceAll(/%../g, (triplet) => triplet.toUpperCase()),
        path,
      );
    }),
    { numRuns: 30_000 },
  );
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const normal = normalisePath(text);
      if (normal !== null) assert.equal(normalisePath(normal), normal);
    }),
    { numRuns: 12_000 },
  );
});

test('text that is nearly a date is read as a time or as NaN', () => {
  const dates = ['Sun, 06 Nov 1994 08:49:37 GMT', 'Sunday, 06-Nov-94 08:49:37 GMT', 'Sun Nov  6 08:49:37 1994'];
  fc.assert(
    fc.property(broken(dates.map((text) => Buffer.from(text, 'latin1'))), fc.string(), (bytes, text) => {
      for (const near of [bytes.toString('latin1'), text]) {
        const time = parseHttpDate(near);
        assert.ok(Number.isNaN(time) || time % 1000 === 0);
      }
    }),
    { numRuns: 12_000 },
  );
});

/** Offsets counted from the start of the range. */
function relative(told: object, start: number): object {
  const entries = Object.entries(told).map(([name, value]) => {
    const offset = typeof value === 'number' && (name.endsWith('Start') || name.endsWith('End')) && value >= 0;
    return [name, offset ? value - start : value];
  });
  return Object.fromEntries(entries);
}

/** One spelling per address, mapped ones as IPv4. */
function canonical(address: string): string {
  if (!isIPv6(address)) return address;
  const host = new URL(`http://[${address}]/`).hostname;
  const mapped = /^\[::ffff:([0-9a-f]+):([0-9a-f]+)\]$/.exec(host);
  if (mapped === null) return host;
  const [high, low] = [Number.parseInt(mapped[1]!, 16), Number.parseInt(mapped[2]!, 16)];
  return `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`;
}
