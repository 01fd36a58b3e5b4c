// The HTTP/1.1 path on bytes nobody thought of: however they are cut into pieces, the outcome is that of one piece; what
// an origin gets is always whole, valid requests; and nothing throws or stays behind.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { slabsInUse } from '../../lib/io/slab.ts';
import { RequestHead, ResponseHead } from '../../lib/wire/http1/head.ts';
import { carve, memory, REQUEST, RESPONSE } from '../../lib/wire/http1/llhttp.ts';
import { idleParsers, leaseParser, Outcome, type Parser, releaseParser, Verdict } from '../../lib/wire/http1/parser.ts';
import { REQUEST_VECTORS, RESPONSE_VECTORS, readChunked, reply, request, spell, unchunk } from '../support/http.ts';
import { type Origin, startOrigin } from '../support/origin.ts';
import { connectPeer, type Peer } from '../support/peer.ts';
import { httpTo, startProxy, type TestProxy } from '../support/proxy.ts';

const GOOD_REQUESTS = [
  request('GET /a?b=c', ['X-Empty:', 'Accept: */*']),
  request('HEAD /head', ['Connection: x-a', 'X-A: 1', 'Cookie: a=1; b=2']),
  request('POST /sized', ['Content-Length: 11'], 'hello world'),
  request('POST /none', ['Content-Length: 0']),
  request(
    'PUT /chunked',
    ['Transfer-Encoding: chunked'],
    '5;a=b\r\nhello\r\n1\r\n \r\n0\r\nX-Sum: 1\r\nX-Two:\r\n\r\n',
  ),
  request('PUT /nothing', ['Transfer-Encoding: chunked'], '0\r\n\r\n'),
  request('GET /a/%2e%2e/%41', ['TE: trailers', 'Connection: te', 'X-Forwarded-For: 192.0.2.1']),
  request('GET http://b.example:81/abs?x'),
  request('OPTIONS *'),
  `\r\n${request('PROPFIND /p', ['Upgrade: x', 'X-Request-Id: mine'])}`,
];
const GOOD_REPLIES = [
  reply('hello world', '200 OK', ['X-A: 1', 'X-Empty:']),
  reply('', '404 Not Found'),
  'HTTP/1.1 204\r\n\r\n'.replace('204', '204 '),
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n6\r\n world\r\n0\r\nX-Sum: 1\r\n\r\n',
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n',
  `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${reply('hi')}`,
  'HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nold',
];
const LAST = request('GET /last', ['Connection: close']);

const whole = fc.constantFrom(...GOOD_REQUESTS);
const broken = fc.constantFrom(...REQUEST_VECTORS.map((vector) => spell(vector.raw)).filter((raw) => raw.length < 500));

/** One byte replaced, removed, doubled or inserted, or a piece from elsewhere spliced in. */
function mutated(seed: fc.Arbitrary<string>): fc.Arbitrary<string> {
  const byte = fc.oneof(
    fc.constantFrom('\r', '\n', '\r\n', ' ', '\t', ':', '\0', ',', ';', '0', '%', '/', '_', '-', '\x7f', '\xff'),
    fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)),
  );
  const change = fc.tuple(fc.nat(2000), fc.constantFrom('replace', 'remove', 'double', 'insert', 'cut'), byte);
  return fc.tuple(seed, fc.array(change, { minLength: 1, maxLength: 3 })).map(([text, changes]) => {
    for (const [where, kind, value] of changes) {
      const at = where % (text.length + 1);
      const before = text.slice(0, at);
      const after = text.slice(at);
      if (kind === 'replace') text = before + value + after.slice(1);
      else if (kind === 'remove') text = before + after.slice(1);
      else if (kind === 'double') text = before + after.slice(0, 8) + after;
      else if (kind === 'insert') text = before + value + after;
      else text = before;
    }
    return text;
  });
}

/** Where a text is cut. */
const cuts = fc.oneof(
  { weight: 4, arbitrary: fc.array(fc.nat(2000), { minLength: 1, maxLength: 8 }) },
  { weight: 1, arbitrary: fc.constant('every byte' as const) },
);

function cut(text: string, at: readonly number[] | 'every byte'): string[] {
  if (at === 'every byte') return [...text];
  const places = [0, ...at.map((place) => place % (text.length + 1)).sort((a, b) => a - b), text.length];
  return places.slice(1).map((end, number) => text.slice(places[number], end));
}

