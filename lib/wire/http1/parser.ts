// One HTTP/1 message at a time, parsed where its bytes lie: llhttp checks the syntax, this file turns its callbacks into
// offsets, gathers heads that arrive in pieces and enforces limits. What a head means is left to head.ts.

import { type ErrorCode, type ProxyError, proxyError } from '../../base/errors.ts';
import { identifyField } from '../field-id.ts';
import { Fields } from '../fields.ts';
import {
  type Callbacks,
  carve,
  carveState,
  execute,
  finish,
  initialise,
  majorOf,
  memory,
  methodOf,
  minorOf,
  REQUEST,
  Result,
  reason,
  stoppedAt,
} from './llhttp.ts';

/** What `Parser.execute` has to say about the bytes it was given. */
export const Outcome = {
  /** All bytes are consumed and the message goes on. */
  MORE: 0,
  /** The message is complete; `parser.position` is the first byte after it. */
  DONE: 1,
  /** The message is refused; `parser.fault` says why. */
  FAULT: 2,
} as const;

/** What `MessageReceiver.onHead` answers. The numbers are llhttp's. */
export const Verdict = {
  GO_ON: 0,
  /** The message has no body whatever its head says (RFC 9112 6.3: answers to HEAD). */
  NO_BODY: 1,
  /** Stop; `parser.fault` was set. */
  REFUSE: -1,
} as const;

export interface MessageReceiver {
  /** The head is complete: `parser.fields` and the offsets are valid until this returns. Answers a `Verdict`. */
  onHead(parser: Parser): number;
  /** Bytes of the body, transfer coding removed: borrowed, valid until return. */
  onBody(start: number, end: number): void;
}

export interface HeadLimits {
  /** Start line and fields together, 1 KiB to 48 KiB. */
  readonly headBytes: number;
  /** Number of fields, at least 1. */
  readonly headers: number;
}

/** No head may be larger than this, whatever is configured: it must fit one slab together with what we add. */
export const HEAD_BYTES_MAX = 48 * 1024;

// What chunked framing may cost (RFC 9112 7.1.1: limit chunk extensions): a body in chunks of one byte has 5 bytes of it
// for each; the constant covers a head in the same read.
const FRAMING_RATIO = 16;
const FRAMING_BYTES = 128 * 1024;

const NOTHING = 0;
const NAME = 1;
const VALUE = 2;

// Heads that arrived in pieces are put together here when they are complete; only one head is read at a time.
const SCRATCH_BYTES = HEAD_BYTES_MAX + 65536;
const scratch = carve(SCRATCH_BYTES);

const IDLE: MessageReceiver = { onHead: () => Verdict.REFUSE, onBody: () => {} };

/** Parser states are pooled: an idle connection holds none. */
const free: Parser[] = [];

/** Takes a parser for one message. `type` is REQUEST or RESPONSE. Null when there is no memory for another. */
export function leaseParser(type: number, receiver: MessageReceiver, limits: HeadLimits): Parser | null {
  let parser = free.pop();
  if (parser === undefined) {
    const state = carveState();
    if (state === 0) return null;
    parser = new Parser(state);
  }
  parser.begin(type, receiver, limits);
  return parser;
}

/** Gives a parser back; the caller must not use it again. Possible from within its callbacks: they stop. */
export function releaseParser(parser: Parser): void {
  if (parser.forget()) free.push(parser);
}

/** How many parsers wait for use; for tests of leaks. */
export function idleParsers(): number {
  return free.length;
}

export class Parser implements Callbacks {
  /** The fields of the head, and after the body those of the trailer section. Offsets in `memory`. */
  readonly fields: Fields;
  /** First byte of the start line and the byte after the head's empty line, valid during `onHead`. */
  headStart = 0;
  headEnd = 0;
  /** The request target, valid during `onHead`. */
  targetStart = 0;
  targetEnd = 0;
  /** Status and version of a response; version of a request. */
  status = 0;
  major = 0;
  minor = 0;
  /** Number of the request method (see method.ts). */
  method = 0;
  /** Whether the connection may be used for another message as far as llhttp can tell. */
  persistent = false;
  /** Whether fields after the body were seen. */
  trailing = false;
  /** After DONE: the first byte that is not part of the message. */
  position = 0;
  fault: ProxyError | null = null;

