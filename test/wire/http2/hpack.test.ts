import assert from 'node:assert/strict';
import { test } from 'node:test';
import { memory } from '../../../lib/wire/http1/llhttp.ts';
import { BlockKind, FieldBlock } from '../../../lib/wire/http2/field-block.ts';
import { HpackDecoder } from '../../../lib/wire/http2/hpack-decoder.ts';
import { blockRoom, putLines, putStatus } from '../../../lib/wire/http2/hpack-encoder.ts';
import { decodeHuffman } from '../../../lib/wire/http2/huffman.ts';

const hex = (text: string) => Buffer.from(text.replace(/\s/g, ''), 'hex');
const block = new FieldBlock();

/** The head that a request block becomes, or its fault. */
function request(decoder: HpackDecoder, bytes: Buffer, headBytes = 16_384, headers = 100): string {
  block.begin(BlockKind.REQUEST, headBytes, headers);
  if (!decoder.decode(bytes, 0, bytes.length, block)) return 'connection';
  if (block.tooLarge) return 'too large';
  if (block.fault !== '') return block.fault;
  return memory.toString('latin1', block.lineStart, block.at);
}

/** The lines of a response. */
function response(decoder: HpackDecoder, bytes: Buffer): string {
  block.begin(BlockKind.RESPONSE, 16_384, 100);
  assert.ok(decoder.decode(bytes, 0, bytes.length, block));
  assert.equal(block.fault, '');
  return memory.toString('latin1', block.lineStart, block.at);
}

/** A literal without index and without Huffman coding. */
function literal(name: string, value: string, first = 0x00): Buffer {
  return Buffer.concat([Buffer.from([first]), string(name), string(value)]);
}
function string(text: string): Buffer {
  const length: number[] = [];
  if (text.length < 127) length.push(text.length);
  else {
    length.push(127);
    let rest = text.length - 127;
    for (; rest >= 128; rest >>= 7) length.push((rest & 127) | 128);
    length.push(rest);
  }
  return Buffer.concat([Buffer.from(length), Buffer.from(text, 'latin1')]);
}
/** GET https://a.test/ */
const GET = Buffer.concat([hex('82 87 84'), literal(':authority', 'a.test')]);

test('the requests of RFC 7541 C.3 and C.4 are decoded, with and without Huffman coding', () => {
  const cases = [
    [
      '8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d',
      '8286 84be 5808 6e6f 2d63 6163 6865',
      '8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65',
    ],
    [
      '8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff',
      '8286 84be 5886 a8eb 1064 9cbf',
      '8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf',
    ],
  ];
  for (const [first, second, third] of cases) {
    const decoder = new HpackDecoder();
    assert.equal(request(decoder, hex(first!)), 'GET / HTTP/1.1\r\nhost: www.example.com\r\n');
    assert.equal(
      request(decoder, hex(second!)),
      'GET / HTTP/1.1\r\nhost: www.example.com\r\ncache-control: no-cache\r\n',
    );
    assert.equal(
      request(decoder, hex(third!)),
      'GET /index.html HTTP/1.1\r\nhost: www.example.com\r\ncustom-key: custom-value\r\n',
    );
  }
});

test('the responses of RFC 7541 C.6 are decoded through a table that evicts', () => {
  const decoder = new HpackDecoder();
  // The RFC's table has 256 bytes: the encoder says so first.
  const first =
    '3fe101 4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3';
  const rest = 'cache-control: private\r\ndate: Mon, 21 Oct 2013 20:13:21 GMT\r\nlocation: https://www.example.com\r\n';
  assert.equal(response(decoder, hex(first)), `HTTP/1.1 302 Found\r\n${rest}`);
  assert.equal(response(decoder, hex('4883 640e ffc1 c0bf')), `HTTP/1.1 307 Temporary Redirect\r\n${rest}`);
  assert.equal(
    response(
      decoder,
      hex(
        '88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07',
      ),
    ),
    'HTTP/1.1 200 OK\r\ncache-control: private\r\ndate: Mon, 21 Oct 2013 20:13:22 GMT\r\nlocation: https://www.example.com\r\ncontent-encoding: gzip\r\nset-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1\r\n',
  );
});

test('Huffman strings with wrong padding, with EOS or too long for their place are refused', () => {
  const into = Buffer.alloc(64);
  const decode = (bytes: Buffer, most = 64) => decodeHuffman(bytes, 0, bytes.length, into, 0, most);
  assert.equal(into.toString('latin1', 0, decode(hex('f1e3 c2e5 f23a 6ba0 ab90 f4ff'))), 'www.example.com');
  // `a` is 00011; three bits of padding must be ones.
  assert.equal(decode(hex('1f')), 1);
  assert.equal(decode(hex('18')), -1);
  assert.equal(decode(hex('1fff')), -1, 'a whole byte of padding');
  assert.equal(decode(hex('ffff ffff')), -1, 'EOS');
  assert.equal(decode(hex('f1e3 c2e5 f23a 6ba0 ab90 f4ff'), 4), -2);
});

test('a block that breaks the rules of compression ends the connection', () => {
  for (const bytes of [
    hex('80'), // index 0
    hex('be'), // beyond the tables
    hex('7f ff ff ff ff ff 0f'), // an integer without end
    hex('40 0a 61'), // a name cut short
    hex('82 20'), // a new size of the table behind a field
    hex('3f e2 1f'), // 4097: larger than we allow
    hex('00 81 ff 00'), // padding longer than 7 bits
  ]) {
    assert.equal(request(new HpackDecoder(), bytes), 'connection', bytes.toString('hex'));
  }
});

