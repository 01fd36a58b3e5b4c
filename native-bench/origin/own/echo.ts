// WebSocket (RFC 6455) as far as a benchmark needs it: the server's half of the handshake, and every unfragmented message
// back as it came. What it does not know it closes with the code that says so.

import { createHash } from 'node:crypto';
import type { Connection, Receiver } from '../../../lib/io/connection.ts';
import { memory } from '../../../lib/wire/http1/llhttp.ts';
import { ECHO_BYTES_MAX } from '../content.ts';

/** Accepts the handshake with `key` on `connection`, which it owns from here; `start..end` came after it. */
export function beginEcho(connection: Connection, key: string, start: number, end: number): void {
  const accept = createHash('sha1').update(`${key}${GUID}`).digest('base64');
  const reply = `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`;
  const bytes = Buffer.from(reply, 'latin1');
  connection.send(bytes, 0, bytes.length);
  const echo = new Echo(connection);
  connection.receiver = echo;
  if (start < end) echo.received(start, end);
}

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const NOTHING = Buffer.alloc(0);

const FIN = 0x80;
const CONTROL = 0x08;
const MASKED = 0x80;
const LENGTH_MASK = 0x7f;
const MASK_BYTES = 4;

const Opcode = { TEXT: 1, BINARY: 2, CLOSE: 8, PING: 9, PONG: 10 } as const;

/** Why a connection is closed (RFC 6455 7.4.1). */
const Code = { PROTOCOL_ERROR: 1002, UNSUPPORTED: 1003, TOO_BIG: 1009 } as const;

class Echo implements Receiver {
  readonly #connection: Connection;
  /** The beginning of a frame that is not complete; never more than the longest frame and one read. */
  #kept: Buffer = NOTHING;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  received(start: number, end: number): void {
    if (this.#kept.length === 0) {
      const at = this.#readFrames(memory, start, end);
      if (at < end) this.#kept = Buffer.from(memory.subarray(at, end));
    } else {
      const bytes = Buffer.concat([this.#kept, memory.subarray(start, end)]);
      this.#kept = bytes.subarray(this.#readFrames(bytes, 0, bytes.length));
    }
    // Whoever does not read what comes back is not read from.
    if (this.#connection.blocked) this.#connection.pause();
  }

  finished(): void {
    this.#connection.close();
  }
  drained(): void {
    this.#connection.resume();
  }
  closed(): void {}
  expired(): void {}
  crashed(error: unknown): void {
    throw error;
  }

  /** Answers every complete frame; returns where the first incomplete one begins, `end` when the connection is over. */
  #readFrames(bytes: Buffer, start: number, end: number): number {
    let at = start;
    while (end - at >= 2) {
      const first = bytes[at]!;
      const second = bytes[at + 1]!;
      const short = second & LENGTH_MASK;
      if ((second & MASKED) === 0) return this.#close(Code.PROTOCOL_ERROR, end);
      // A length of eight bytes: nothing here needs it.
      if (short === 127) return this.#close(Code.TOO_BIG, end);
      if (short > 125 && (first & CONTROL) !== 0) return this.#close(Code.PROTOCOL_ERROR, end);
      if (short === 126 && end - at < 4) break;
      const length = short === 126 ? bytes.readUInt16BE(at + 2) : short;
      if (length > ECHO_BYTES_MAX) return this.#close(Code.TOO_BIG, end);
      const mask = at + (short === 126 ? 4 : 2);
      const payload = mask + MASK_BYTES;
      if (end - payload < length) break;
      at = payload + length;
      switch (first) {
        case FIN | Opcode.TEXT:
        case FIN | Opcode.BINARY:
          this.#send(first, bytes, mask, length);
          break;
        case FIN | Opcode.PING:
          this.#send(FIN | Opcode.PONG, bytes, mask, length);
          break;
        case FIN | Opcode.PONG:
          break;
        case FIN | Opcode.CLOSE:
          // RFC 6455 5.5.1: a close is answered with the code that it brought.
          this.#send(first, bytes, mask, length);
          this.#connection.close();
          return end;
        default:
          return this.#close(Code.UNSUPPORTED, end);
      }
    }
    return at;
  }

  /** Sends a frame with what the `length` bytes behind `mask` say without it. */
  #send(first: number, bytes: Buffer, mask: number, length: number): void {
    const at = this.#connection.compose(length + 4);
    if (at < 0) return;
    memory[at] = first;
    let to = at + 2;
    if (length > 125) {
      memory[at + 1] = 126;
      memory.writeUInt16BE(length, to);
      to += 2;
    } else {
      memory[at + 1] = length;
    }
    const from = mask + MASK_BYTES;
    for (let index = 0; index < length; index++) memory[to + index] = bytes[from + index]! ^ bytes[mask + (index & 3)]!;
    this.#connection.wrote(at, to + length);
  }

  #close(code: number, end: number): number {
    const at = this.#connection.compose(4);
    if (at < 0) return end;
    memory[at] = FIN | Opcode.CLOSE;
    memory[at + 1] = 2;
    memory.writeUInt16BE(code, at + 2);
    this.#connection.wrote(at, at + 4);
    this.#connection.close();
    return end;
  }
}
