// A DNS server of one name whose addresses change while it runs (RFC 1035): as much of it as resolvers ask for.

import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';

const HEADER_BYTES = 12;
const TYPE_A = 1;
const CLASS_IN = 1;
const RESPONSE = 0x8400;
const NAME_ERROR = 3;
/** Points to the name of the question, which stands behind the header. */
const SAME_NAME = 0xc000 | HEADER_BYTES;

export class NameServer {
  /** IPv4 addresses that the name has now. */
  addresses: readonly string[] = [];
  readonly #name: string;
  readonly #ttlS: number;
  readonly #socket: Socket;

  private constructor(name: string, ttlS: number) {
    this.#name = name;
    this.#ttlS = ttlS;
    this.#socket = createSocket('udp4', (question, { port, address }) => {
      const answer = this.#answer(question);
      if (answer !== null) this.#socket.send(answer, port, address);
    });
  }

  static async start(name: string, ttlS: number): Promise<NameServer> {
    const server = new NameServer(name, ttlS);
    server.#socket.bind(0, '127.0.0.1');
    await once(server.#socket, 'listening');
    return server;
  }

  get port(): number {
    return (this.#socket.address() as AddressInfo).port;
  }

  stop(): void {
    this.#socket.close();
  }

  #answer(question: Buffer): Buffer | null {
    const labels: string[] = [];
    let at = HEADER_BYTES;
    for (let length = question[at]; length !== undefined && length > 0 && length < 64; length = question[at]) {
      labels.push(question.toString('latin1', at + 1, at + 1 + length));
      at += 1 + length;
    }
    // The name's end, type and class.
    const end = at + 5;
    if (end > question.length || question[at] !== 0) return null;
    const known = labels.join('.').toLowerCase() === this.#name;
    const wanted = known && question.readUInt16BE(at + 1) === TYPE_A ? this.addresses : [];
    const head = Buffer.alloc(HEADER_BYTES);
    question.copy(head, 0, 0, 2);
    // Recursion is as wanted as the question says.
    head.writeUInt16BE(RESPONSE | (question.readUInt16BE(2) & 0x0100) | (known ? 0 : NAME_ERROR), 2);
    head.writeUInt16BE(1, 4);
    head.writeUInt16BE(wanted.length, 6);
    return Buffer.concat([
      head,
      question.subarray(HEADER_BYTES, end),
      ...wanted.map((address) => this.#record(address)),
    ]);
  }

  #record(address: string): Buffer {
    const record = Buffer.alloc(16);
    record.writeUInt16BE(SAME_NAME, 0);
    record.writeUInt16BE(TYPE_A, 2);
    record.writeUInt16BE(CLASS_IN, 4);
    record.writeUInt32BE(this.#ttlS, 6);
    record.writeUInt16BE(4, 10);
    record.set(address.split('.').map(Number), 12);
    return record;
  }
}