// The parser by itself.

const ROOM = 70_000;
const room = carve(ROOM);

/** Everything a parser says about these pieces, in a form that does not tell where they were cut. */
function parsing(type: number, pieces: readonly string[]): string[] {
  const said: string[] = [];
  let body = '';
  const head = type === REQUEST ? new RequestHead() : new ResponseHead();
  const receiver = {
    onHead(parser: Parser): number {
      const fault = head.read(parser);
      const { fields } = parser;
      for (let field = 0; field < fields.count; field++) {
        if (fault === null) {
          assert.equal(memory.toString('latin1', fields.lineEnd(field) - 2, fields.lineEnd(field)), '\r\n');
        }
        said.push(`${fields.id(field)} ${fields.name(field)}: ${fields.value(field)}`);
      }
      if (head instanceof RequestHead) {
        said.push(
          `${head.method} ${memory.toString('latin1', head.targetStart, head.targetEnd)} ${head.contentLength}`,
        );
      } else said.push(`${head.status} ${head.contentLength} ${head.chunked}`);
      if (fault === null) {
        assert.equal(memory.toString('latin1', parser.headEnd - 4, parser.headEnd), '\r\n\r\n');
        return Verdict.GO_ON;
      }
      parser.fault = fault;
      return Verdict.REFUSE;
    },
    onBody(start: number, end: number): void {
      body += memory.toString('latin1', start, end);
    },
  };
  let parser = leaseParser(type, receiver, { headBytes: 4096, headers: 100 })!;
  outer: for (const piece of pieces) {
    let at = 0;
    while (at < piece.length) {
      memory.write(piece.slice(at), room + at, 'latin1');
      const outcome = parser.execute(room + at, room + piece.length);
      // Whatever lies behind the bytes, or was there before, must not matter.
      memory.fill(0x20, room, room + piece.length + 16);
      if (outcome === Outcome.MORE) break;
      if (outcome === Outcome.FAULT) {
        said.push(`fault ${sameFault(parser.fault!.code)}`);
        break outer;
      }
      at = parser.position - room;
      said.push(`body ${body}`, `trailers ${parser.trailing ? parser.fields.count : 0}`);
      body = '';
      releaseParser(parser);
      parser = leaseParser(type, receiver, { headBytes: 4096, headers: 100 })!;
    }
  }
  if (!said.at(-1)?.startsWith('fault')) said.push(`unfinished ${body}`);
  releaseParser(parser);
  return said;
}

/** Of a name that is no method, and of a head that is too long, pieces may tell less than the whole. */
function sameFault(code: string): string {
  if (code === 'unknown_method') return 'bad_request';
  return code === 'target_too_long' ? 'head_too_large' : code;
}

test('the parser says the same about any bytes however they are cut', () => {
  const parsers = idleParsers();
  const requests = fc.array(fc.oneof(whole, broken, mutated(whole), mutated(broken)), { minLength: 1, maxLength: 4 });
  const check = (type: number) => (texts: string[], at: readonly number[] | 'every byte') => {
    const text = texts.join('');
    fc.pre(text.length < ROOM - 100);
    assert.deepEqual(parsing(type, cut(text, at)), parsing(type, [text]));
  };
  fc.assert(fc.property(requests, cuts, check(REQUEST)), { numRuns: 75000, interruptAfterTimeLimit: 4000 });
  const good = fc.constantFrom(...GOOD_REPLIES);
  const bad = fc.constantFrom(...RESPONSE_VECTORS.map(({ raw }) => spell(raw)).filter((raw) => raw.length < 500));
  const replies = fc.array(fc.oneof(good, bad, mutated(good), mutated(bad)), { minLength: 1, maxLength: 3 });
  fc.assert(fc.property(replies, cuts, check(RESPONSE)), { numRuns: 75000, interruptAfterTimeLimit: 3000 });
  assert.ok(idleParsers() >= parsers, 'every parser was given back');
});

