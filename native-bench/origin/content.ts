// What the origin has to give: paths, sizes and bytes, said once, so that both origins give the same and scenarios know
// what to expect. Who serves it stands in the other files of this folder.

/** GET: the reply of SMALL_BYTES. Below `/service-N/` (any N) too, so that tables of routes have something to lead to. */
export const SMALL_PATH = '/small';
export const SMALL_BYTES = 129;

/** GET: 1 MiB, with its length said beforehand. */
export const LARGE_PATH = '/1m';
export const LARGE_BYTES = 1_048_576;

/** POST: reads the whole body, however it is framed, then answers in a few bytes. */
export const SINK_PATH = '/sink';
export const SINK_REPLY = 'stored\n';

/** GET: a small body below REPLY_FIELDS. */
export const HEADERS_PATH = '/headers';

/** POST: reads the whole body, then answers CHUNKED_BYTES in chunks. */
export const CHUNKED_PATH = '/chunked';
export const CHUNKED_BYTES = 65_536;

/** GET: which of INSPECTED arrived, `name=value` a line. Below `/service-0/` too. */
export const INSPECT_PATH = '/inspect';

/** WebSocket: every message comes back. Only our own origin has it. */
export const ECHO_PATH = '/echo';
/** Longer messages are refused with code 1009. */
export const ECHO_BYTES_MAX = 32_768;

/** Request fields that `/inspect` tells about, in this order. */
export const INSPECTED: readonly string[] = [
  'x-forwarded-for',
  'x-forwarded-proto',
  'x-forwarded-host',
  'x-request-id',
  'via',
];

/**
 * Twelve fields as a web application sends them, beside those that the server adds itself. None that a proxy has to
 * understand, or a comparison would be between features.
 */
export const REPLY_FIELDS: readonly (readonly [name: string, value: string])[] = [
  ['Cache-Control', 'private, no-store'],
  ['Vary', 'Accept-Encoding, Accept-Language, Cookie'],
  ['Content-Language', 'en'],
  ['Strict-Transport-Security', 'max-age=31536000; includeSubDomains'],
  ['Content-Security-Policy', "default-src 'self'; img-src 'self' data:; script-src 'self'; frame-ancestors 'none'"],
  ['X-Content-Type-Options', 'nosniff'],
  ['X-Frame-Options', 'DENY'],
  ['Referrer-Policy', 'strict-origin-when-cross-origin'],
  ['Permissions-Policy', 'camera=(), geolocation=(), microphone=()'],
  ['Set-Cookie', 'session=8c1f0a7be94d4b51a3c6d27f; Path=/; HttpOnly; SameSite=Lax'],
  ['X-Response-Time', '0.412'],
  ['X-App-Version', '2026.11.3-5f2c9ab'],
];

/** How many different sizes there are below `/bytes/`. */
const MIXED_COUNT = 64;
/** Half of the replies are smaller than this. */
const MIXED_MEDIAN_BYTES = 8_192;
/** Standard deviation of the size's logarithm: with it the sizes go from 65 bytes to just below 1 MiB. */
const MIXED_SIGMA = 2;

/**
 * Sizes as the web has them, from the smallest: evenly spaced quantiles of a log-normal distribution, so that 64 of them
 * stand for it without chance. `/bytes/N` has a reply of each.
 */
export const MIXED_BYTES: readonly number[] = Array.from({ length: MIXED_COUNT }, (_, index) =>
  Math.round(MIXED_MEDIAN_BYTES * Math.exp(MIXED_SIGMA * normalQuantile((index + 0.5) / MIXED_COUNT))),
);

export function bytesPath(bytes: number): string {
  return `/bytes/${bytes}`;
}

/** The body of a reply with `bytes` bytes: the alphabet over and over. */
export function letters(bytes: number): Buffer {
  return Buffer.alloc(bytes, ALPHABET);
}

const ALPHABET = 'abcdefghijklmnopqrstuvwxyz';

/** Abramowitz and Stegun 26.2.23: off by less than 0.0005, for `share` from 0 to 1 exclusive. */
function normalQuantile(share: number): number {
  if (share > 0.5) return -normalQuantile(1 - share);
  const t = Math.sqrt(-2 * Math.log(share));
  const numerator = 2.515517 + 0.802853 * t + 0.010328 * t ** 2;
  const denominator = 1 + 1.432788 * t + 0.189269 * t ** 2 + 0.001308 * t ** 3;
  return numerator / denominator - t;
}
