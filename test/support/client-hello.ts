// Makes ClientHellos that no client at hand sends: for tests of the reader, good and bad. Lengths are computed, so a
// test breaks one thing at a time.

export type Extension = readonly [kind: number, body: Uint8Array];

export interface HelloParts {
  readonly legacyVersion?: number;
  readonly session?: Uint8Array;
  readonly suites?: Uint8Array;
  readonly compressions?: Uint8Array;
  /** Null leaves the block out, as clients before TLS 1.2 may. */
  readonly extensions?: readonly Extension[] | null;
}

/** The handshake message, header included. */
export function helloMessage(parts: HelloParts = {}): Buffer {
  const extensions = parts.extensions === undefined ? [serverName('example.com')] : parts.extensions;
  const body = Buffer.concat([
    u16(parts.legacyVersion ?? 0x0303),
    Buffer.alloc(32, 0x5a),
    sized(1, parts.session ?? Buffer.alloc(32, 1)),
    sized(2, parts.suites ?? Buffer.from([0x1a, 0x1a, 0x13, 0x01])),
    sized(1, parts.compressions ?? Buffer.from([0])),
    extensions === null
      ? Buffer.alloc(0)
      : sized(2, Buffer.concat(extensions.map(([kind, bytes]) => Buffer.concat([u16(kind), sized(2, bytes)])))),
  ]);
  return Buffer.concat([Buffer.from([1]), sized(3, body)]);
}

/** The message cut into records of at most `fragment` bytes. */
export function inRecords(message: Uint8Array, fragment = 16384, minor = 1): Buffer {
  const records: Buffer[] = [];
  for (let at = 0; at < message.length; at += fragment) {
    records.push(Buffer.from([22, 3, minor]), sized(2, message.subarray(at, at + fragment)));
  }
  return Buffer.concat(records);
}

export function serverName(name: string | Uint8Array, kind = 0): Extension {
  const bytes = typeof name === 'string' ? Buffer.from(name, 'latin1') : name;
  return [0, sized(2, Buffer.concat([Buffer.from([kind]), sized(2, bytes)]))];
}

export function alpn(...names: readonly string[]): Extension {
  return [16, sized(2, Buffer.concat(names.map((name) => sized(1, Buffer.from(name, 'latin1')))))];
}

export function supportedVersions(...versions: readonly number[]): Extension {
  return [43, sized(1, Buffer.concat(versions.map(u16)))];
}

/** `bytes` behind their length in `width` bytes. */
export function sized(width: number, bytes: Uint8Array): Buffer {
  const prefix = Buffer.alloc(width);
  prefix.writeUIntBE(bytes.length, 0, width);
  return Buffer.concat([prefix, bytes]);
}

export function u16(value: number): Buffer {
  return Buffer.from([value >> 8, value & 0xff]);
}
