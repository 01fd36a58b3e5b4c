// The little of RFC 6455 that an echo needs: a handshake, one masked message, and finding the end of what comes back.

import { ECHO_PATH } from '../../origin/content.ts';
import { Found } from './reply-scanner.ts';

/** The request that turns a connection into a WebSocket. */
export function renderHandshake(host: string): Buffer {
  const key = Buffer.alloc(16, 'millrace').toString('base64');
  return Buffer.from(
    `GET ${ECHO_PATH} HTTP/1.1\r\nHost: ${host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
      `Sec-WebSocket-Key: ${key}\r\nSec-WebSocket-Version: 13\r\n\r\n`,
  );
}

/** A binary message of `messageBytes` in one frame, masked as clients must (RFC 6455 5.3). */
export function renderMessage(messageBytes: number): Buffer {
  const header = Buffer.alloc(messageBytes < 126 ? 2 : messageBytes < 65_536 ? 4 : 10);
  header[0] = FINAL | BINARY;
  header[1] = MASKED | (header.length === 2 ? messageBytes : header.length === 4 ? 126 : 127);
  if (header.length === 4) header.writeUInt16BE(messageBytes, 2);
  if (header.length === 10) header.writeBigUInt64BE(BigInt(messageBytes), 2);
  const masked = Buffer.alloc(messageBytes, LETTERS);
  for (let at = 0; at < messageBytes; at++) masked[at]! ^= MASK[at & 3]!;
  return Buffer.concat([header, MASK, masked]);
}

/** Finds the end of one echoed message, in however many frames and reads it comes. */
export class EchoScanner {
  readonly #messageBytes: number;
  /** Of the message: how much has come, and of its current frame how much is to come. */
  #bytes = 0;
  #missing = 0;
  /** Of the current frame's header: bytes seen, how long it is, and whether the frame is the last. */
  #headerBytes = 0;
  #headerLength = 2;
  #final = false;

  constructor(messageBytes: number) {
    this.#messageBytes = messageBytes;
  }

  /** Ready for the next message. */
  begin(): void {
    this.#bytes = 0;
    this.#expectFrame();
  }

  /** Takes `bytes[start..end]`; they are not needed afterwards. Answers a `Found`. */
  scan(bytes: Uint8Array, start: number, end: number): number {
    let at = start;
    while (at < end) {
      if (this.#headerBytes < this.#headerLength) {
        if (!this.#readHeader(bytes[at++]!)) return Found.NONSENSE;
      } else {
        const came = Math.min(end - at, this.#missing);
        if (!this.#check(bytes, at, came)) return Found.NONSENSE;
        at += came;
      }
      if (this.#headerBytes < this.#headerLength || this.#missing > 0) continue;
      if (this.#final) return at === end && this.#bytes === this.#messageBytes ? Found.WHOLE : Found.NONSENSE;
      this.#expectFrame();
    }
    return Found.MORE;
  }

  #expectFrame(): void {
    this.#headerBytes = 0;
    this.#headerLength = 2;
    this.#missing = 0;
  }

  /** The next byte of a header (RFC 6455 5.2); servers mask nothing, and nobody here sends control frames. */
  #readHeader(byte: number): boolean {
    const position = this.#headerBytes++;
    if (position === 0) {
      this.#final = (byte & FINAL) !== 0;
      return (byte & ~FINAL) === (this.#bytes === 0 ? BINARY : CONTINUATION);
    }
    if (position > 1) {
      this.#missing = this.#missing * 256 + byte;
      return true;
    }
    if (byte === 126) this.#headerLength = 4;
    else if (byte === 127) this.#headerLength = 10;
    else this.#missing = byte;
    return (byte & MASKED) === 0;
  }

  /** The length of a message and its ends are checked: enough to notice a mix-up, and cheap. */
  #check(bytes: Uint8Array, at: number, came: number): boolean {
    if (came > 0 && this.#bytes === 0 && bytes[at] !== letterAt(0)) return false;
    this.#bytes += came;
    this.#missing -= came;
    if (this.#bytes > this.#messageBytes) return false;
    return this.#bytes < this.#messageBytes || came === 0 || bytes[at + came - 1] === letterAt(this.#messageBytes - 1);
  }
}

const FINAL = 0x80;
const MASKED = 0x80;
const CONTINUATION = 0;
const BINARY = 2;
const MASK = Buffer.from([0x5a, 0xa5, 0x3c, 0xc3]);
const LETTERS = 'abcdefghijklmnopqrstuvwxyz';

function letterAt(index: number): number {
  return LETTERS.charCodeAt(index % LETTERS.length);
}
