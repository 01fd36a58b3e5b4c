// Layer 7 with heads as browsers and application servers really send them: 25 request fields of together 4 KiB, cookies
// and tracing among them, and 12 fields in the reply. Measures what a field costs: to find its ends, to tell whether it
// concerns the proxy, and to pass it on. A proxy that makes an object of every field pays here.

import { HEADERS_PATH, SMALL_BYTES } from '../origin/content.ts';
import { LOAD_COLUMNS, type Scenario } from '../scenario.ts';
import { bareGet } from './shapes.ts';

/** Of all lines together, colons and line ends included. Host comes on top, since its length is the port's. */
const FIELD_BYTES = 4_096;

const GIVEN: readonly (readonly [name: string, value: string])[] = [
  [
    'User-Agent',
    'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36',
  ],
  ['Accept', 'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8'],
  ['Accept-Language', 'en-GB,en;q=0.9,de;q=0.8,fr;q=0.7'],
  ['Accept-Encoding', 'gzip, deflate, br, zstd'],
  ['Referer', 'https://shop.example.com/catalogue/outdoor/tents?sort=price&page=3'],
  ['Origin', 'https://shop.example.com'],
  ['Authorization', `Bearer ${token(820)}`],
  ['Cache-Control', 'no-cache'],
  ['Pragma', 'no-cache'],
  ['DNT', '1'],
  ['Priority', 'u=1, i'],
  ['Sec-CH-UA', '"Chromium";v="140", "Not=A?Brand";v="24"'],
  ['Sec-CH-UA-Mobile', '?0'],
  ['Sec-CH-UA-Platform', '"Linux"'],
  ['Sec-Fetch-Dest', 'empty'],
  ['Sec-Fetch-Mode', 'cors'],
  ['Sec-Fetch-Site', 'same-origin'],
  ['X-Requested-With', 'XMLHttpRequest'],
  ['X-CSRF-Token', token(64)],
  ['X-Client-Version', 'web-2026.11.3+5f2c9ab'],
  ['X-Tenant', 'example-outdoor-eu-central'],
  ['Traceparent', '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'],
  ['Tracestate', `vendor=${token(120)}`],
  ['Baggage', `userId=alice,region=eu-central,experiment=${token(160)}`],
];

const COOKIE = 'session=8c1f0a7be94d4b51a3c6d27f; consent=all; basket=';

/** The cookie, as ever, fills what is left. */
const FIELDS = [...GIVEN, ['Cookie', COOKIE + token(FIELD_BYTES - sizeOf([...GIVEN, ['Cookie', COOKIE]]))]] as const;

export const httpHeaders: Scenario = {
  name: 'http-headers',
  title: 'layer 7, keep-alive, 25 request fields of 4 KiB, 12 reply fields, 64 connections',
  setup: 'http',
  load: {
    kind: 'http',
    connections: 64,
    requests: [{ ...bareGet(HEADERS_PATH, SMALL_BYTES), fields: FIELDS }],
    closing: false,
  },
  procedure: 'load',
  peers: ['millrace', 'nginx', 'haproxy', 'caddy'],
  headline: 'cpuMicros',
  columns: [...LOAD_COLUMNS, 'allocatedBytes'],
  targets: [{ figure: 'cpuMicros', peer: 'nginx', atMost: 1.2 }],
  unbuilt: null,
};

function sizeOf(fields: readonly (readonly [string, string])[]): number {
  return fields.reduce((sum, [name, value]) => sum + `${name}: ${value}\r\n`.length, 0);
}

/** Text of `length` that looks like base64 and is always the same. */
function token(length: number): string {
  const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  return Array.from({ length }, (_, index) => letters[(index * 29 + 7) % letters.length]).join('');
}
