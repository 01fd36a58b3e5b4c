// Writing the head that goes on to the other side: ours copies the kept lines as blocks of bytes and appends its own,
// beside the usual way of Node proxies, which puts a string together from an object of headers or from the raw list.
// All end in bytes; where they start from (a parsed head) costs nothing here.

import { randomUUID } from 'node:crypto';
import { Client } from '../../lib/http/client.ts';
import type { Exchange } from '../../lib/http/exchange.ts';
import { putReplyHead, type ReplyFraming } from '../../lib/http/reply-writer.ts';
import { RequestId } from '../../lib/http/request-id.ts';
import { writeRequestHead, written } from '../../lib/http/request-writer.ts';
import { Fields } from '../../lib/wire/fields.ts';
import { RequestHead, ResponseHead } from '../../lib/wire/http1/head.ts';
import { carve, memory, REQUEST, RESPONSE } from '../../lib/wire/http1/llhttp.ts';
import { leaseParser, type Parser, releaseParser, Verdict } from '../../lib/wire/http1/parser.ts';
import { readTarget, Target } from '../../lib/wire/uri.ts';
import { BROWSER_REQUEST, LARGE_REQUEST, REPLY, SMALL_REQUEST } from './samples.ts';
import { type Case, ours, type Subject, type Trial, theirs } from './subject.ts';

export const headRewrite: Subject = {
  name: 'head-rewrite',
  about: 'write a head for the next hop: hop-by-hop fields dropped, on requests the client named, an id and Via added',
  prepare: () => [
    requestTrial('small GET', SMALL_REQUEST),
    requestTrial('GET of a browser', BROWSER_REQUEST),
    requestTrial('GET with 25 fields', LARGE_REQUEST),
    replyTrial(REPLY),
  ],
};

const PER_RUN = 64;
const ADDRESS = '203.0.113.7';
const FRAMING: ReplyFraming = { chunked: false, sized: true, empty: false, connection: 'none' };

/** Lower-case names of what concerns one hop alone (RFC 9110 7.6.1), and what is written anew. */
const DROPPED: ReadonlySet<string> = new Set([
  ...['connection', 'keep-alive', 'proxy-connection', 'te', 'transfer-encoding', 'upgrade', 'proxy-authorization'],
  ...['http2-settings', 'forwarded', 'x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host', 'x-request-id'],
]);

/** Where the others write; they get as much room as ours has. */
const OUT = Buffer.alloc(64 * 1024);

function requestTrial(name: string, bytes: Buffer): Trial {
  return {
    name: `${name}, ${bytes.length} bytes`,
    cases: [ourRequest(bytes), fromObject(bytes, addToRequest), fromList(bytes, linesOfRequest)],
  };
}

function replyTrial(bytes: Buffer): Trial {
  return {
    name: `reply, ${bytes.length} bytes`,
    cases: [ourReply(bytes), fromObject(bytes, () => {}), fromList(bytes, () => '')],
  };
}

function ourRequest(bytes: Buffer): Case {
  const exchange = exchangeOf(bytes);
  const id = new RequestId();
  exchange.putId = (at) => {
    id.renew();
    return id.put(at);
  };
  const request = exchange as Exchange;
  const operate = (): number => {
    if (writeRequestHead(request, 'preserve') !== null) throw new Error('the head was refused');
    return written.end;
  };
  return ours(PER_RUN, { operate, answer: () => sortedLines(memory, written.start, operate()) });
}

function ourReply(bytes: Buffer): Case {
  const head = new ResponseHead();
  parse(bytes, RESPONSE, (parser) => head.read(parser));
  head.fields = kept;
  const out = carve(64 * 1024);
  const operate = (): number => putReplyHead(head, FRAMING, null, '', out);
  return ours(PER_RUN, { operate, answer: () => sortedLines(memory, out, operate()) });
}

type Headers = Record<string, string>;

/** `add` puts in what is new; `headers` are those that came. */
function fromObject(bytes: Buffer, add: (outgoing: Headers, headers: Headers) => void): Case {
  const { line, list } = readText(bytes);
  const headers = Object.fromEntries(pairs(list).map(([name, value]) => [name.toLowerCase(), value]));
  return unchecked('object of headers', () => {
    const outgoing: Headers = {};
    for (const name in headers) {
      if (!DROPPED.has(name)) outgoing[name] = headers[name]!;
    }
    add(outgoing, headers);
    let head = `${line}\r\n`;
    for (const name in outgoing) head += `${name}: ${outgoing[name]!}\r\n`;
    return OUT.write(`${head}\r\n`, 0, 'latin1');
  });
}