  readonly #state: number;
  #type = REQUEST;
  #receiver: MessageReceiver = IDLE;
  #limits: HeadLimits = { headBytes: 0, headers: 0 };
  #thrown: { error: unknown } | null = null;
  #executing = false;
  #doomed = false;
  #inBody = false;
  #ended = false;
  #last = NOTHING;
  #sectionStart = 0;
  #chunkStart = 0;
  #chunkEnd = 0;
  /** What to add to an offset in the current bytes so that it points where the byte will lie when all is gathered. */
  #delta = 0;
  /** Since the head: what arrived, and what of it was body. */
  #rawBytes = 0;
  #bodyBytes = 0;
  #gathered: Buffer | null = null;
  #gatheredBytes = 0;

  constructor(state: number) {
    this.#state = state;
    this.fields = new Fields(memory);
  }

  begin(type: number, receiver: MessageReceiver, limits: HeadLimits): void {
    initialise(this.#state, type);
    this.#type = type;
    this.#receiver = receiver;
    this.#limits = limits;
    this.#inBody = false;
    this.#ended = false;
    this.#last = NOTHING;
    this.#delta = 0;
    this.#gatheredBytes = 0;
    this.#rawBytes = 0;
    this.#bodyBytes = 0;
    this.fields.count = 0;
    this.trailing = false;
    this.targetStart = 0;
    this.targetEnd = 0;
    this.fault = null;
  }

  /** Drops everything; false when it is executing, and then it frees itself afterwards. */
  forget(): boolean {
    this.#receiver = IDLE;
    this.#gathered = null;
    this.#doomed = this.#executing;
    return !this.#executing;
  }

  /** Whether any byte of the head is waiting for the rest. */
  get begun(): boolean {
    return this.#gatheredBytes > 0;
  }
  /** Whether the head is complete. */
  get inBody(): boolean {
    return this.#inBody;
  }

  /**
   * Parses the bytes `start..end` of `memory`. Answers an `Outcome`; never throws on what others send. What the
   * receiver throws ends the parsing and comes out here.
   */
  execute(start: number, end: number): number {
    this.#chunkStart = start;
    this.#chunkEnd = end;
    if (!this.#inBody && this.#gatheredBytes === 0) {
      this.#sectionStart = start;
      this.#delta = 0;
    } else if (this.#gatheredBytes > 0) {
      this.#delta = scratch + this.#gatheredBytes - start;
    }
    this.#executing = true;
    const result = execute(this.#state, this, start, end - start);
    this.#executing = false;
    if (this.#doomed) return this.#retire();
    if (this.#thrown !== null) this.#rethrow();
    if (result === Result.OK) return this.#gather(start, end);
    if (this.#ended && this.fault === null) {
      this.position = stoppedAt(this.#state);
      return Outcome.DONE;
    }
    if (this.fault === null) this.fault = this.#explain(result);
    return Outcome.FAULT;
  }

  /** The peer sends no more: DONE when that ends the message (RFC 9112 6.3, case 8), else FAULT. */
  finish(): number {
    this.#executing = true;
    const result = finish(this.#state, this);
    this.#executing = false;
    if (this.#doomed) return this.#retire();
    if (this.#thrown !== null) this.#rethrow();
    if (this.#ended) return Outcome.DONE;
    if (this.fault === null)
      this.fault = proxyError(this.#code('bad_request'), result === Result.OK ? 'no message' : 'cut off');
    return Outcome.FAULT;
  }

  /** Released while executing: nobody may use it any more, so it can be leased again. */
  #retire(): number {
    this.#doomed = false;
    free.push(this);
    this.#rethrow();
    return Outcome.FAULT;
  }

  onTarget(start: number, length: number): number {
    const at = start + this.#delta;
    if (this.targetEnd === 0) this.targetStart = at;
    this.targetEnd = at + length;
    return 0;
  }

  onStatusText(): number {
    return 0;
  }

  onFieldName(start: number, length: number): number {
    const fields = this.fields;
    if (this.#last === NAME) {
      fields.setNameEnd(fields.count - 1, start + this.#delta + length);
      return 0;
    }
    if (this.#inBody && !this.trailing) {
      this.trailing = true;
      this.#sectionStart = start;
      this.#delta = 0;
      fields.count = 0;
    }
    if (fields.count === this.#limits.headers) {
      this.fault = proxyError(this.#code('head_too_large'), `more than ${fields.count} fields`);
      return Result.USER;
    }
    this.#last = NAME;
    fields.add(start + this.#delta, start + this.#delta + length);
    return 0;
  }

  onFieldValue(start: number, length: number): number {
    const at = start + this.#delta;
    if (this.#last === NAME) {
      this.#last = VALUE;
      const field = this.fields.count - 1;
      // An empty value is told where the next line begins, too late to find the end of its own line from there.
      if (length > 0) this.fields.setValue(field, at, at + length);
      else this.fields.setValue(field, this.fields.nameEnd(field), this.fields.nameEnd(field));
    } else {
      this.fields.setValueEnd(this.fields.count - 1, at + length);
    }
    return 0;
  }

  onHeadEnd(status: number, _upgrade: boolean, keepAlive: boolean): number {
    if (!this.#complete()) return Verdict.REFUSE;
    const state = this.#state;
    this.status = status;
    this.persistent = keepAlive;
    this.major = majorOf(state);
    this.minor = minorOf(state);
    if (this.#type === REQUEST) this.method = methodOf(state);
    const verdict = this.#deliverHead();
    this.#inBody = true;
    this.#last = NOTHING;
    this.#gatheredBytes = 0;
    this.#gathered = null;
    this.fields.count = 0;
    return verdict;
  }

  onBody(start: number, length: number): number {
    this.#bodyBytes += length;
    try {
      this.#receiver.onBody(start, start + length);
    } catch (error) {
      this.#catch(error);
    }
    return this.fault === null ? 0 : Result.USER;
  }

  onMessageEnd(): number {
    if (this.trailing && !this.#complete()) return Verdict.REFUSE;
    this.#ended = true;
    return Result.PAUSED;
  }

  #deliverHead(): number {
    try {
      return this.#receiver.onHead(this);
    } catch (error) {
      return this.#catch(error);
    }
  }

  /** An exception must not travel through the parser's frames: its stack would never be unwound. It waits outside. */
  #catch(error: unknown): number {
    this.#thrown = { error };
    this.fault = proxyError('internal');
    return Verdict.REFUSE;
  }

  #rethrow(): void {
    const thrown = this.#thrown;
    this.#thrown = null;
    if (thrown !== null) throw thrown.error;
  }

  /** Makes a complete section readable: contiguous, line ends known, values trimmed, names identified. */
  #complete(): boolean {
    let scanEnd = this.#chunkEnd;
    if (this.#gatheredBytes > 0) {
      const room = Math.min(this.#chunkEnd - this.#chunkStart, SCRATCH_BYTES - this.#gatheredBytes);
      memory.set(this.#gathered!.subarray(0, this.#gatheredBytes), scratch);
      memory.copyWithin(scratch + this.#gatheredBytes, this.#chunkStart, this.#chunkStart + room);
      this.#sectionStart = scratch;
      scanEnd = scratch + this.#gatheredBytes + room;
    }
    const fields = this.fields;
    const count = fields.count;
    // Strict parsing has seen to it that only blanks and CR stand between here and the line feed.
    let at = count > 0 ? fields.valueEnd(count - 1) : this.targetEnd !== 0 ? this.targetEnd : this.#sectionStart;
    while (at < scanEnd && memory[at] !== 0x0a) at++;
    let lineEnd = at + 1;
    this.headStart = this.#sectionStart;
    this.headEnd = lineEnd + 2;
    if (this.headEnd - this.#sectionStart > this.#limits.headBytes) {
      const inTarget = !this.trailing && this.targetEnd - this.#sectionStart > this.#limits.headBytes;
      const code = inTarget ? 'target_too_long' : 'head_too_large';
      this.fault = proxyError(this.#code(code), `more than ${this.#limits.headBytes} bytes`);
      return false;
    }
    for (let field = count - 1; field >= 0; field--) {
      const valueStart = fields.valueStart(field);
      let valueEnd = fields.valueEnd(field);
      while (valueEnd > valueStart && (memory[valueEnd - 1] === 0x20 || memory[valueEnd - 1] === 0x09)) valueEnd--;
      fields.setValueEnd(field, valueEnd);
      fields.setLineEnd(field, lineEnd);
      lineEnd = fields.nameStart(field);
      fields.setId(field, identifyField(memory, lineEnd, fields.nameEnd(field)));
    }
    return true;
  }

  /** All bytes are parsed and the section is not complete: keep what it needs. */
  #gather(start: number, end: number): number {
    if (this.#inBody) {
      this.#rawBytes += end - start;
      if (this.#rawBytes - this.#bodyBytes > FRAMING_BYTES + FRAMING_RATIO * this.#bodyBytes) {
        this.fault = proxyError(this.#code('bad_framing'), 'chunk sizes and extensions outweigh the body');
        return Outcome.FAULT;
      }
      if (!this.trailing) return Outcome.MORE;
    }
    const first = this.#gatheredBytes === 0;
    const from = first ? this.#sectionStart : start;
    const bytes = end - from;
    const total = this.#gatheredBytes + bytes;
    if (total > this.#limits.headBytes) {
      const inTarget = this.#type === REQUEST && this.fields.count === 0 && !this.trailing;
      this.fault = proxyError(this.#code(inTarget ? 'target_too_long' : 'head_too_large'));
      return Outcome.FAULT;
    }
    let gathered = this.#gathered;
    if (gathered === null || gathered.length < total) {
      // Doubling keeps the work linear for a peer that sends one byte at a time.
      const grown = Buffer.allocUnsafeSlow(Math.min(Math.max(512, total * 2), HEAD_BYTES_MAX));
      if (gathered !== null) grown.set(gathered.subarray(0, this.#gatheredBytes));
      this.#gathered = gathered = grown;
    }
    gathered.set(memory.subarray(from, end), this.#gatheredBytes);
    if (first) {
      const delta = scratch - this.#sectionStart;
      this.fields.shift(delta);
      if (this.targetEnd !== 0) {
        this.targetStart += delta;
        this.targetEnd += delta;
      }
    }
    this.#gatheredBytes = total;
    return Outcome.MORE;
  }

  #explain(result: number): ProxyError {
    const detail = reason(this.#state);
    if (this.#type !== REQUEST) return proxyError('bad_response', detail);
    if (
      result === Result.PAUSED_H2_UPGRADE ||
      (result === Result.INVALID_VERSION && detail === 'Invalid HTTP version')
    ) {
      return proxyError('unknown_version', detail);
    }
    if (result === Result.INVALID_METHOD && this.#startsWithToken()) return proxyError('unknown_method', detail);
    return proxyError('bad_request', detail);
  }

  /** For requests as given; whatever is wrong with a response is a bad response. */
  #code(code: ErrorCode): ErrorCode {
    return this.#type === REQUEST ? code : 'bad_response';
  }

  /** Whether the first line begins with a well-formed method that llhttp merely does not know (RFC 9110 9.1: 501). */
  #startsWithToken(): boolean {
    let at = this.#chunkStart;
    while (at < this.#chunkEnd && (memory[at] === 0x0d || memory[at] === 0x0a)) at++;
    const start = at;
    while (at < this.#chunkEnd && at - start < 64 && isLetter(memory[at]!)) at++;
    // What lies behind the bytes of this read is not ours to look at: a name may go on in the next one.
    return at > start && (at === this.#chunkEnd || memory[at] === 0x20);
  }
}

function isLetter(byte: number): boolean {
  return (byte >= 0x41 && byte <= 0x5a) || (byte >= 0x61 && byte <= 0x7a) || byte === 0x2d || byte === 0x5f;
}
