// Finds the end of HTTP/1.1 replies with as little work as will do: status, length, whether the connection stays. It
// trusts what it reads, since only our own origin and the proxies under measurement answer; nothing else may use it.

/** What `ReplyScanner.scan` has found. */
export const Found = {
  /** The reply goes on. */
  MORE: 0,
  /** The reply is whole. */
  WHOLE: 1,
  /** This is no reply, or there is more than one where one was asked for. */
  NONSENSE: 2,
} as const;

const HEAD = 0;
const BODY = 1;
const CHUNK_SIZE = 2;
const CHUNK_EXTENSION = 3;
const CHUNK_DATA = 4;
const CHUNK_END = 5;
const TRAILER = 6;
const UNTIL_END = 7;

const CR = 0x0d;
const LF = 0x0a;

/** Larger heads are not sent by anybody here. */
const HEAD_BYTES = 64 * 1024;

/** One connection's replies, one after the other. */
export class ReplyScanner {
  status = 0;
  /** Bytes of body so far, transfer coding removed. */
  bodyBytes = 0;
  /** Whether the peer will close after this reply. */
  closing = false;
  #state: number = HEAD;
  /** Bytes of the body or of its chunk that are still to come. */
  #missing = 0;
  #lineBytes = 0;
  #kept: Buffer | null = null;

  /** Ready for the next reply. */
  begin(): void {
    this.status = 0;
    this.bodyBytes = 0;
    this.closing = false;
    this.#state = HEAD;
    this.#kept = null;
  }

  /** Whether any of the reply has come. */
  get begun(): boolean {
    return this.#state !== HEAD || this.#kept !== null;
  }

