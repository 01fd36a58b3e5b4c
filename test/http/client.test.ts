// What upstreams are told about a client, and what is kept of a request that may be sent again.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ERRORS, type ErrorCode, proxyError } from '../../lib/base/errors.ts';
import { Client, Forward } from '../../lib/http/client.ts';
import { Kept } from '../../lib/http/kept.ts';
import { composeReply, errorReply } from '../../lib/http/local-reply.ts';
import type { ForwardedMode, ForwardedOptions } from '../../lib/http/options.ts';
import { RequestId } from '../../lib/http/request-id.ts';
import { trailerLines } from '../../lib/http/trailers.ts';
import type { Upstream } from '../../lib/http/upstream.ts';
import { FieldId } from '../../lib/wire/field-id.ts';
import { Fields } from '../../lib/wire/fields.ts';
import { carve, memory } from '../../lib/wire/http1/llhttp.ts';

const options = (mode: ForwardedMode, more: Partial<ForwardedOptions> = {}): ForwardedOptions => ({
  xForwarded: mode,
  standard: mode,
  via: false,
  requestId: 'auto',
  ...more,
});

test('auto appends for trusted peers and replaces for others', () => {
  const of = (mode: ForwardedMode, trusted: boolean) => {
    const client = new Client('192.0.2.1', 1, trusted, options(mode));
    assert.equal(client.xForwarded, client.standard);
    return client.xForwarded;
  };
  assert.equal(of('auto', true), Forward.APPEND);
  assert.equal(of('auto', false), Forward.REPLACE);
  for (const trusted of [true, false]) {
    assert.equal(of('append', trusted), Forward.APPEND);
    assert.equal(of('replace', trusted), Forward.REPLACE);
    assert.equal(of('off', trusted), Forward.OFF);
  }
});

test('clients are named by address, in quotes where RFC 7239 wants them, or as unknown', () => {
  const names = (address: string) => {
    const { name, element } = new Client(address, 1, false, options('auto'));
    return [name, element];
  };
  assert.deepEqual(names('192.0.2.1'), ['192.0.2.1', 'for=192.0.2.1']);
  assert.deepEqual(names('2001:db8::1'), ['2001:db8::1', 'for="[2001:db8::1]"']);
  assert.deepEqual(names(''), ['unknown', 'for=unknown']);
});

test('the lines of a client are whole lines', () => {
  const lines = (mode: ForwardedMode) => new Client('192.0.2.1', 1, false, options(mode)).lines;
  assert.equal(lines('off'), '');
  assert.equal(lines('replace'), 'X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: http\r\n');
  assert.equal(lines('append'), '', 'what is appended depends on the request');
});

test('ids are kept from trusted peers alone, and not touched when off', () => {
  const ids = (requestId: ForwardedOptions['requestId'], trusted: boolean) => {
    const { keepsId, makesId } = new Client('192.0.2.1', 1, trusted, options('off', { requestId }));
    return [keepsId, makesId];
  };
  assert.deepEqual(ids('auto', true), [true, true]);
  assert.deepEqual(ids('auto', false), [false, true]);
  assert.deepEqual(ids('replace', true), [false, true]);
  assert.deepEqual(ids('off', false), [true, false]);
});

test('an id stays the same until it is renewed, in text and in memory', () => {
  const room = carve(64);
  const id = new RequestId();
  const first = id.toString();
  assert.match(first, /^[0-9a-f]{32}$/);
  assert.equal(id.put(room), room + 32);
  assert.equal(memory.toString('latin1', room, room + 32), first);
  id.renew();
  assert.notEqual(id.toString(), first);
});

test('ids do not repeat', () => {
  const id = new RequestId();
  const seen = new Set<string>();
  for (let turn = 0; turn < 2000; turn++) {
    id.renew();
    seen.add(id.toString());
  }
  assert.equal(seen.size, 2000);
});

