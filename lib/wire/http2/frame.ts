// Frames of HTTP/2 (RFC 9113 4 and 6): their numbers, and writing them. Reading them is
// frame-reader's, what they mean is left to the sessions of http/h2.

/** Bytes before every payload: 24 bits of length, type, flags, 31 bits of stream. */
export const FRAME_HEADER_BYTES = 9;
/** Largest payload that anybody may send who has not been allowed more, and the largest that we send and allow. */
export const FRAME_BYTES = 16_384;
/** What a client sends first (RFC 9113 3.4). */
export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');
/** Largest flow-control window. */
export const WINDOW_MAX = 0x7fff_ffff;
/** Window of streams and connections before anybody has said otherwise. */
export const WINDOW_DEFAULT = 65_535;

export const FrameType = {
  DATA: 0,
  HEADERS: 1,
  PRIORITY: 2,
  RST_STREAM: 3,
  SETTINGS: 4,
  PUSH_PROMISE: 5,
  PING: 6,
  GOAWAY: 7,
  WINDOW_UPDATE: 8,
  CONTINUATION: 9,
} as const;

export const Flag = { ACK: 1, END_STREAM: 1, END_HEADERS: 4, PADDED: 8, PRIORITY: 32 } as const;

/** RFC 9113 6.5.2 and RFC 8441 3. */
export const Setting = {
  HEADER_TABLE_SIZE: 1,
  ENABLE_PUSH: 2,
  MAX_CONCURRENT_STREAMS: 3,
  INITIAL_WINDOW_SIZE: 4,
  MAX_FRAME_SIZE: 5,
  MAX_HEADER_LIST_SIZE: 6,
  ENABLE_CONNECT_PROTOCOL: 8,
} as const;

/** Why a stream or a connection ends (RFC 9113 7). */
export const Reason = {
  NO_ERROR: 0,
  PROTOCOL_ERROR: 1,
  INTERNAL_ERROR: 2,
  FLOW_CONTROL_ERROR: 3,
  SETTINGS_TIMEOUT: 4,
  STREAM_CLOSED: 5,
  FRAME_SIZE_ERROR: 6,
  REFUSED_STREAM: 7,
  CANCEL: 8,
  COMPRESSION_ERROR: 9,
  CONNECT_ERROR: 10,
  ENHANCE_YOUR_CALM: 11,
  INADEQUATE_SECURITY: 12,
  HTTP_1_1_REQUIRED: 13,
} as const;

/** The name of a reason, for logs. */
export function reasonName(reason: number): string {
  for (const [name, number] of Object.entries(Reason)) if (number === reason) return name;
  return `reason ${reason}`;
}

/** Writes a frame's header at `at`; answers the offset after it, like all below. */
export function putFrameHeader(
  length: number,
  type: number,
  flags: number,
  stream: number,
  into: Uint8Array,
  at: number,
): number {
  into[at] = length >> 16;
  into[at + 1] = length >> 8;
  into[at + 2] = length;
  into[at + 3] = type;
  into[at + 4] = flags;
  return putNumber(stream, into, at + 5);
}

/** Writes 32 bits, the highest first. */
export function putNumber(number: number, into: Uint8Array, at: number): number {
  into[at] = number >>> 24;
  into[at + 1] = number >> 16;
  into[at + 2] = number >> 8;
  into[at + 3] = number;
  return at + 4;
}

/** Writes a whole SETTINGS frame. */
export function putSettings(settings: readonly (readonly [number, number])[], into: Uint8Array, at: number): number {
  at = putFrameHeader(settings.length * 6, FrameType.SETTINGS, 0, 0, into, at);
  for (const [setting, value] of settings) {
    into[at] = setting >> 8;
    into[at + 1] = setting;
    at = putNumber(value, into, at + 2);
  }
  return at;
}

/** Reads 32 bits, the highest first, as a number without sign. */
export function readNumber(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}
