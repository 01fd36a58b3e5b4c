// The fields that a proxy itself must understand, told apart without making a string.
// What is done with them is decided in http/request-writer and http/reply-writer.

/** Ids of well-known fields. Anything not listed is `OTHER` and passes through. */
export const FieldId = {
  OTHER: 0,
  HOST: 1,
  CONTENT_LENGTH: 2,
  TRANSFER_ENCODING: 3,
  CONNECTION: 4,
  KEEP_ALIVE: 5,
  PROXY_CONNECTION: 6,
  TE: 7,
  UPGRADE: 8,
  EXPECT: 9,
  TRAILER: 10,
  DATE: 11,
  VIA: 12,
  FORWARDED: 13,
  X_FORWARDED_FOR: 14,
  X_FORWARDED_PROTO: 15,
  X_FORWARDED_HOST: 16,
  X_REQUEST_ID: 17,
  HTTP2_SETTINGS: 18,
  PROXY_AUTHENTICATE: 19,
  PROXY_AUTHORIZATION: 20,
  MAX_FORWARDS: 21,
  /** Any of the fields that tell what a client has shown of itself by TLS. */
  CLIENT_CERTIFICATE: 22,
  /** Several of them are one in HTTP/1. */
  COOKIE: 23,
} as const;

const NAMES: readonly (readonly [string, number])[] = [
  ['host', FieldId.HOST],
  ['content-length', FieldId.CONTENT_LENGTH],
  ['transfer-encoding', FieldId.TRANSFER_ENCODING],
  ['connection', FieldId.CONNECTION],
  ['keep-alive', FieldId.KEEP_ALIVE],
  ['proxy-connection', FieldId.PROXY_CONNECTION],
  ['te', FieldId.TE],
  ['upgrade', FieldId.UPGRADE],
  ['expect', FieldId.EXPECT],
  ['trailer', FieldId.TRAILER],
  ['date', FieldId.DATE],
  ['via', FieldId.VIA],
  ['forwarded', FieldId.FORWARDED],
  ['x-forwarded-for', FieldId.X_FORWARDED_FOR],
  ['x-forwarded-proto', FieldId.X_FORWARDED_PROTO],
  ['x-forwarded-host', FieldId.X_FORWARDED_HOST],
  ['x-request-id', FieldId.X_REQUEST_ID],
  ['http2-settings', FieldId.HTTP2_SETTINGS],
  ['proxy-authenticate', FieldId.PROXY_AUTHENTICATE],
  ['proxy-authorization', FieldId.PROXY_AUTHORIZATION],
  ['max-forwards', FieldId.MAX_FORWARDS],
  ['cookie', FieldId.COOKIE],
  ['client-cert', FieldId.CLIENT_CERTIFICATE],
  ['client-cert-chain', FieldId.CLIENT_CERTIFICATE],
  ['x-client-ja3', FieldId.CLIENT_CERTIFICATE],
  ['x-client-ja4', FieldId.CLIENT_CERTIFICATE],
  ['x-client-cert-subject', FieldId.CLIENT_CERTIFICATE],
  ['x-client-cert-san', FieldId.CLIENT_CERTIFICATE],
  ['x-client-cert-fingerprint', FieldId.CLIENT_CERTIFICATE],
];

/** Longest well-known name. */
const LONGEST = 25;

interface Candidate {
  readonly name: Uint8Array;
  readonly id: number;
  readonly next: Candidate | null;
}

// One slot per length and last letter: of the well-known names at most two share one, and of everyday names few
// reach the byte comparison. The last letter tells more than the first ("x-...", "content-...", "proxy-...").
const SLOTS: (Candidate | null)[] = new Array((LONGEST + 1) * 32).fill(null);
for (const [name, id] of NAMES) {
  const bytes = Buffer.from(name, 'latin1');
  const slot = bytes.length * 32 + (bytes[bytes.length - 1]! & 31);
  SLOTS[slot] = { name: bytes, id, next: SLOTS[slot]! };
}

/**
 * Which well-known field the name at `start..end` is. Case does not matter (RFC 9110 5.1), and `_` counts as `-`:
 * back ends with CGI-style variables cannot tell the two apart, so a client could otherwise smuggle
 * `X_Forwarded_For` past us.
 */
export function identifyField(bytes: Uint8Array, start: number, end: number): number {
  const length = end - start;
  if (length > LONGEST || length === 0) return FieldId.OTHER;
  let candidate = SLOTS[length * 32 + (bytes[end - 1]! & 31)]!;
  while (candidate !== null) {
    if (sameName(bytes, start, candidate.name)) return candidate.id;
    candidate = candidate.next!;
  }
  return FieldId.OTHER;
}

function sameName(bytes: Uint8Array, start: number, name: Uint8Array): boolean {
  for (let i = 0; i < name.length; i++) {
    const byte = bytes[start + i]!;
    if (byte === name[i]) continue;
    if (byte >= 0x41 && byte <= 0x5a && (byte | 0x20) === name[i]) continue;
    if (byte === 0x5f && name[i] === 0x2d) continue;
    return false;
  }
  return true;
}
