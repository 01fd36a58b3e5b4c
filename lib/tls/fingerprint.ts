// Fingerprints of a TLS ClientHello: which software says hello, whatever it claims later. JA3 (Althouse, Atkinson and
// Atkins, Salesforce 2017) and JA4 (FoxIO 2023), as their authors define them. Both are easy to imitate by who wants to:
// they sort clients, and prove nothing.

import { hash } from 'node:crypto';
import { gatherMessage, isGrease } from '../wire/client-hello.ts';

export interface Fingerprints {
  /** MD5 in 32 hexadecimal digits. Browsers that shuffle their extensions have a new one for each connection. */
  readonly ja3: string;
  /** Such as `t13d1516h2_8daaf6152771_e5627efa2ab1`. */
  readonly ja4: string;
}

const Extension = { SERVER_NAME: 0, GROUPS: 10, POINT_FORMATS: 11, SIGNATURES: 13, ALPN: 16, VERSIONS: 43 } as const;

const VERSIONS: Readonly<Record<number, string>> = {
  772: '13',
  771: '12',
  770: '11',
  769: '10',
  768: 's3',
  2: 's2',
};

const NOTHING = '000000000000';

/** Fingerprints of the hello at `start..end`, which `readClientHello` has found to be whole and well formed. */
export function fingerprint(bytes: Uint8Array, start: number, end: number): Fingerprints {
  const message = gatherMessage(bytes, start, end);
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  const legacy = view.getUint16(4);
  let at = 38;
  at += 1 + message[at]!;
  const suites = numbers(view, at + 2, at + 2 + view.getUint16(at));
  at += 2 + view.getUint16(at);
  at += 1 + message[at]!;
  const kinds: number[] = [];
  const bodies = new Map<number, readonly [start: number, end: number]>();
  for (at += 2; at + 4 <= message.length; ) {
    const kind = view.getUint16(at);
    const next = at + 4 + view.getUint16(at + 2);
    if (!isGrease(kind)) kinds.push(kind);
    bodies.set(kind, [at + 4, next]);
    at = next;
  }
  const list = (kind: number, width: number): number[] => {
    const [first, last] = bodies.get(kind) ?? [0, 0];
    return last - first <= width ? [] : numbers(view, first + width, last);
  };
  const [formatsAt, formatsEnd] = bodies.get(Extension.POINT_FORMATS) ?? [0, 0];
  const formats = [...message.subarray(Math.min(formatsAt + 1, formatsEnd), formatsEnd)];
  const groups = list(Extension.GROUPS, 2);
  const words = [[legacy], suites, kinds, groups, formats].map((part) => part.join('-')).join(',');
  const version = list(Extension.VERSIONS, 1).reduce((most, one) => Math.max(most, one), 0) || legacy;
  const [alpnAt, alpnEnd] = bodies.get(Extension.ALPN) ?? [0, 0];
  const protocol = message.subarray(alpnAt + 3, Math.min(alpnAt + 3 + (message[alpnAt + 2] ?? 0), alpnEnd));
  const ja4 =
    `t${VERSIONS[version] ?? '00'}${bodies.has(Extension.SERVER_NAME) ? 'd' : 'i'}` +
    `${count(suites)}${count(kinds)}${ends(protocol)}` +
    `_${digest(sorted(suites))}_${digestExtensions(kinds, list(Extension.SIGNATURES, 2))}`;
  return { ja3: hash('md5', words), ja4 };
}

/** Numbers of 16 bits, without GREASE. An odd byte at the end is left over. */
function numbers(view: DataView, start: number, end: number): number[] {
  const found: number[] = [];
  for (let at = start; at + 2 <= end; at += 2) {
    const value = view.getUint16(at);
    if (!isGrease(value)) found.push(value);
  }
  return found;
}

function count(values: readonly number[]): string {
  return String(Math.min(values.length, 99)).padStart(2, '0');
}

/** First and last character of a protocol's name; of its hexadecimal form where they are no letters or digits. */
function ends(name: Uint8Array): string {
  if (name.length === 0) return '00';
  const [first, last] = [name[0]!, name[name.length - 1]!];
  if (isAlphanumeric(first) && isAlphanumeric(last)) return String.fromCharCode(first, last);
  return (first >> 4).toString(16) + (last & 15).toString(16);
}

function isAlphanumeric(byte: number): boolean {
  const letter = byte | 0x20;
  return (letter >= 0x61 && letter <= 0x7a) || (byte >= 0x30 && byte <= 0x39);
}

function digestExtensions(kinds: readonly number[], signatures: readonly number[]): string {
  const others = sorted(kinds.filter((kind) => kind !== Extension.SERVER_NAME && kind !== Extension.ALPN));
  if (others === '') return NOTHING;
  return digest(signatures.length === 0 ? others : `${others}_${signatures.map(hex).join(',')}`);
}

function digest(text: string): string {
  return text === '' ? NOTHING : hash('sha256', text).slice(0, 12);
}

function sorted(values: readonly number[]): string {
  return values.map(hex).sort().join(',');
}

function hex(value: number): string {
  return value.toString(16).padStart(4, '0');
}