  /** Takes `bytes[start..end]`; they are not needed afterwards. Answers a `Found`. */
  scan(bytes: Uint8Array, start: number, end: number): number {
    if (this.#state !== HEAD) return this.#scanBody(bytes, start, end);
    if (this.#kept !== null) return this.#scanGathered(bytes, start, end);
    const bodyStart = endOfHead(bytes, start, end);
    if (bodyStart < 0) return this.#keep(bytes, start, end);
    if (!this.#readHead(bytes, start, bodyStart)) return Found.NONSENSE;
    return this.#state === HEAD ? this.scan(bytes, bodyStart, end) : this.#scanBody(bytes, bodyStart, end);
  }

  /** The peer has closed: whether that is how this reply was to end. */
  finish(): boolean {
    return this.#state === UNTIL_END;
  }

  #keep(bytes: Uint8Array, start: number, end: number): number {
    if (end - start > HEAD_BYTES) return Found.NONSENSE;
    if (end > start) this.#kept = Buffer.from(bytes.subarray(start, end));
    return Found.MORE;
  }

  #scanGathered(bytes: Uint8Array, start: number, end: number): number {
    const whole = Buffer.concat([this.#kept!, bytes.subarray(start, end)]);
    this.#kept = null;
    return this.scan(whole, 0, whole.length);
  }

  /** Reads status and framing (RFC 9112 6.3), and moves on to the body. */
  #readHead(bytes: Uint8Array, start: number, end: number): boolean {
    // "HTTP/1.1 200"
    if (bytes[start] !== 0x48 || bytes[start + 8] !== 0x20) return false;
    this.status = bytes[start + 9]! * 100 + bytes[start + 10]! * 10 + bytes[start + 11]! - 0x30 * 111;
    if (!(this.status >= 100 && this.status <= 999)) return false;
    this.closing = bytes[start + 7] === 0x30;
    let length = -1;
    let chunked = false;
    for (let at = lineAfter(bytes, start, end); at < end; at = lineAfter(bytes, at, end)) {
      // Only three fields matter, and their first letters and lengths tell all others apart quickly.
      const letter = bytes[at]! | 0x20;
      if (letter === 0x63 && named(bytes, at, CONTENT_LENGTH)) length = numberIn(bytes, at + CONTENT_LENGTH.length);
      else if (letter === 0x63 && named(bytes, at, CONNECTION)) {
        this.closing = valueIs(bytes, at + CONNECTION.length, CLOSE);
      } else if (letter === 0x74 && named(bytes, at, TRANSFER_ENCODING)) {
        chunked = valueIs(bytes, at + TRANSFER_ENCODING.length, CHUNKED);
      }
    }
    // An interim reply: the one that was asked for is still to come.
    if (this.status < 200 && this.status !== 101) return true;
    const bodyless = this.status === 101 || this.status === 204 || this.status === 304;
    this.#missing = bodyless ? 0 : length;
    if (chunked && !bodyless) this.#expectChunk();
    else this.#state = this.#missing >= 0 ? BODY : UNTIL_END;
    if (this.#state === UNTIL_END) this.closing = true;
    return true;
  }

  #scanBody(bytes: Uint8Array, start: number, end: number): number {
    if (this.#state === BODY) {
      const came = end - start;
      if (came > this.#missing) return Found.NONSENSE;
      this.#missing -= came;
      this.bodyBytes += came;
      return this.#missing === 0 ? Found.WHOLE : Found.MORE;
    }
    if (this.#state === UNTIL_END) {
      this.bodyBytes += end - start;
      return Found.MORE;
    }
    return this.#scanChunks(bytes, start, end);
  }

  #expectChunk(): void {
    this.#state = CHUNK_SIZE;
    this.#missing = 0;
  }

  #scanChunks(bytes: Uint8Array, at: number, end: number): number {
    while (at < end) {
      if (this.#state === CHUNK_DATA) {
        const came = Math.min(end - at, this.#missing);
        this.#missing -= came;
        this.bodyBytes += came;
        at += came;
        if (this.#missing === 0) this.#state = CHUNK_END;
        continue;
      }
      const byte = bytes[at++]!;
      if (this.#state === CHUNK_SIZE) {
        const digit = hexDigit(byte);
        if (digit >= 0) this.#missing = this.#missing * 16 + digit;
        else if (byte === LF) this.#enterChunk();
        else this.#state = CHUNK_EXTENSION;
      } else if (this.#state === CHUNK_EXTENSION) {
        if (byte === LF) this.#enterChunk();
      } else if (this.#state === CHUNK_END) {
        if (byte === LF) this.#expectChunk();
        else if (byte !== CR) return Found.NONSENSE;
      } else if (byte === LF) {
        if (this.#lineBytes === 0) return at === end ? Found.WHOLE : Found.NONSENSE;
        this.#lineBytes = 0;
      } else if (byte !== CR) {
        this.#lineBytes++;
      }
    }
    return Found.MORE;
  }

  #enterChunk(): void {
    this.#lineBytes = 0;
    this.#state = this.#missing === 0 ? TRAILER : CHUNK_DATA;
  }
}

const CONTENT_LENGTH = Buffer.from('content-length:');
const CONNECTION = Buffer.from('connection:');
const TRANSFER_ENCODING = Buffer.from('transfer-encoding:');
const CLOSE = Buffer.from('close');
const CHUNKED = Buffer.from('chunked');

/** The first byte behind the empty line, -1 when it has not come. */
function endOfHead(bytes: Uint8Array, start: number, end: number): number {
  for (let at = start + 3; at < end; at++) {
    if (bytes[at] === LF && bytes[at - 2] === LF && bytes[at - 1] === CR) return at + 1;
  }
  return -1;
}

function lineAfter(bytes: Uint8Array, at: number, end: number): number {
  while (at < end && bytes[at] !== LF) at++;
  return at + 1;
}

/** Whether the bytes at `at` are `name`, which is in lower case. */
function named(bytes: Uint8Array, at: number, name: Uint8Array): boolean {
  for (let index = 0; index < name.length; index++) {
    const byte = bytes[at + index]!;
    if ((byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte) !== name[index]) return false;
  }
  return true;
}

function valueIs(bytes: Uint8Array, at: number, value: Uint8Array): boolean {
  return named(bytes, afterBlanks(bytes, at), value);
}

function numberIn(bytes: Uint8Array, at: number): number {
  at = afterBlanks(bytes, at);
  let number = 0;
  for (let digit = bytes[at]! - 0x30; digit >= 0 && digit <= 9; digit = bytes[++at]! - 0x30)
    number = number * 10 + digit;
  return number;
}

function afterBlanks(bytes: Uint8Array, at: number): number {
  while (bytes[at] === 0x20 || bytes[at] === 0x09) at++;
  return at;
}

function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}