function addToRequest(outgoing: Headers, headers: Headers): void {
  outgoing['via'] = '1.1 millrace';
  outgoing['x-forwarded-for'] = ADDRESS;
  outgoing['x-forwarded-proto'] = 'http';
  outgoing['x-forwarded-host'] = headers['host']!;
  outgoing['x-request-id'] = randomUUID();
}

/** `added` gives the lines that are new; `host` is the one that was asked for. */
function fromList(bytes: Buffer, added: (host: string) => string): Case {
  const { line, list } = readText(bytes);
  const host = pairs(list).find(([name]) => name === 'Host')?.[1] ?? '';
  return unchecked('raw list of headers', () => {
    let head = `${line}\r\n`;
    for (let i = 0; i < list.length; i += 2) {
      if (!DROPPED.has(list[i]!.toLowerCase())) head += `${list[i]!}: ${list[i + 1]!}\r\n`;
    }
    return OUT.write(`${head}${added(host)}\r\n`, 0, 'latin1');
  });
}

function linesOfRequest(host: string): string {
  const forwarded = `Via: 1.1 millrace\r\nX-Forwarded-For: ${ADDRESS}\r\nX-Forwarded-Proto: http\r\n`;
  return `${forwarded}X-Forwarded-Host: ${host}\r\nX-Request-Id: ${randomUUID()}\r\n`;
}

/** `operate` writes to OUT and says where that ends. */
function unchecked(name: string, operate: () => number): Case {
  const note = 'less: no checks, nothing that Connection names is dropped';
  return theirs(PER_RUN, name, note, { operate, answer: () => sortedLines(OUT, 0, operate()) });
}

/** An exchange as far as the writer looks at it: the rest of one is a connection, which there is none of here. */
type Outlined = { -readonly [Key in keyof Exchange]?: Exchange[Key] };

function exchangeOf(bytes: Buffer): Outlined {
  const requestHead = new RequestHead();
  const target = new Target();
  parse(bytes, REQUEST, (parser) => requestHead.read(parser));
  requestHead.fields = kept;
  if (!readTarget(memory, requestHead.targetStart, requestHead.targetEnd, target)) throw new Error('bad target');
  return {
    requestHead,
    target,
    bytes: memory,
    query: { pathBytes: memory, pathStart: target.pathStart, pathEnd: target.pathEnd } as Exchange['query'],
    client: new Client(ADDRESS, 50_000, false, {
      xForwarded: 'auto',
      standard: 'off',
      via: true,
      requestId: 'auto',
    }),
    route: {
      action: {
        begin: () => {
          throw new Error('nothing is begun here');
        },
      },
      rewrite: null,
    },
    method: requestHead.method,
    minor: requestHead.minor,
    upgrading: false,
  };
}

/** The fields that were parsed last, in a table that outlives the parser's. */
let kept = new Fields(memory);

/** Parses a head that stays where it is, and keeps its fields. */
function parse(bytes: Buffer, type: number, read: (parser: Parser) => unknown): void {
  const start = carve(bytes.length);
  memory.set(bytes, start);
  const parser = leaseParser(
    type,
    {
      onHead(parser) {
        if (read(parser) !== null) throw new Error('the sample is not a good head');
        kept = new Fields(memory);
        kept.table = parser.fields.table.slice();
        kept.count = parser.fields.count;
        return Verdict.GO_ON;
      },
      onBody() {},
    },
    { headBytes: 48 * 1024, headers: 100 },
  )!;
  parser.execute(start, start + bytes.length);
  releaseParser(parser);
}

function readText(bytes: Buffer): { readonly line: string; readonly list: readonly string[] } {
  const [line = '', ...fields] = bytes.toString('latin1').trimEnd().split('\r\n');
  return {
    line,
    list: fields.flatMap((field) => [field.slice(0, field.indexOf(':')), field.slice(field.indexOf(':') + 2)]),
  };
}

function pairs(list: readonly string[]): [string, string][] {
  return Array.from({ length: list.length / 2 }, (_, i) => [list[i * 2]!, list[i * 2 + 1]!]);
}

/** What a head says: its lines in any order, names in any case, and some request id. */
function sortedLines(bytes: Buffer, start: number, end: number): string[] {
  const [line = '', ...fields] = bytes.toString('latin1', start, end).split('\r\n');
  const said = fields.map((field) => field.replace(/^[^:]*/, (name) => name.toLowerCase()));
  return [line, ...said.map((field) => field.replace(/^x-request-id: .+$/, 'x-request-id')).sort()];
}
