// The first bytes of a connection: telling protocols apart, and reading what stands before or instead of a request (PROXY
// headers, the ClientHello). Beside it, what is usually written for the purpose: expressions on a string, and short
// readers without checks.

import { ClientHello, Hello, readClientHello } from '../../lib/wire/client-hello.ts';
import { Detected, detect } from '../../lib/wire/detect.ts';
import {
  ProxyHeader,
  ProxyRead,
  readProxyHeader,
  writeProxyHeaderV1,
  writeProxyHeaderV2,
} from '../../lib/wire/proxy-protocol.ts';
import { BROWSER_REQUEST, CLIENT_HELLO, SMALL_REQUEST, SSH_GREETING } from './samples.ts';
import { type Case, ours, type Subject, type Trial, theirs } from './subject.ts';

export const detection: Subject = {
  name: 'detection',
  about: 'tell from the first bytes of a connection what it speaks, or read what they say about it',
  prepare: () => {
    const ends = [
      { address: '203.0.113.7', port: 50_123 },
      { address: '198.51.100.2', port: 443 },
    ] as const;
    const v1 = writeProxyHeaderV1(...ends);
    const v2 = writeProxyHeaderV2(...ends);
    return [
      protocol('HTTP/1', [SMALL_REQUEST]),
      protocol('TLS', [CLIENT_HELLO]),
      protocol('SSH', [SSH_GREETING]),
      protocol('a mix', [SMALL_REQUEST, CLIENT_HELLO, BROWSER_REQUEST, SSH_GREETING, CLIENT_HELLO, v1, v2]),
      { name: 'PROXY version 1', cases: [ourProxy(v1), lineByExpression(v1)] },
      { name: 'PROXY version 2', cases: [ourProxy(v2), binaryUnchecked(v2)] },
      { name: `name in a ClientHello of ${CLIENT_HELLO.length} bytes`, cases: [ourHello(), nameUnchecked()] },
    ];
  },
};

const PER_RUN = 420;

function protocol(name: string, samples: readonly Buffer[]): Trial {
  return { name: `protocol: ${name}`, cases: [ourProtocol(samples), byExpressions(samples)] };
}

function ourProtocol(samples: readonly Buffer[]): Case {
  const next = inTurn(samples);
  const classify = (bytes: Buffer): number => detect(bytes, 0, bytes.length);
  return ours(PER_RUN, { operate: () => classify(next()), answer: () => samples.map(classify) });
}

const TLS = /^\x16\x03[\x00-\x04][\x00-\xff]{2}\x01/;
const HTTP2 = /^PRI \* HTTP\/2\.0\r\n\r\nSM\r\n\r\n/;
const HTTP1 = /^(?:\r\n){0,4}(?:CONNECT [[\w]|[A-Z_-]{1,24} (?:\/|\* |https?:\/\/))/i;

function byExpressions(samples: readonly Buffer[]): Case {
  const classify = (bytes: Buffer): number => {
    const text = bytes.toString('latin1', 0, 48);
    if (HTTP1.test(text)) return Detected.HTTP1;
    if (TLS.test(text)) return Detected.TLS;
    return HTTP2.test(text) ? Detected.HTTP2 : Detected.OTHER;
  };
  const next = inTurn(samples);
  return theirs(PER_RUN, 'expressions on a string', 'less: does not say when more bytes are needed', {
    operate: () => classify(next()),
    answer: () => samples.map(classify),
  });
}

/** Gives the samples one after the other, again and again. */
function inTurn(samples: readonly Buffer[]): () => Buffer {
  let at = 0;
  return () => {
    const bytes = samples[at]!;
    at = at + 1 < samples.length ? at + 1 : 0;
    return bytes;
  };
}

function ourProxy(bytes: Buffer): Case {
  const header = new ProxyHeader();
  const operate = (): number => {
    if (readProxyHeader(bytes, 0, bytes.length, header) !== ProxyRead.DONE) throw new Error('the header was refused');
    return weigh(header);
  };
  return ours(PER_RUN, {
    operate,
    answer() {
      operate();
      return inOrder(header);
    },
  });
}

const PROXY_LINE = /^PROXY TCP[46] (\S+) (\S+) (\d{1,5}) (\d{1,5})\r\n/;

function lineByExpression(bytes: Buffer): Case {
  const read = (): Ends => {
    const match = PROXY_LINE.exec(bytes.toString('latin1', 0, 107))!;
    return {
      sourceAddress: match[1]!,
      sourcePort: Number(match[3]),
      destinationAddress: match[2]!,
      destinationPort: Number(match[4]),
    };
  };
  const note = 'less: addresses and ports are not checked';
  return theirs(PER_RUN, 'expression on a string', note, {
    operate: () => weigh(read()),
    answer: () => inOrder(read()),
  });
}

const V2_SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');

function binaryUnchecked(bytes: Buffer): Case {
  const read = (): Ends => {
    if (!bytes.subarray(0, 12).equals(V2_SIGNATURE) || bytes[12] !== 0x21 || bytes[13] !== 0x11) {
      throw new Error('the header was refused');
    }
    return {
      sourceAddress: `${bytes[16]}.${bytes[17]}.${bytes[18]}.${bytes[19]}`,
      sourcePort: bytes.readUInt16BE(24),
      destinationAddress: `${bytes[20]}.${bytes[21]}.${bytes[22]}.${bytes[23]}`,
      destinationPort: bytes.readUInt16BE(26),
    };
  };
  const note = 'less: nothing but TCP over IPv4; lengths, TLVs and checksum are not looked at';
  return theirs(PER_RUN, 'short reader of IPv4', note, {
    operate: () => weigh(read()),
    answer: () => inOrder(read()),
  });
}

interface Ends {
  readonly sourceAddress: string;
  readonly sourcePort: number;
  readonly destinationAddress: string;
  readonly destinationPort: number;
}

/** A number that both of what is read go into. */
function weigh({ sourceAddress, sourcePort }: Ends): number {
  return sourcePort + sourceAddress.length;
}

function inOrder({ sourceAddress, sourcePort, destinationAddress, destinationPort }: Ends): unknown {
  return [sourceAddress, sourcePort, destinationAddress, destinationPort];
}

function ourHello(): Case {
  const hello = new ClientHello();
  const operate = (): number => {
    if (readClientHello(CLIENT_HELLO, 0, CLIENT_HELLO.length, hello) !== Hello.DONE) throw new Error(hello.fault);
    return hello.serverName.length;
  };
  return ours(PER_RUN, {
    operate,
    answer() {
      operate();
      return hello.serverName;
    },
  });
}

/** Steps from length to length to the server's name. */
function nameUnchecked(): Case {
  const read = (bytes: Buffer): string => {
    let at = 5 + 4 + 2 + 32;
    at += 1 + bytes[at]!;
    at += 2 + bytes.readUInt16BE(at);
    at += 1 + bytes[at]!;
    const end = at + 2 + bytes.readUInt16BE(at);
    at += 2;
    while (at < end) {
      const kind = bytes.readUInt16BE(at);
      if (kind === 0) return bytes.toString('latin1', at + 9, at + 9 + bytes.readUInt16BE(at + 7));
      at += 4 + bytes.readUInt16BE(at + 2);
    }
    return '';
  };
  const note = 'less: the name alone, without ALPN and versions; one record, no checks, stops at the name';
  return theirs(PER_RUN, 'short reader of the name', note, {
    operate: () => read(CLIENT_HELLO).length,
    answer: () => read(CLIENT_HELLO),
  });
}
