import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DETECT_BYTES, Detected, detect } from '../../lib/wire/detect.ts';

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';

/** The answer, and after how many bytes it was reached; every shorter prefix must have said MORE. */
function decide(text: string): [answer: number, after: number] {
  // Bytes around the range would decide differently if they were looked at.
  const bytes = Buffer.from(`\x16\x03\x01${text}GET / HTTP/1.1\r\n`, 'latin1');
  const whole = detect(bytes, 3, 3 + text.length);
  for (let size = 0; size <= text.length; size++) {
    const answer = detect(bytes, 3, 3 + size);
    if (answer !== Detected.MORE) {
      assert.equal(answer, whole, `${JSON.stringify(text)} changed its mind after ${size}`);
      return [answer, size];
    }
  }
  return [Detected.MORE, text.length];
}

test('a TLS ClientHello is told by the sixth byte, other records and versions at their first wrong byte', () => {
  assert.deepEqual(decide('\x16\x03\x01\x02\x00\x01\x00'), [Detected.TLS, 6]);
  assert.deepEqual(decide('\x16\x03\x03\x40\x00\x01\x00'), [Detected.TLS, 6]);
  assert.deepEqual(decide('\x16\x03\x04\x00\x01\x01'), [Detected.TLS, 6]);
  assert.deepEqual(decide('\x16\x03\x01\x02\x00\x02'), [Detected.OTHER, 6]);
  assert.deepEqual(decide('\x16\x03\x01\x00\x00\x01'), [Detected.OTHER, 5]);
  assert.deepEqual(decide('\x16\x03\x01\x40\x01\x01'), [Detected.OTHER, 5]);
  assert.deepEqual(decide('\x16\x03\x05\x02\x00\x01'), [Detected.OTHER, 3]);
  assert.deepEqual(decide('\x16\x02\x01\x02\x00\x01'), [Detected.OTHER, 2]);
  assert.deepEqual(decide('\x15\x03\x01\x00\x02\x01'), [Detected.OTHER, 1]);
});

test('a request line is told by its method, a space and the start of a target', () => {
  for (const [text, after] of [
    ['GET / HTTP/1.1\r\n', 5],
    ['POST /x HTTP/1.1\r\n', 6],
    ['PUT /', 5],
    ['PRI /', 5],
    ['M-SEARCH * HTTP/1.1\r\n', 11],
    ['OPTIONS * HTTP/1.1\r\n', 10],
    ['GET http://a/ HTTP/1.1\r\n', 11],
    ['GET HTTPS://a/ HTTP/1.1\r\n', 12],
    ['CONNECT example.com:443 HTTP/1.1\r\n', 9],
    ['CONNECT [::1]:443 HTTP/1.1\r\n', 9],
    ['\r\nGET / HTTP/1.1\r\n', 7],
    ['\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\n', 13],
    ['UPDATEREDIRECTREF / HTTP/1.1\r\n', 19],
    ['MADE_UP / HTTP/1.1\r\n', 9],
  ] as const) {
    assert.deepEqual(decide(text), [Detected.HTTP1, after], JSON.stringify(text));
  }
});

test('methods are capitals, - and _, hosts after CONNECT begin with a letter, digit, _ or bracket, schemes are exact', () => {
  for (let byte = 0; byte < 256; byte++) {
    const char = String.fromCharCode(byte);
    assert.equal(decide(`A${char} /`)[0] === Detected.HTTP1, /[A-Z_-]/.test(char), `A${char}`);
    assert.equal(decide(`CONNECT ${char}`)[0] === Detected.HTTP1, /[A-Za-z0-9_[/]/.test(char), `CONNECT ${char}`);
    for (const scheme of ['http://', 'HTTPS://']) {
      for (let at = 0; at < scheme.length; at++) {
        const changed = scheme.slice(0, at) + char + scheme.slice(at + 1);
        const fits = /^https?:\/\//i.test(`${changed}a`) || changed.startsWith('/') || changed.startsWith('* ');
        assert.equal(decide(`GET ${changed}`)[0] === Detected.HTTP1, fits, changed);
      }
    }
  }
  // Only CONNECT has such a target, however long its name is.
  assert.equal(decide('PRINTER example.com:443')[0], Detected.OTHER);
});

test('the HTTP/2 preface is told by its last byte, and what only begins like it is HTTP/1', () => {
  assert.deepEqual(decide(PREFACE), [Detected.HTTP2, 24]);
  assert.deepEqual(decide('PRI * HTTP/1.1\r\n'), [Detected.HTTP1, 12]);
  assert.deepEqual(decide('PRI * HTTP/2.0\r\n\r\nSX'), [Detected.HTTP1, 20]);
  assert.deepEqual(decide('PRESS'), [Detected.MORE, 5]);
});

test('greetings of other protocols are OTHER at once, although words in capitals begin many of them', () => {
  for (const text of [
    '\0\0\0\x08\x04\xd2\x16\x2f', // PostgreSQL SSLRequest
    'SSH-2.0-OpenSSH_9.2\r\n',
    'EHLO mail.example\r\n',
    'HELO http.example\r\n',
    'NICK h\r\n',
    'USER anonymous\r\n',
    'CONNECT\naccept-version:1.2\n', // STOMP
    'CONNECT :1',
    '*1\r\n$4\r\nPING\r\n', // RESP
    '\r\n\r\n\0\r\nQUIT\n', // PROXY protocol 2
    'PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n',
    'get / HTTP/1.1\r\n',
    'GET  / HTTP/1.1\r\n',
    'GET\t/ HTTP/1.1\r\n',
    ' GET / HTTP/1.1\r\n',
    '\nGET / HTTP/1.1\r\n',
    '\rGET / HTTP/1.1\r\n',
    'LIST *\r\n',
    'GET httpx://a',
    'GET http:/a',
    '\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\n',
    `${'A'.repeat(25)} / HTTP/1.1\r\n`,
    '\x80\x2e\x01\x00\x02', // an SSL 2.0 hello
  ]) {
    assert.equal(decide(text)[0], Detected.OTHER, JSON.stringify(text));
  }
});

test('an answer never needs more than the documented number of bytes', () => {
  const longest = `${'\r\n'.repeat(4)}${'A'.repeat(24)} https://`;
  assert.deepEqual(decide(`${longest}a`), [Detected.HTTP1, DETECT_BYTES]);
  assert.ok(PREFACE.length <= DETECT_BYTES);
});