test('the parser never throws, whatever the bytes', () => {
  const bytes = fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array).toString('latin1'));
  const started = fc.tuple(fc.constantFrom('', 'GET / HTTP/1.1\r\n', 'HTTP/1.1 200 OK\r\n', '5\r\n'), bytes);
  const parse =
    (type: number) =>
    ([start, rest]: [string, string], at: readonly number[] | 'every byte') => {
      parsing(type, cut(start + rest, at));
    };
  fc.assert(fc.property(started, cuts, parse(REQUEST)), { numRuns: 7500, interruptAfterTimeLimit: 1500 });
  fc.assert(fc.property(started, cuts, parse(RESPONSE)), { numRuns: 7500, interruptAfterTimeLimit: 1500 });
});

// The whole way.

/** Reads what an origin got as requests, strictly; what is left over is a request that is not whole. */
function readRequests(text: string): { requests: string[]; rest: string } {
  const requests: string[] = [];
  for (;;) {
    const headEnd = text.indexOf('\r\n\r\n');
    if (headEnd < 0) return { requests, rest: text };
    const [line, ...fields] = text.slice(0, headEnd).split('\r\n');
    assert.match(line!, /^[A-Z][A-Z-]* [!-\xff]+ HTTP\/1\.1$/);
    for (const field of fields) assert.match(field, /^[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~\x80-\xff]*$/);
    const named = (name: string) => fields.filter((field) => field.toLowerCase().startsWith(`${name}:`));
    assert.equal(named('host').length, 1);
    const [length] = named('content-length');
    const [coding] = named('transfer-encoding');
    assert.ok(named('content-length').length + named('transfer-encoding').length <= 1);
    let bodyEnd = headEnd + 4;
    let body = '';
    if (length !== undefined) {
      const bytes = Number(/^[^:]*:[ \t]*(\d+)[ \t]*$/.exec(length)![1]);
      if (text.length < bodyEnd + bytes) return { requests, rest: text };
      body = text.slice(bodyEnd, bodyEnd + bytes);
      bodyEnd += bytes;
    } else if (coding !== undefined) {
      const chunked = readChunked(text.slice(bodyEnd));
      if (chunked === null) return { requests, rest: text };
      body = chunked.payload + chunked.trailers.join('|');
      bodyEnd += chunked.length;
    }
    requests.push(`${[line, ...fields.filter((field) => !/^X-Request-Id/.test(field))].join('\n')}\n\n${body}`);
    text = text.slice(bodyEnd);
  }
}

/** Answers each whole request with its number of bytes, in one of three framings. */
function answer(peer: Peer): void {
  let answered = 0;
  peer.socket.on('data', () => {
    const { requests } = readRequests(peer.text);
    for (const each of requests.slice(answered)) {
      answered++;
      const body = each.startsWith('HEAD') ? '' : `got ${each.length}`;
      peer.send(
        each.length % 2 === 0 || body === ''
          ? reply(body)
          : `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`,
      );
    }
  });
}

const VARYING = /^(Date|X-Request-Id): .*\r\n|^Request id: .*\n/gm;

interface Outcomes {
  readonly seen: string[];
  readonly got: string;
}

/**
 * Sends the pieces one by one and tells what origin and client have got in the end: that of the proxy, which comes after
 * a refusal and after the last reply, or that of the client, who `leaves`.
 */
async function run(
  t: TestContext,
  proxy: TestProxy,
  origin: Origin,
  pieces: readonly string[],
  leaves: boolean,
): Promise<Outcomes> {
  const before = origin.peers.map((peer) => peer.text.length);
  const client = await connectPeer(t, proxy.port('web'));
  for (const piece of pieces) {
    if (client.ended || client.closed) break;
    client.send(piece);
    await new Promise((resolve) => setImmediate(resolve));
  }
  if (leaves) client.end();
  await client.until(() => client.ended || client.closed, `the end of ${JSON.stringify(pieces.join(''))}`);
  client.socket.destroy();
  await quiet(proxy, origin);
  const seen = origin.peers.flatMap((peer, number) => readRequests(peer.text.slice(before[number] ?? 0)).requests);
  return { seen, got: client.text.replace(VARYING, '') };
}

/** Resolves when the origin knows of every connection that the proxy has closed: nothing of this run comes later. */
async function quiet(proxy: TestProxy, origin: Origin): Promise<void> {
  const [cluster] = proxy.snapshot.clusters.values();
  const open = () => origin.peers.filter((peer) => !peer.ended && !peer.closed).length;
  while (open() !== cluster!.endpoints[0]!.pool.open) await new Promise((resolve) => setImmediate(resolve));
}

const STATUS = /HTTP\/1\.1 (\d+)/g;

