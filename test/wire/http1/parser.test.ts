// One message at a time: offsets that point at the right bytes, heads in pieces, limits, and parsers that come back.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { carve, memory, REQUEST, RESPONSE } from '../../../lib/wire/http1/llhttp.ts';
import {
  type HeadLimits,
  idleParsers,
  leaseParser,
  type MessageReceiver,
  Outcome,
  type Parser,
  releaseParser,
  Verdict,
} from '../../../lib/wire/http1/parser.ts';

const room = carve(70_000);
const LIMITS: HeadLimits = { headBytes: 1024, headers: 10 };

interface Told extends MessageReceiver {
  head: string;
  fields: string[];
  body: string;
}

function listen(verdict: number = Verdict.GO_ON): Told {
  return {
    head: '',
    fields: [],
    body: '',
    onHead(parser) {
      this.head = memory.toString('latin1', parser.headStart, parser.headEnd);
      this.fields = fieldsOf(parser);
      return verdict;
    },
    onBody(start, end) {
      this.body += memory.toString('latin1', start, end);
    },
  };
}

function fieldsOf({ fields }: Parser): string[] {
  return Array.from({ length: fields.count }, (_, field) => `${fields.name(field)}=${fields.value(field)}`);
}

function lease(type: number, receiver: MessageReceiver, limits = LIMITS): Parser {
  const parser = leaseParser(type, receiver, limits);
  assert.ok(parser !== null);
  return parser;
}

function feed(parser: Parser, text: string): number {
  memory.write(text, room, 'latin1');
  return parser.execute(room, room + text.length);
}

test('a request in one piece is read where it lies', () => {
  const told = listen();
  const parser = lease(REQUEST, told);
  const head = '\r\nPOST /a?b HTTP/1.1\r\nHost: x\r\nA:  b \t\r\nContent-Length: 3\r\n\r\n';
  assert.equal(feed(parser, `${head}abcGET`), Outcome.DONE);
  assert.equal(told.head, head);
  assert.deepEqual(told.fields, ['Host=x', 'A=b', 'Content-Length=3']);
  assert.equal(told.body, 'abc');
  assert.equal(parser.position, room + head.length + 3);
  assert.deepEqual([parser.minor, parser.method], [1, 3]);
  releaseParser(parser);
});

test('a head that comes byte by byte is whole when it is told', () => {
  const told = listen();
  const parser = lease(REQUEST, told);
  const head = 'GET /path HTTP/1.0\r\nX-Empty:\r\nX-Long-Name: some value\r\nX-Last:\r\n\r\n';
  for (const byte of head.slice(0, -1)) assert.equal(feed(parser, byte), Outcome.MORE);
  assert.ok(parser.begun && !parser.inBody);
  assert.equal(feed(parser, head.slice(-1)), Outcome.DONE);
  assert.equal(told.head, head);
  assert.deepEqual(told.fields, ['X-Empty=', 'X-Long-Name=some value', 'X-Last=']);
  assert.equal(memory.toString('latin1', parser.targetStart, parser.targetEnd), '/path');
  releaseParser(parser);
});

test('trailers are read behind the body, in pieces too', () => {
  for (const cut of [0, 55, 60, 62, 66, 68, 70, 76, 79, 80, 81, 83]) {
    const told = listen();
    const parser = lease(REQUEST, told);
    const text =
      'PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3;e\r\nabc\r\n0\r\nX-A: 1\r\nX-B:\r\n\r\n';
    if (cut > 0) assert.equal(feed(parser, text.slice(0, cut)), Outcome.MORE);
    assert.equal(feed(parser, text.slice(cut)), Outcome.DONE);
    assert.equal(told.body, 'abc');
    assert.ok(parser.trailing);
    assert.deepEqual(fieldsOf(parser), ['X-A=1', 'X-B='], `cut at ${cut}`);
    releaseParser(parser);
  }
});

test('heads, trailers and fields beyond the limits are refused as soon as they are', () => {
  const cases: [string, string][] = [
    [`GET /${'a'.repeat(1100)} HTTP/1.1\r\nHost: x\r\n\r\n`, 'target_too_long'],
    [`GET / HTTP/1.1\r\nA: ${'a'.repeat(1100)}\r\n\r\n`, 'head_too_large'],
    [`GET / HTTP/1.1\r\n${'A: b\r\n'.repeat(11)}\r\n`, 'head_too_large'],
    [`PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: ${'a'.repeat(1100)}\r\n\r\n`, 'head_too_large'],
    [`PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n${'A: b\r\n'.repeat(11)}\r\n`, 'head_too_large'],
  ];
  for (const [text, code] of cases) {
    const whole = lease(REQUEST, listen());
    assert.equal(feed(whole, text), Outcome.FAULT);
    assert.equal(whole.fault?.code, code, text.slice(0, 40));
    releaseParser(whole);
    const slow = lease(REQUEST, listen());
    let outcome: number = Outcome.MORE;
    let at = 0;
    for (; at < text.length && outcome === Outcome.MORE; at += 10) outcome = feed(slow, text.slice(at, at + 10));
    assert.equal(outcome, Outcome.FAULT);
    assert.equal(slow.fault?.code, code);
    if (code !== 'head_too_large' || !text.includes('A: b')) assert.ok(at < text.length, 'before all of it was there');
    releaseParser(slow);
  }
});

test('whatever is wrong with a reply is a bad response', () => {
  for (const text of [
    'nonsense',
    'HTTP/1.1 200 OK\nA: b\r\n\r\n',
    `HTTP/1.1 200 OK\r\nA: ${'a'.repeat(2000)}\r\n\r\n`,
  ]) {
    const parser = lease(RESPONSE, listen());
    assert.equal(feed(parser, text), Outcome.FAULT);
    assert.equal(parser.fault?.code, 'bad_response');
    releaseParser(parser);
  }
});

