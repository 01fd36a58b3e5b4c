// The bytes that micro-benchmarks read: HTTP heads of three sizes, a reply, and what else may open a connection. Made to
// look like everyday traffic; no field that only some of the parsers under comparison accept.

/** A GET as small as tools such as load generators and health checks send it. */
export const SMALL_REQUEST = head('GET /small HTTP/1.1', [
  ['Host', 'example.com'],
  ['User-Agent', 'probe/1.0'],
  ['Accept', '*/*'],
]);

/** What a desktop browser sends for a page, about 700 bytes. */
export const BROWSER_REQUEST = head('GET /shop/shoes/running?sort=price&page=2 HTTP/1.1', [
  ['Host', 'www.example.com'],
  ['Connection', 'keep-alive'],
  ['sec-ch-ua', '"Chromium";v="140", "Not=A?Brand";v="24"'],
  ['sec-ch-ua-mobile', '?0'],
  ['sec-ch-ua-platform', '"Linux"'],
  ['Upgrade-Insecure-Requests', '1'],
  [
    'User-Agent',
    'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36',
  ],
  ['Accept', 'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8'],
  ['Sec-Fetch-Site', 'same-origin'],
  ['Sec-Fetch-Mode', 'navigate'],
  ['Sec-Fetch-Dest', 'document'],
  ['Referer', 'https://www.example.com/shop/shoes'],
  ['Accept-Encoding', 'gzip, deflate, br, zstd'],
  ['Accept-Language', 'en-GB,en;q=0.9'],
  ['Cookie', 'session=4f1c2d9ab07e; seen=1'],
]);

/** A request with 4 KiB of fields, 25 of them, as behind single sign-on and tracing. */
export const LARGE_REQUEST = largeRequest(25, 4096);

/** A reply without body (so that only its head is read), with the fields that a file server gives. */
export const REPLY = head('HTTP/1.1 304 Not Modified', [
  ['Server', 'origin/2.4'],
  ['Date', 'Tue, 04 Mar 2025 10:15:30 GMT'],
  ['Last-Modified', 'Mon, 03 Mar 2025 08:00:00 GMT'],
  ['ETag', '"67c56180-2d1f"'],
  ['Cache-Control', 'public, max-age=3600'],
  ['Expires', 'Tue, 04 Mar 2025 11:15:30 GMT'],
  ['Vary', 'Accept-Encoding'],
  ['Content-Security-Policy', "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'"],
  ['Strict-Transport-Security', 'max-age=31536000; includeSubDomains'],
  ['X-Content-Type-Options', 'nosniff'],
  ['Keep-Alive', 'timeout=5'],
  ['Connection', 'keep-alive'],
]);

/** How an SSH client opens; it is neither HTTP nor TLS. */
export const SSH_GREETING = Buffer.from('SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n', 'latin1');

/** A ClientHello of 1.7 KiB with a post-quantum key share, laid out as current browsers do (RFC 8446 4.1.2). */
export const CLIENT_HELLO = clientHello('www.example.com', ['h2', 'http/1.1']);

type Field = readonly [name: string, value: string];

function head(line: string, fields: readonly Field[]): Buffer {
  return Buffer.from(`${line}\r\n${fields.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`, 'latin1');
}

/** `count` fields, the last of them a cookie that fills up to `bytes`. */
function largeRequest(count: number, bytes: number): Buffer {
  const fields: Field[] = [
    ['Host', 'api.example.com'],
    ['Connection', 'keep-alive'],
    ['User-Agent', 'Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0'],
    ['Accept', 'application/json'],
    ['Authorization', `Bearer ${'eyJhbGciOiJSUzI1NiJ9.'.padEnd(900, 'aZ0')}`],
    ['traceparent', '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'],
  ];
  for (let i = fields.length; i < count - 1; i++) {
    fields.push([`X-Service-Context-${i}`, `tenant=${i};region=eu-west-1;`.padEnd(90, 'abcdef')]);
  }
  const line = 'GET /v1/orders/4711/items HTTP/1.1';
  const missing = bytes - (head(line, fields).length - line.length - 4) - 'Cookie: \r\n'.length;
  return head(line, [...fields, ['Cookie', 'session='.padEnd(missing, '0123456789abcdef')]]);
}

function clientHello(name: string, protocols: readonly string[]): Buffer {
  const host = Buffer.from(name, 'latin1');
  const extensions: (readonly [kind: number, body: Buffer])[] = [
    [0x2a2a, Buffer.alloc(0)],
    [0, sized(2, Buffer.concat([Buffer.from([0]), sized(2, host)]))],
    [23, Buffer.alloc(0)],
    [0xff01, Buffer.from([0])],
    [10, sized(2, words([0x1a1a, 0x11ec, 29, 23, 24]))],
    [11, Buffer.from([1, 0])],
    [35, Buffer.alloc(0)],
    [16, sized(2, Buffer.concat(protocols.map((protocol) => sized(1, Buffer.from(protocol, 'latin1')))))],
    [5, Buffer.from([1, 0, 0, 0, 0])],
    [13, sized(2, words([0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601]))],
    // X25519MLKEM768 (1,216 bytes) and X25519.
    [
      51,
      sized(
        2,
        Buffer.concat([words([0x11ec]), sized(2, Buffer.alloc(1216, 7)), words([29]), sized(2, Buffer.alloc(32, 9))]),
      ),
    ],
    [45, Buffer.from([1, 1])],
    [43, sized(1, words([0x3a3a, 0x0304, 0x0303]))],
    [0xfe0d, Buffer.alloc(186, 3)],
  ];
  const body = Buffer.concat([
    words([0x0303]),
    Buffer.alloc(32, 0x5a),
    sized(1, Buffer.alloc(32, 1)),
    sized(2, words([0x4a4a, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014])),
    sized(1, Buffer.from([0])),
    sized(2, Buffer.concat(extensions.map(([kind, bytes]) => Buffer.concat([words([kind]), sized(2, bytes)])))),
  ]);
  return Buffer.concat([Buffer.from([22, 3, 1]), sized(2, Buffer.concat([Buffer.from([1]), sized(3, body)]))]);
}

/** `bytes` behind their length in `width` bytes. */
function sized(width: number, bytes: Buffer): Buffer {
  const length = Buffer.alloc(width);
  length.writeUIntBE(bytes.length, 0, width);
  return Buffer.concat([length, bytes]);
}

function words(values: readonly number[]): Buffer {
  return Buffer.concat(values.map((value) => Buffer.from([value >> 8, value & 0xff])));
}