/** What `kept` sends, as one text. */
function sent(kept: Kept, authority = 'h'): string {
  let text = '';
  const add = (bytes: Uint8Array, start: number, end: number): boolean => {
    text += Buffer.from(bytes.subarray(start, end)).toString('latin1');
    return true;
  };
  const upstream = {
    endpoint: { authority },
    sendHead: add,
    send: add,
    sendEnd: (trailers: Buffer) => add(Buffer.from(`|${trailers}`), 0, trailers.length + 1),
  };
  kept.send(upstream as unknown as Upstream);
  return text;
}

const bytes = (text: string) => Buffer.from(text, 'latin1');

test('a kept request is sent as it was, with the Host of the endpoint where it has none', () => {
  const kept = new Kept();
  kept.head(bytes('__GET / HTTP/1.1\r\nX: 1\r\n\r\n'), 2, 26, -1, true);
  assert.equal(sent(kept), 'GET / HTTP/1.1\r\nX: 1\r\n\r\n');
  kept.head(bytes('__GET / HTTP/1.1\r\nX: 1\r\n\r\n'), 2, 26, 18, false);
  assert.ok(kept.data(bytes('.body.'), 1, 5, false));
  assert.equal(sent(kept, 'h:1'), 'GET / HTTP/1.1\r\nHost: h:1\r\nX: 1\r\n\r\nbody');
  assert.equal(sent(kept, 'other'), 'GET / HTTP/1.1\r\nHost: other\r\nX: 1\r\n\r\nbody', 'more than once');
});

test('a kept body ends with its trailers, of which only those that may be passed on are kept', () => {
  const kept = new Kept();
  kept.head(bytes('HEAD'), 0, 4, -1, false);
  assert.ok(kept.data(bytes('hello'), 0, 5, false));
  const lines = bytes('X-A: 1\r\nHost: b\r\n');
  const trailers = new Fields(lines);
  trailers.add(0, 3);
  trailers.setLineEnd(0, 8);
  trailers.add(8, 12);
  trailers.setLineEnd(1, 17);
  trailers.setId(1, FieldId.HOST);
  assert.equal(sent(kept), 'HEADhello', 'not over yet');
  kept.end(trailerLines(trailers, null));
  assert.equal(sent(kept), 'HEADhello|X-A: 1\r\n');
});

test('what need not be kept is not kept beyond its limit, and what must be is', () => {
  const large = Buffer.alloc(80_000, 0x78);
  const kept = new Kept();
  kept.head(bytes('H'), 0, 1, -1, false);
  assert.equal(kept.data(large, 0, large.length, false), false);
  assert.equal(sent(kept), 'H');
  assert.ok(kept.data(large, 0, large.length, true));
  assert.equal(sent(kept).length, 80_001);
  kept.clear();
  assert.equal(sent(kept), '');
});

test('every failure that a client is told of makes a whole reply with its id', () => {
  for (const code of Object.keys(ERRORS) as ErrorCode[]) {
    const error = proxyError(code, 'secret detail');
    if (error.kind.status === 0) continue;
    const { head, body } = errorReply(error, 'the-id');
    const text = head.fields.bytes.toString('latin1');
    assert.match(text, new RegExp(`^HTTP/1\\.1 ${error.kind.status} [A-Z][^\\r]+\\r\\n`));
    assert.ok(text.endsWith(`Content-Length: ${body.length}\r\n\r\n`));
    assert.match(body.toString(), /\nRequest id: the-id\n$/);
    assert.doesNotMatch(text + body, /secret/);
    assert.equal(head.contentLength, body.length);
  }
});

test('composed replies know where their fields stand, whatever their bytes', () => {
  const { head, body } = composeReply(200, { 'content-type': 'text/html', 'X-Ä': 'ü' }, '<ö>');
  const { fields } = head;
  for (let field = 0; field < fields.count; field++) {
    assert.equal(fields.bytes.toString('latin1', fields.lineEnd(field) - 2, fields.lineEnd(field)), '\r\n');
  }
  assert.equal(fields.count, 3);
  assert.equal(fields.value(0), 'text/html');
  assert.equal(fields.id(2), FieldId.CONTENT_LENGTH);
  assert.equal(fields.value(2), String(body.length));
  assert.equal(head.fields.bytes.toString('latin1', head.reasonStart, head.reasonEnd), 'OK');
  assert.equal(composeReply(304, {}, '').head.fields.count, 0);
});