function statuses(got: string): string[] {
  return [...got.matchAll(STATUS)].map((match) => ({ '501': '400', '414': '431' })[match[1]!] ?? match[1]!);
}

for (const [kind, pool] of [
  ['fresh', 'pool: { idle: 0 }'],
  ['pooled', ''],
] as const) {
  test(`pipelines reach the origin as the same requests however they are cut, over ${kind} connections`, async (t) => {
    const origin = await startOrigin(t, answer);
    const proxy = await startProxy(t, httpTo([origin.address], '', pool));
    const slabs = slabsInUse();
    const pipelines = fc.tuple(
      fc.array(whole, { maxLength: 3 }),
      fc.oneof(
        fc.constant(LAST),
        broken.map((text) => text + LAST),
      ),
    );
    await fc.assert(
      fc.asyncProperty(pipelines, cuts, async ([good, last], at) => {
        const text = good.join('') + last;
        const one = await run(t, proxy, origin, [text], false);
        const many = await run(t, proxy, origin, cut(text, at), false);
        assert.deepEqual(many.seen, one.seen);
        assert.deepEqual(statuses(many.got), statuses(one.got));
        if (!/HTTP\/1\.1 [45]/.test(one.got)) assert.equal(many.got, one.got);
      }),
      { numRuns: 300, interruptAfterTimeLimit: 5000 },
    );
    while (proxy.server.open > 0) await new Promise((resolve) => setImmediate(resolve));
    assert.ok(slabsInUse() <= slabs + 1);
  });
}

test('whatever a client sends, an origin gets nothing but valid requests, no more than there were', async (t) => {
  const origin = await startOrigin(t, answer);
  const proxy = await startProxy(t, httpTo([origin.address], '', 'pool: { idle: 0 }'));
  const texts = fc.array(fc.oneof(mutated(whole), mutated(broken), whole), { minLength: 1, maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(texts, cuts, async (parts, at) => {
      // `readRequests` asserts that each one is valid.
      const { seen, got } = await run(t, proxy, origin, cut(parts.join(''), at), true);
      assert.ok(seen.length >= statuses(got).filter((status) => status === '200').length);
    }),
    { numRuns: 400, interruptAfterTimeLimit: 4000 },
  );
});

test('replies reach the client the same however they are cut, and bad ones never look whole', async (t) => {
  let pieces: string[] = [];
  const origin = await startOrigin(t, (peer) => {
    peer.socket.on('error', () => {});
    peer.socket.once('data', async () => {
      for (const piece of pieces) {
        if (peer.closed) return;
        peer.send(piece);
        await new Promise((resolve) => setImmediate(resolve));
      }
      peer.end();
    });
  });
  const proxy = await startProxy(t, httpTo([origin.address], '', 'pool: { idle: 0 }'));
  const outcome = async (bytes: string[]): Promise<string> => {
    pieces = bytes;
    const client = await connectPeer(t, proxy.port('web'));
    client.send(request('GET /', ['Connection: close']));
    await client.until(() => client.ended || client.closed, `the end of ${JSON.stringify(bytes.join(''))}`);
    client.socket.destroy();
    const text = client.text.replace(VARYING, '');
    if (client.error !== null || /HTTP\/1\.1 502/.test(text)) return 'broken';
    const final = text.slice(text.lastIndexOf('HTTP/1.1 '));
    if (!/\r\nTransfer-Encoding: chunked/.test(final)) return text;
    const { payload, trailers } = unchunk(final.slice(final.indexOf('\r\n\r\n') + 4));
    return `${text.slice(0, text.lastIndexOf('\r\n\r\n') > 0 ? text.indexOf('\r\n\r\n') : 0)} ${payload} ${trailers}`;
  };
  const good = fc.constantFrom(...GOOD_REPLIES);
  const bad = fc.constantFrom(...RESPONSE_VECTORS.map(({ raw }) => spell(raw)).filter((raw) => raw.length < 500));
  await fc.assert(
    fc.asyncProperty(fc.oneof(good, bad, mutated(good), mutated(bad)), cuts, async (text, at) => {
      // Bytes behind a reply may come before or after the connection is closed; both are as if they never came.
      assert.equal(await outcome(cut(text, at)), await outcome([text]));
    }),
    { numRuns: 500, interruptAfterTimeLimit: 4000 },
  );
});