test('methods and versions that are not known are told from nonsense', () => {
  const cases: [string, string][] = [
    ['BREW / HTTP/1.1\r\n', 'unknown_method'],
    ['get / HTTP/1.1\r\n', 'unknown_method'],
    ['<a> / HTTP/1.1\r\n', 'bad_request'],
    ['GET / HTTP/1.2\r\n', 'unknown_version'],
    ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'unknown_version'],
    ['GET / HTTP/x\r\n', 'bad_request'],
  ];
  for (const [text, code] of cases) {
    const parser = lease(REQUEST, listen());
    assert.equal(feed(parser, text), Outcome.FAULT);
    assert.equal(parser.fault?.code, code, text);
    releaseParser(parser);
  }
});

test('a reply without a length ends with the connection, and every other one is cut off by it', () => {
  const open = lease(RESPONSE, listen());
  assert.equal(feed(open, 'HTTP/1.1 200 OK\r\n\r\nsome'), Outcome.MORE);
  assert.ok(open.inBody && !open.persistent);
  assert.equal(open.finish(), Outcome.DONE);
  releaseParser(open);
  for (const text of ['HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsome', 'HTTP/1.1 200', '']) {
    const parser = lease(RESPONSE, listen());
    if (text !== '') assert.equal(feed(parser, text), Outcome.MORE);
    assert.equal(parser.finish(), Outcome.FAULT, text);
    assert.equal(parser.fault?.code, 'bad_response');
    releaseParser(parser);
  }
});

test('a verdict can refuse the message or take its body away', () => {
  const none = lease(RESPONSE, listen(Verdict.NO_BODY));
  const head = 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n';
  assert.equal(feed(none, `${head}HTTP`), Outcome.DONE);
  assert.equal(none.position, room + head.length);
  releaseParser(none);
  const refused = lease(RESPONSE, listen(Verdict.REFUSE));
  assert.equal(feed(refused, head), Outcome.FAULT);
  releaseParser(refused);
  const stopped = listen();
  const parser = lease(REQUEST, stopped);
  stopped.onBody = () => {
    parser.fault = { code: 'body_too_large' } as never;
  };
  assert.equal(feed(parser, 'PUT / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc'), Outcome.FAULT);
  assert.equal(parser.fault?.code, 'body_too_large');
  releaseParser(parser);
});

test('a parser that is released by what it calls is free once it has stopped, and calls nothing more', () => {
  const told = listen();
  const parser = lease(REQUEST, told);
  const before = idleParsers();
  told.onHead = () => {
    releaseParser(parser);
    assert.equal(idleParsers(), before, 'not while it executes');
    return Verdict.GO_ON;
  };
  assert.equal(feed(parser, 'PUT / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc'), Outcome.FAULT);
  assert.equal(idleParsers(), before + 1);
  assert.equal(told.body, '');
});

test('what a receiver throws comes out of execute, and the parser can be used again', () => {
  const text = 'PUT / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc';
  for (const where of ['onHead', 'onBody'] as const) {
    const told = listen();
    told[where] = () => {
      throw new Error('boom');
    };
    const parser = lease(REQUEST, told);
    const before = idleParsers();
    assert.throws(() => feed(parser, text), /boom/);
    releaseParser(parser);
    assert.equal(idleParsers(), before + 1);
    const again = lease(REQUEST, listen());
    assert.equal(again, parser, 'the one that was given back last');
    assert.equal(feed(again, text), Outcome.DONE);
    releaseParser(again);
  }
});

test('parsers can run inside one another’s callbacks', () => {
  const inner = listen();
  const outer = listen();
  outer.onBody = (start, end) => {
    const parser = lease(RESPONSE, inner);
    const reply = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi';
    memory.write(reply, room + 1000, 'latin1');
    assert.equal(parser.execute(room + 1000, room + 1000 + reply.length), Outcome.DONE);
    releaseParser(parser);
    outer.body += memory.toString('latin1', start, end);
  };
  const parser = lease(REQUEST, outer);
  assert.equal(feed(parser, 'PUT / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc'), Outcome.DONE);
  assert.deepEqual([outer.body, inner.body], ['abc', 'hi']);
  releaseParser(parser);
});

test('chunk extensions that outweigh the body are refused, a body in chunks of one byte is not', () => {
  const head = 'PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n';
  const hostile = lease(REQUEST, listen());
  assert.equal(feed(hostile, `${head}1;a=`), Outcome.MORE);
  let outcome: number = Outcome.MORE;
  let bytes = 0;
  while (outcome === Outcome.MORE && bytes < 10_000_000) {
    outcome = feed(hostile, 'x'.repeat(60_000));
    bytes += 60_000;
  }
  assert.equal(outcome, Outcome.FAULT);
  assert.equal(hostile.fault?.code, 'bad_framing');
  assert.ok(bytes < 300_000, `${bytes} bytes were read`);
  releaseParser(hostile);

  const told = listen();
  const patient = lease(REQUEST, told);
  assert.equal(feed(patient, head), Outcome.MORE);
  for (let i = 0; i < 100; i++) assert.equal(feed(patient, '1;x=y\r\na\r\n'.repeat(5_000)), Outcome.MORE);
  assert.equal(feed(patient, '0\r\n\r\n'), Outcome.DONE);
  assert.equal(told.body.length, 500_000);
  releaseParser(patient);
});
