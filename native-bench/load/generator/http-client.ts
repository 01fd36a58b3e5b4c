// One connection that sends HTTP/1.1 requests, one after the other, and checks what comes back. Nothing is allocated per
// request but what Node's socket needs to write.

import { memory } from '../../../lib/wire/http1/llhttp.ts';
import type { HttpLoad } from '../load.ts';
import { renderRequest } from '../request.ts';
import { DialedClient } from './dialed-client.ts';
import type { Handshakes } from './handshakes.ts';
import type { Pace } from './pace.ts';
import { Found, ReplyScanner } from './reply-scanner.ts';
import type { Tally } from './tally.ts';

/** What all clients of a load send, ready for the wire, and what they expect. */
export interface HttpScript {
  readonly port: number;
  readonly requests: readonly Buffer[];
  /** Body bytes that the answer to each must have. */
  readonly replyBytes: readonly number[];
  readonly closing: boolean;
  readonly fromWriting: boolean;
  readonly handshakes: Handshakes | null;
}

/** `paced`: requests are due at a constant rate, whatever becomes of them. */
export function httpScript(load: HttpLoad, port: number, paced: boolean, handshakes: Handshakes | null): HttpScript {
  return {
    port,
    requests: load.requests.map((shape) => renderRequest(shape, `127.0.0.1:${port}`, load.closing)),
    replyBytes: load.requests.map(({ replyBytes }) => replyBytes),
    closing: load.closing,
    fromWriting: !paced && !load.closing,
    handshakes,
  };
}

export class HttpClient extends DialedClient {
  readonly #script: HttpScript;
  readonly #scanner = new ReplyScanner();
  #turn: number;

  /** Begins with request `first` of the script, so that not all clients send the same one at once. */
  constructor(script: HttpScript, tally: Tally, pace: Pace, first: number) {
    super(script.port, tally, pace, script.fromWriting, script.handshakes);
    this.#script = script;
    this.#turn = first % script.requests.length;
  }

  protected override greet(): void {
    this.stand();
  }

  protected override ask(): void {
    this.#scanner.begin();
    this.write(this.#script.requests[this.#turn]!);
  }

  override received(start: number, end: number): void {
    this.tally.bytes += end - start;
    const found = this.busy ? this.#scanner.scan(memory, start, end) : Found.NONSENSE;
    if (found === Found.WHOLE) this.#answered();
    else if (found === Found.NONSENSE) this.fail('read');
  }

  override finished(): void {
    if (this.busy && this.#scanner.finish()) this.#answered();
    else super.finished();
  }

  #answered(): void {
    const { tally } = this;
    const { requests, replyBytes, closing } = this.#script;
    const { status, bodyBytes } = this.#scanner;
    const nowMs = performance.now();
    if (status > 399) tally.errors.status++;
    // An answer that is not what the origin gave is cut off or another's: nobody could use it.
    else if (bodyBytes !== replyBytes[this.#turn]) tally.errors.read++;
    else tally.answered(this.dueMs, nowMs);
    if (++this.#turn === requests.length) this.#turn = 0;
    if (closing || this.#scanner.closing) this.drop();
    this.over(nowMs);
  }
}
