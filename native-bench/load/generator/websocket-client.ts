// One connection that shakes hands once and then has its message echoed again and again.

import { memory } from '../../../lib/wire/http1/llhttp.ts';
import type { WebSocketLoad } from '../load.ts';
import { DialedClient } from './dialed-client.ts';
import { EchoScanner, renderHandshake, renderMessage } from './echo.ts';
import type { Pace } from './pace.ts';
import { Found, ReplyScanner } from './reply-scanner.ts';
import type { Tally } from './tally.ts';

/** What all clients of a load send, ready for the wire. */
export interface WebSocketScript {
  readonly port: number;
  readonly handshake: Buffer;
  readonly message: Buffer;
  readonly messageBytes: number;
  readonly fromWriting: boolean;
}

/** `paced`: messages are due at a constant rate, whatever becomes of them. */
export function webSocketScript({ messageBytes }: WebSocketLoad, port: number, paced: boolean): WebSocketScript {
  const handshake = renderHandshake(`127.0.0.1:${port}`);
  return { port, handshake, message: renderMessage(messageBytes), messageBytes, fromWriting: !paced };
}

export class WebSocketClient extends DialedClient {
  readonly #script: WebSocketScript;
  readonly #reply = new ReplyScanner();
  readonly #echo: EchoScanner;
  #open = false;

  constructor(script: WebSocketScript, tally: Tally, pace: Pace) {
    super(script.port, tally, pace, script.fromWriting, null);
    this.#script = script;
    this.#echo = new EchoScanner(script.messageBytes);
  }

  protected override greet(): void {
    this.#open = false;
    this.#reply.begin();
    this.write(this.#script.handshake);
  }

  protected override ask(): void {
    this.#echo.begin();
    this.write(this.#script.message);
  }

  override received(start: number, end: number): void {
    this.tally.bytes += end - start;
    if (!this.#open) return this.#shake(start, end);
    const found = this.busy ? this.#echo.scan(memory, start, end) : Found.NONSENSE;
    if (found === Found.MORE) return;
    if (found === Found.NONSENSE) return this.fail('read');
    const nowMs = performance.now();
    this.tally.answered(this.dueMs, nowMs);
    this.over(nowMs);
  }

  #shake(start: number, end: number): void {
    const found = this.#reply.scan(memory, start, end);
    if (found === Found.MORE) return;
    if (found === Found.NONSENSE) return this.fail('read');
    if (this.#reply.status !== 101) return this.fail('status');
    this.#open = true;
    this.stand();
  }
}
