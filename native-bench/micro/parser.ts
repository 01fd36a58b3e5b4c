// Reading one HTTP/1 message: our parser (llhttp as WebAssembly, fields as offsets) beside the parser that node:http uses
// (llhttp in C++, fields as strings) and http-parser-js (JavaScript alone). The bytes lie ready in one piece.

import { createRequire } from 'node:module';
import { HTTPParser as ScriptParser } from 'http-parser-js';
import { readIncoming } from '../../lib/http/incoming.ts';
import { ResponseHead } from '../../lib/wire/http1/head.ts';
import { carve, memory, REQUEST, RESPONSE } from '../../lib/wire/http1/llhttp.ts';
import {
  type HeadLimits,
  leaseParser,
  type MessageReceiver,
  Outcome,
  type Parser,
  releaseParser,
  Verdict,
} from '../../lib/wire/http1/parser.ts';
import { BROWSER_REQUEST, LARGE_REQUEST, REPLY, SMALL_REQUEST } from './samples.ts';
import { type Case, ours, type Subject, type Trial, theirs, type Work } from './subject.ts';

export const parser: Subject = {
  name: 'parser',
  about: 'read the head of one HTTP/1 message, from bytes to fields that can be asked for',
  prepare: () => [
    trial('small GET', SMALL_REQUEST, REQUEST),
    trial('GET of a browser', BROWSER_REQUEST, REQUEST),
    trial('GET with 25 fields', LARGE_REQUEST, REQUEST),
    trial('reply', REPLY, RESPONSE),
  ],
};

const PER_RUN = 16;
const LIMITS: HeadLimits = { headBytes: 48 * 1024, headers: 100 };

/** What a parser makes of a message: method (status of a reply), target, fields. */
type Message = readonly [number, string, readonly string[]];

// The part of node:http's parser that is used. Reached as node:http's own modules reach it, so it has no types.
interface NativeParser {
  initialize(type: number, resource: object): void;
  execute(bytes: Buffer): number | Error;
  [callback: number]: unknown;
}
interface NativeParsers {
  new (): NativeParser;
  readonly REQUEST: number;
  readonly RESPONSE: number;
  readonly kOnHeadersComplete: number;
  readonly kOnMessageComplete: number;
}

function trial(name: string, bytes: Buffer, type: number): Trial {
  return {
    name: `${name}, ${bytes.length} bytes`,
    cases: [ourParser(bytes, type, () => {}), understood(bytes, type), native(bytes, type), script(bytes, type)],
  };
}

function ourParser(bytes: Buffer, type: number, onFields: (parser: Parser) => void): Case {
  const start = carve(bytes.length);
  if (start === 0) throw new Error('no memory left for a sample');
  memory.set(bytes, start);
  const end = start + bytes.length;
  let fields = 0;
  const receiver: MessageReceiver = {
    onHead(parser) {
      onFields(parser);
      fields = parser.fields.count;
      return Verdict.GO_ON;
    },
    onBody() {},
  };
  return ours(PER_RUN, {
    operate() {
      const parser = leaseParser(type, receiver, LIMITS)!;
      if (parser.execute(start, end) !== Outcome.DONE) throw new Error('the message is not complete');
      releaseParser(parser);
      return fields;
    },
    answer: () => readBack(type, start, end),
  });
}

/** With everything that is read from a head before a route is looked for. */
function understood(bytes: Buffer, type: number): Case {
  const response = new ResponseHead();
  const understand = (parser: Parser): void => {
    const fault = type === REQUEST ? readIncoming(parser, 0) : response.read(parser);
    if (fault !== null) throw new Error(fault.code);
  };
  const note =
    type === REQUEST
      ? 'more: framing, connection options, target, host and path checked'
      : 'more: framing and connection options checked';
  return { ...ourParser(bytes, type, understand), name: 'millrace, understood', note };
}

/** As node:http uses it: one parser for all messages of a connection. */
function native(bytes: Buffer, type: number): Case {
  const { HTTPParser } = createRequire(import.meta.url)('_http_common') as { HTTPParser: NativeParsers };
  const parser = new HTTPParser();
  parser.initialize(type === REQUEST ? HTTPParser.REQUEST : HTTPParser.RESPONSE, {});
  const last: Read = { message: [0, '', []] };
  parser[HTTPParser.kOnHeadersComplete] = (
    _major: number,
    _minor: number,
    headers: string[],
    method: number | undefined,
    url: string | undefined,
    status: number | undefined,
  ) => {
    last.message = [method ?? status ?? 0, url ?? '', headers];
    return 0;
  };
  parser[HTTPParser.kOnMessageComplete] = () => {};
  const note = 'more: every name and value becomes a string; less: no IncomingMessage, no headers object';
  return theirs(PER_RUN, "node:http's parser", note, whole(parser, bytes, last));
}

function script(bytes: Buffer, type: number): Case {
  const parser = new ScriptParser(type === REQUEST ? ScriptParser.REQUEST : ScriptParser.RESPONSE);
  const last: Read = { message: [0, '', []] };
  parser[ScriptParser.kOnHeadersComplete] = (info) => {
    last.message = [type === REQUEST ? info.method : info.statusCode, info.url ?? '', info.headers];
  };
  const note = 'more: strings; less: hardly checks what it reads';
  return theirs(PER_RUN, 'http-parser-js', note, whole(parser, bytes, last));
}

/** What a parser has put down last. */
interface Read {
  message: Message;
}

/** Hands all the bytes to `parser`, which fills `last`. */
function whole(parser: { execute(bytes: Buffer): unknown }, bytes: Buffer, last: Read): Work {
  const operate = (): number => {
    if (parser.execute(bytes) !== bytes.length) throw new Error('the message is not complete');
    return last.message[2].length;
  };
  return {
    operate,
    answer() {
      operate();
      return last.message;
    },
  };
}

function readBack(type: number, start: number, end: number): Message {
  let message: Message = [0, '', []];
  const receiver: MessageReceiver = {
    onHead(parser) {
      message = [type === REQUEST ? parser.method : parser.status, targetOf(parser), fieldsOf(parser)];
      return Verdict.GO_ON;
    },
    onBody() {},
  };
  const parser = leaseParser(type, receiver, LIMITS)!;
  parser.execute(start, end);
  releaseParser(parser);
  return message;
}

function targetOf(parser: Parser): string {
  return memory.toString('latin1', parser.targetStart, parser.targetEnd);
}

function fieldsOf({ fields }: Parser): string[] {
  return Array.from({ length: fields.count }, (_, field) => [fields.name(field), fields.value(field)]).flat();
}