test('malformed requests are told from well-formed ones', () => {
  const cases: [string, Buffer, RegExp][] = [
    ['no path', Buffer.concat([hex('82 87'), literal(':authority', 'a')]), /no :path/],
    ['no method', hex('87 84'), /no :method/],
    ['a pseudo-field twice', Buffer.concat([GET, hex('84')]), /twice/],
    ['a status', Buffer.concat([GET, hex('88')]), /other direction/],
    ['an unknown pseudo-field', Buffer.concat([GET, literal(':x', '1')]), /unknown/],
    ['a pseudo-field behind fields', Buffer.concat([hex('82 87'), literal('a', 'b'), hex('84')]), /no :path|behind/],
    ['capitals in a name', Buffer.concat([GET, literal('X-A', '1')]), /bytes/],
    ['a line break in a value', Buffer.concat([GET, literal('a', 'b\r\nc: d')]), /bytes/],
    ['a colon in a name', Buffer.concat([GET, literal('a: b', 'c')]), /bytes/],
    ['a blank before a value', Buffer.concat([GET, literal('a', ' b')]), /bytes/],
    ['an empty name', Buffer.concat([GET, literal('', 'b')]), /bytes/],
    ['Connection', Buffer.concat([GET, literal('connection', 'close')]), /HTTP\/1/],
    ['Transfer-Encoding', Buffer.concat([GET, literal('transfer-encoding', 'chunked')]), /HTTP\/1/],
    ['TE', Buffer.concat([GET, literal('te', 'gzip')]), /TE/],
    ['two hosts', Buffer.concat([GET, literal('host', 'b.test')]), /differ/],
  ];
  for (const [name, bytes, wanted] of cases) assert.match(request(new HpackDecoder(), bytes), wanted, name);
  const fine = Buffer.concat([GET, literal('host', 'A.test'), literal('te', 'trailers')]);
  assert.equal(request(new HpackDecoder(), fine), 'GET / HTTP/1.1\r\nhost: a.test\r\nte: trailers\r\n');
});

test('several cookies become one line', () => {
  const bytes = Buffer.concat([GET, literal('cookie', 'a=1'), literal('x', 'y'), literal('cookie', 'b=2')]);
  const head = request(new HpackDecoder(), bytes);
  assert.ok(head.endsWith('cookie: a=1; b=2\r\n'), head);
});

test('what is larger than allowed is refused, and the table goes on as the encoder believes', () => {
  const decoder = new HpackDecoder();
  const large = Buffer.concat([
    GET,
    literal('kept', 'x'.repeat(3000), 0x40),
    Buffer.alloc(20, 0xbe),
    literal('last', '1', 0x40),
  ]);
  assert.equal(request(decoder, large), 'too large');
  const next = request(decoder, Buffer.concat([GET, hex('be bf')]));
  assert.equal(next, `GET / HTTP/1.1\r\nhost: a.test\r\nlast: 1\r\nkept: ${'x'.repeat(3000)}\r\n`);
  const many = Buffer.concat([GET, ...Array.from({ length: 20 }, (_, at) => literal(`n${at}`, ''))]);
  assert.equal(request(decoder, many, 16_384, 10), 'too large');
});

test('a block that refers to one large field over and over costs no more than its length', () => {
  const decoder = new HpackDecoder();
  const bomb = Buffer.concat([GET, literal('bomb', 'x'.repeat(3900), 0x40), Buffer.alloc(48_000, 0xbe)]);
  for (let round = 0; round < 50; round++) assert.equal(request(decoder, bomb), 'too large');
});

test('what is encoded is decoded to the same lines, names in lower case', () => {
  const lines = `Content-Type: text/plain\r\nX-Long-${'n'.repeat(200)}: ${'v'.repeat(20_000)}\r\nEmpty: \r\nSet-Cookie: a=b\r\n`;
  const text = Buffer.from(lines);
  for (const status of [200, 204, 301, 404, 418, 599]) {
    const encoded = Buffer.alloc(blockRoom(text.length));
    const length = putLines(text, 0, text.length, [Buffer.from('empty')], encoded, putStatus(status, encoded, 0));
    block.begin(BlockKind.RESPONSE, 48_000, 100);
    assert.ok(new HpackDecoder().decode(encoded, 0, length, block));
    const head = memory.toString('latin1', block.lineEnd, block.at);
    assert.equal(
      head,
      lines.replace('Empty: \r\n', '').replace(/^[^:]*/gm, (name) => name.toLowerCase()),
    );
    assert.match(memory.toString('latin1', block.lineStart, block.lineEnd), new RegExp(`^HTTP/1.1 ${status} `));
  }
});

test('random bytes end in a verdict, whatever they are, and never in an exception', () => {
  let seed = 7;
  const random = () => (seed = (seed * 1103515245 + 12345) & 0x7fffffff) / 0x7fffffff;
  for (let round = 0; round < 20_000; round++) {
    const bytes = Buffer.from(Array.from({ length: 1 + Math.floor(random() * 60) }, () => Math.floor(random() * 256)));
    request(new HpackDecoder(), Buffer.concat([random() < 0.5 ? GET : Buffer.alloc(0), bytes]));
    assert.ok(block.at - block.start <= 70_000);
  }
});
