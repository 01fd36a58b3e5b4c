// A name server that a test scripts: answers over UDP what it is told to, whatever that is.

import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import type { TestContext } from 'node:test';

/** Of a service: where it is. */
export interface Service {
  readonly target: string;
  readonly port: number;
  readonly priority?: number;
  readonly weight?: number;
}

/** What is answered: addresses or services, or a response code (RFC 1035 4.1.1). */
export type DnsAnswer = readonly string[] | readonly Service[] | 'SERVFAIL' | 'NXDOMAIN';

export interface NameServer {
  /** `127.0.0.1:PORT` */
  readonly address: string;
  /** By `A name`, `AAAA name` or `SRV name`; what is not there has no records. */
  readonly answers: Map<string, DnsAnswer>;
  /** Questions so far, as keys of `answers`. */
  readonly asked: string[];
}

const TYPES: Readonly<Record<number, string>> = { 1: 'A', 28: 'AAAA', 33: 'SRV' };
const CODES = { SERVFAIL: 2, NXDOMAIN: 3 } as const;
const TTL_S = 1;

export async function startNameServer(t: TestContext): Promise<NameServer> {
  const answers = new Map<string, DnsAnswer>();
  const asked: string[] = [];
  const socket = createSocket('udp4');
  socket.on('message', (message, from) => {
    const [name, end] = readName(message, 12);
    const key = `${TYPES[message.readUInt16BE(end)] ?? ''} ${name}`;
    asked.push(key);
    const answer = answers.get(key) ?? [];
    const records = typeof answer === 'string' ? [] : answer.map((record) => recordOf(record, key));
    const head = Buffer.from(message.subarray(0, 12));
    head.writeUInt16BE(0x8180 | (typeof answer === 'string' ? CODES[answer] : 0), 2);
    head.writeUInt16BE(records.length, 6);
    head.fill(0, 8);
    socket.send(Buffer.concat([head, message.subarray(12, end + 4), ...records]), from.port, from.address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  t.after(() => socket.close());
  return { address: `127.0.0.1:${socket.address().port}`, answers, asked };
}

function readName(message: Buffer, at: number): [name: string, end: number] {
  const labels: string[] = [];
  for (let length = message[at]!; length > 0; length = message[at]!) {
    labels.push(message.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
  return [labels.join('.').toLowerCase(), at + 1];
}

function recordOf(record: string | Service, key: string): Buffer {
  const type = Number(Object.keys(TYPES).find((code) => key.startsWith(`${TYPES[Number(code)]} `)));
  const data = typeof record !== 'string' ? serviceOf(record) : type === 1 ? v4(record) : v6(record);
  const head = Buffer.alloc(12);
  // The name is the one of the question.
  head.writeUInt16BE(0xc00c, 0);
  head.writeUInt16BE(type, 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt32BE(TTL_S, 6);
  head.writeUInt16BE(data.length, 10);
  return Buffer.concat([head, data]);
}

function serviceOf({ target, port, priority = 0, weight = 1 }: Service): Buffer {
  const numbers = Buffer.alloc(6);
  numbers.writeUInt16BE(priority, 0);
  numbers.writeUInt16BE(weight, 2);
  numbers.writeUInt16BE(port, 4);
  const labels = target
    .split('.')
    .map((label) => Buffer.from(`${String.fromCharCode(label.length)}${label}`, 'latin1'));
  return Buffer.concat([numbers, ...labels, Buffer.alloc(1)]);
}

function v4(address: string): Buffer {
  return Buffer.from(address.split('.').map(Number));
}

/** Only what has all of its eight groups, or is `::N`. */
function v6(address: string): Buffer {
  const groups = address.startsWith('::') ? [0, 0, 0, 0, 0, 0, 0, address.slice(2)] : address.split(':');
  return Buffer.from(groups.flatMap((group) => [Number(`0x${group}`) >> 8, Number(`0x${group}`) & 255]));
}
