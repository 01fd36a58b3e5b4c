// What heads mean: framing, connection options, expectations. The hostile ones are fixtures/http, told by the scenarios.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RequestHead, ResponseHead } from '../../../lib/wire/http1/head.ts';
import { carve, memory, REQUEST, RESPONSE } from '../../../lib/wire/http1/llhttp.ts';
import { leaseParser, type Parser, releaseParser, Verdict } from '../../../lib/wire/http1/parser.ts';

const room = carve(16_384);

/** What `look` sees of a head while it is valid. */
function read<Head extends RequestHead | ResponseHead, Seen>(
  head: Head,
  text: string,
  look: (head: Head, fault: string | undefined) => Seen,
): Seen {
  const seen: Seen[] = [];
  const receiver = {
    onHead(parser: Parser): number {
      seen.push(look(head, head.read(parser)?.code));
      return Verdict.NO_BODY;
    },
    onBody(): void {},
  };
  const parser = leaseParser(head instanceof RequestHead ? REQUEST : RESPONSE, receiver, {
    headBytes: 8192,
    headers: 100,
  })!;
  memory.write(text, room, 'latin1');
  parser.execute(room, room + text.length);
  releaseParser(parser);
  assert.equal(seen.length, 1, text);
  return seen[0]!;
}

const asked = <Seen>(lines: string, look: (head: RequestHead, fault: string | undefined) => Seen): Seen =>
  read(new RequestHead(), `GET / HTTP/1.1\r\nHost: a\r\n${lines}\r\n`, look);
const answered = <Seen>(lines: string, look: (head: ResponseHead, fault: string | undefined) => Seen): Seen =>
  read(new ResponseHead(), `HTTP/1.1 200 OK\r\n${lines}\r\n`, look);

test('Connection is read as a list without case, over several lines', () => {
  const options = (lines: string) =>
    asked(lines, (head) => [head.close, head.keepAlive, head.upgrade, head.nominating]);
  assert.deepEqual(options(''), [false, false, false, false]);
  assert.deepEqual(options('Connection: Keep-Alive,  UPGRADE\r\n'), [false, true, true, false]);
  assert.deepEqual(options('Connection: te\r\nconnection:\tclose\t,\r\n'), [true, false, false, false]);
  assert.deepEqual(options('Connection: ,, x-a\r\n'), [false, false, false, true]);
  assert.deepEqual(options('Connection: closed\r\n'), [false, false, false, true]);
});

test('fields named in Connection are found whatever their case', () => {
  const nominated = asked(
    'Connection: X-One, close\r\nx-one: 1\r\nX-Two: 2\r\nConnection: x-two\r\nX-On: 3\r\n',
    (head) => Array.from({ length: head.fields.count }, (_, field) => head.nominates(field)),
  );
  assert.deepEqual(nominated, [false, false, true, true, false, false]);
});

test('framing of a request is a length, chunks or nothing', () => {
  const framing = (lines: string) => asked(lines, (head, fault) => [fault, head.contentLength, head.chunked]);
  assert.deepEqual(framing(''), [undefined, -1, false]);
  assert.deepEqual(framing('Content-Length: 0\r\n'), [undefined, 0, false]);
  assert.deepEqual(framing('content-length:  000123 \r\n'), [undefined, 123, false]);
  assert.deepEqual(framing('Content-Length: 999999999999999\r\n'), [undefined, 999_999_999_999_999, false]);
  assert.equal(framing('Content-Length: 1000000000000000\r\n')[0], 'bad_framing');
  assert.deepEqual(framing('Transfer-Encoding: \tChunked \r\n'), [undefined, -1, true]);
});

test('one head object is clean again for the next head', () => {
  const head = new RequestHead();
  const first =
    'POST / HTTP/1.1\r\nHost: a\r\nConnection: close, upgrade, x\r\nTE: trailers\r\nUpgrade: h2c\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n';
  read(head, first, (it) => assert.ok(it.close && it.takesTrailers && it.offersH2c && it.expectsContinue));
  read(head, 'GET / HTTP/1.0\r\n\r\n', (it, fault) => {
    assert.equal(fault, undefined);
    assert.deepEqual(
      [
        it.close,
        it.upgrade,
        it.nominating,
        it.takesTrailers,
        it.offersH2c,
        it.expectsContinue,
        it.contentLength,
        it.host,
        it.minor,
      ],
      [false, false, false, false, false, false, -1, -1, 0],
    );
  });
});

test('TE, Upgrade and Expect are read as far as they matter', () => {
  assert.ok(asked('TE: gzip;q=0.5, TRAILERS ; x\r\n', (head) => head.takesTrailers));
  assert.ok(!asked('TE: trailers2\r\n', (head) => head.takesTrailers));
  assert.ok(asked('Upgrade: websocket, H2C\r\n', (head) => head.offersH2c));
  assert.ok(!asked('Upgrade: h2c2\r\n', (head) => head.offersH2c));
  assert.equal(
    asked('Expect: 100-continue, x\r\n', (_, fault) => fault),
    'expectation_failed',
  );
});

test('the status line is taken apart, with and without a reason', () => {
  const reason = (line: string) =>
    read(new ResponseHead(), `${line}\r\nContent-Length: 0\r\n\r\n`, (head, fault) => [
      fault,
      head.status,
      head.minor,
      memory.toString('latin1', head.reasonStart, head.reasonEnd),
    ]);
  assert.deepEqual(reason('HTTP/1.1 404 Not Found'), [undefined, 404, 1, 'Not Found']);
  assert.deepEqual(reason('HTTP/1.0 299 '), [undefined, 299, 0, '']);
  assert.deepEqual(reason('HTTP/1.1 500 caf\xe9\tx'), [undefined, 500, 1, 'caf\xe9\tx']);
  assert.equal(reason('HTTP/1.1 500 a\x01')[0], 'bad_response');
  assert.equal(reason('HTTP/1.1 500 a\x7fb')[0], 'bad_response');
});

test('a status line without a reason and without its space is passed on or refused, never misread', () => {
  const seen = read(new ResponseHead(), 'HTTP/1.1 204\r\nX-A: 1\r\n\r\n', (head, fault) => [
    fault,
    head.status,
    head.reasonEnd >= head.reasonStart,
  ]);
  assert.equal(seen[1], 204);
  assert.ok(seen[2]);
});

test('framing of a reply is a length, chunks or the end of the connection', () => {
  const framing = (lines: string) => answered(lines, (head, fault) => [fault, head.contentLength, head.chunked]);
  assert.deepEqual(framing(''), [undefined, -1, false]);
  assert.deepEqual(framing('Content-Length: 7\r\n'), [undefined, 7, false]);
  assert.deepEqual(framing('Transfer-Encoding: CHUNKED\r\n'), [undefined, -1, true]);
  assert.equal(framing('Transfer-Encoding: gzip, chunked\r\n')[0], 'bad_response');
});
