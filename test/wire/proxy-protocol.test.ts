import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import {
  PROXY_V1_BYTES,
  PROXY_V2_PAYLOAD_BYTES,
  ProxyHeader,
  ProxyRead,
  readProxyHeader,
  writeProxyHeaderV1,
  writeProxyHeaderV2,
} from '../../lib/wire/proxy-protocol.ts';

const SIGNATURE = '\r\n\r\n\0\r\nQUIT\n';
const FIXTURES = new URL('../../fixtures/wire/proxy-protocol.json', import.meta.url);

/** Reads a header that lies between bytes that are not its own. */
function read(wire: Uint8Array): [answer: number, header: ProxyHeader] {
  const header = new ProxyHeader();
  header.sourceAddress = header.authority = 'left over';
  const bytes = Buffer.concat([Buffer.from('PROXY \r\n'), wire, Buffer.from('\r\n\0')]);
  return [readProxyHeader(bytes, 8, 8 + wire.length, header), header];
}

function faultOf(wire: Uint8Array): string {
  const [answer, header] = read(wire);
  assert.equal(answer, ProxyRead.MALFORMED, JSON.stringify(Buffer.from(wire).toString('latin1')));
  const blank = new ProxyHeader();
  assert.deepEqual({ ...header, version: 1, fault: '' }, { ...blank }, 'nothing is told of a malformed header');
  return header.fault;
}

const line = (text: string): Buffer => Buffer.from(text, 'latin1');

/** A version 2 header with its length filled in. */
function binary(commandAndFamily: readonly [number, number], ...payload: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(payload);
  return Buffer.concat([
    line(SIGNATURE),
    Buffer.from([...commandAndFamily, body.length >> 8, body.length & 0xff]),
    body,
  ]);
}

const IPV4 = Buffer.from('c0000201c633640700500051', 'hex');
const tlv = (kind: number, value: Uint8Array): Buffer =>
  Buffer.concat([Buffer.from([kind, value.length >> 8, value.length & 0xff]), value]);

test('headers of the specification and of haproxy say what they should, and every cut of them asks for more', () => {
  const fixtures = JSON.parse(readFileSync(FIXTURES, 'utf8')) as { name: string; hex: string; header: object }[];
  assert.ok(fixtures.length >= 20);
  for (const { name, hex, header: expected } of fixtures) {
    const wire = Buffer.from(hex, 'hex');
    const [answer, header] = read(wire);
    assert.equal(answer, ProxyRead.DONE, `${name}: ${header.fault}`);
    assert.deepEqual({ ...header }, { ...expected, fault: '' }, name);
    assert.deepEqual({ ...read(Buffer.concat([wire, line('GET / HTTP/1.1\r\n')]))[1] }, { ...header }, name);
    for (let size = 0; size < wire.length; size++) {
      assert.equal(read(wire.subarray(0, size))[0], ProxyRead.MORE, `${name} cut after ${size}`);
    }
  }
});

test('what does not begin as a header is NONE at its first wrong byte', () => {
  for (const [text, after] of [
    ['GET / HTTP/1.1\r\n', 1],
    ['\x16\x03\x01', 1],
    ['POST / HTTP/1.1\r\n', 2],
    ['PROPFIND / HTTP/1.1\r\n', 4],
    ['PROXx', 5],
    ['\r\nGET / HTTP/1.1\r\n', 3],
    ['\r\n\r\nGET /', 5],
    ['\r\n\r\n\0\r\nQUIT\r', 12],
  ] as const) {
    const wire = line(text);
    assert.equal(read(wire)[0], ProxyRead.NONE, text);
    assert.equal(read(wire.subarray(0, after))[0], ProxyRead.NONE, text);
    assert.equal(read(wire.subarray(0, after - 1))[0], ProxyRead.MORE, text);
  }
});

test('version 1 takes nothing but the exact line', () => {
  for (const [text, fault] of [
    ['PROXYX', 'words'],
    ['PROXY\t', 'words'],
    ['PROXY\r\n', 'words'],
    ['PROXYX UNKNOWN\r\n', 'words'],
    ['PROXY \r\n', 'words'],
    ['PROXY TCP4\r\n', 'words'],
    ['PROXY UNKNOWNX\r\n', 'words'],
    ['PROXY unknown\r\n', 'words'],
    ['PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n', 'words'],
    ['PROXY tcp4 1.2.3.4 1.2.3.4 1 2\r\n', 'words'],
    ['PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n', 'words'],
    ['PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n', 'words'],
    ['PROXY  TCP4 1.2.3.4 1.2.3.4 1 2\r\n', 'words'],
    ['PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n', 'words'],
    ['PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n', 'line_end'],
    ['PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r1', 'line_end'],
    ['PROXY TCP4 1.2.3.4\r 1.2.3.4 1 2\r\n', 'line_end'],
    ['PROXY UNKNOWN \n\r\n', 'line_end'],
    ['PROXY TCP4 01.2.3.4 1.2.3.4 1 2\r\n', 'address'],
    ['PROXY TCP4 1.2.3.4 1.2.3.256 1 2\r\n', 'address'],
    ['PROXY TCP4 ::1 ::1 1 2\r\n', 'address'],
    ['PROXY TCP6 1.2.3.4 ::1 1 2\r\n', 'address'],
    ['PROXY TCP6 ::1 [::1] 1 2\r\n', 'address'],
    ['PROXY TCP6 ::1 fe80::1%lo 1 2\r\n', 'address'],
    ['PROXY TCP4 1.2.3.4 localhost 1 2\r\n', 'address'],
    ['PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n', 'port'],
    ['PROXY TCP4 1.2.3.4 1.2.3.4 1 00\r\n', 'port'],
    ['PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n', 'port'],
    ['PROXY TCP4 1.2.3.4 1.2.3.4 1 -2\r\n', 'port'],
    ['PROXY TCP4 1.2.3.4 1.2.3.4 1 0x2\r\n', 'port'],
    ['PROXY TCP4 1.2.3.4 1.2.3.4 1 \r\n', 'port'],
    ['PROXY TCP4 1.2.3.4 1.2.3.4 1 100000\r\n', 'port'],
  ] as const) {
    assert.equal(faultOf(line(text)), fault, JSON.stringify(text));
  }
});

test('version 1 waits for the end of the line up to 107 bytes and no further', () => {
  const longest = `PROXY UNKNOWN ${'x'.repeat(PROXY_V1_BYTES - 16)}\r\n`;
  assert.equal(longest.length, PROXY_V1_BYTES);
  const [answer, header] = read(line(longest));
  assert.equal(answer, ProxyRead.DONE);
  assert.equal(header.length, PROXY_V1_BYTES);
  assert.equal(read(line(longest).subarray(0, -1))[0], ProxyRead.MORE);
  const longer = line(longest.replace('\r', 'x\r'));
  assert.equal(faultOf(longer), 'line_length');
  assert.equal(faultOf(longer.subarray(0, PROXY_V1_BYTES)), 'line_length');
  assert.equal(read(longer.subarray(0, PROXY_V1_BYTES - 1))[0], ProxyRead.MORE);
});

test('version 2 refuses versions, commands and families that do not exist as soon as they are seen', () => {
  assert.equal(faultOf(line(`${SIGNATURE}\x11`)), 'version');
  assert.equal(faultOf(line(`${SIGNATURE}\x30`)), 'version');
  assert.equal(faultOf(line(`${SIGNATURE}\x22`)), 'command');
  assert.equal(faultOf(line(`${SIGNATURE}\x21\x41`)), 'family');
  assert.equal(faultOf(line(`${SIGNATURE}\x21\x13`)), 'family');
  assert.equal(faultOf(line(`${SIGNATURE}\x21\x11\x10\x01`)), 'too_large');
  assert.equal(faultOf(line(`${SIGNATURE}\x20\0\xff\xff`)), 'too_large');
  assert.equal(faultOf(line(`${SIGNATURE}\x21\x11\0\x0b`)), 'address_length');
  assert.equal(faultOf(line(`${SIGNATURE}\x21\x21\0\x23`)), 'address_length');
  assert.equal(faultOf(line(`${SIGNATURE}\x21\x31\0\xd7`)), 'address_length');
});

test('version 2 takes TLVs up to the documented size when their lengths add up', () => {
  const padding = tlv(4, Buffer.alloc(PROXY_V2_PAYLOAD_BYTES - IPV4.length - 3, 0xee));
  const [answer, header] = read(binary([0x21, 0x11], IPV4, padding));
  assert.equal(answer, ProxyRead.DONE);
  assert.equal(header.length, 16 + PROXY_V2_PAYLOAD_BYTES);
  assert.equal(header.sourceAddress, '192.0.2.1');
  assert.equal(read(binary([0x21, 0x11], IPV4, tlv(4, Buffer.alloc(0))))[0], ProxyRead.DONE);
  assert.equal(faultOf(binary([0x21, 0x11], IPV4, Buffer.from([4, 0]))), 'tlv_length');
  assert.equal(faultOf(binary([0x21, 0x11], IPV4, Buffer.from([4, 0, 1]))), 'tlv_length');
  assert.equal(faultOf(binary([0x21, 0x12], IPV4, Buffer.from([4, 0, 1]))), 'tlv_length');
});

test('a checksum that does not match refuses the header, also of LOCAL connections', () => {
  const source = { address: '192.0.2.1', port: 1 };
  const destination = { address: '198.51.100.1', port: 2 };
  for (const wire of [
    writeProxyHeaderV2(source, destination, { checksummed: true, authority: 'a.example' }),
    writeProxyHeaderV2(null, null, { checksummed: true }),
  ]) {
    assert.equal(read(wire)[0], ProxyRead.DONE);
    for (let at = wire.length - 4; at < wire.length; at++) {
      const broken = Buffer.from(wire);
      broken[at]! ^= 1;
      assert.equal(faultOf(broken), 'checksum');
    }
  }
  const other = writeProxyHeaderV2(source, destination, { checksummed: true });
  other[16] = 10;
  assert.equal(faultOf(other), 'checksum');
  assert.equal(faultOf(binary([0x21, 0x11], IPV4, tlv(3, Buffer.alloc(3)))), 'checksum_length');
  const twice = [tlv(3, Buffer.alloc(4)), tlv(3, Buffer.alloc(4))];
  assert.equal(faultOf(binary([0x21, 0x11], IPV4, ...twice)), 'checksum_twice');
});

test('an authority is told once, bounded and without control characters', () => {
  const authority = (...names: string[]) =>
    binary([0x21, 0x11], IPV4, ...names.map((name) => tlv(2, Buffer.from(name, 'utf8'))));
  assert.equal(read(authority('Bücher.example'))[1].authority, 'Bücher.example');
  assert.equal(read(authority('a'.repeat(255)))[1].authority, 'a'.repeat(255));
  assert.equal(faultOf(authority('a'.repeat(256))), 'authority');
  assert.equal(read(authority('a b'))[1].authority, 'a b');
  assert.equal(faultOf(authority('a\r\nb')), 'authority');
  assert.equal(faultOf(authority('a\x7f')), 'authority');
  assert.equal(faultOf(authority('a', 'a')), 'authority_twice');
  // Before bytes that turn out not to be TLVs it was none.
  const [answer, header] = read(binary([0x20, 0], tlv(2, line('a')), Buffer.from([1])));
  assert.equal(answer, ProxyRead.DONE);
  assert.equal(header.authority, '');
});

test('an abstract unix address has no path', () => {
  const [answer, header] = read(binary([0x21, 0x31], Buffer.concat([line('\0name'), Buffer.alloc(211)])));
  assert.equal(answer, ProxyRead.DONE);
  assert.equal(header.family, 'unix');
  assert.equal(header.sourceAddress, '');
});

test('writers choose the family both ends fit and say so when an end is not known', () => {
  const v4 = { address: '192.0.2.1', port: 1000 };
  const mapped = { address: '::ffff:198.51.100.7', port: 443 };
  const v6 = { address: '2001:DB8:0:0::1', port: 0 };
  const zoned = { address: 'fe80::1%eth0', port: 65535 };
  for (const [source, destination, text] of [
    [v4, mapped, 'TCP4 192.0.2.1 198.51.100.7 1000 443'],
    [mapped, mapped, 'TCP4 198.51.100.7 198.51.100.7 443 443'],
    [v4, v6, 'TCP6 ::ffff:192.0.2.1 2001:db8::1 1000 0'],
    [zoned, v6, 'TCP6 fe80::1 2001:db8::1 65535 0'],
    [null, v4, 'UNKNOWN'],
    [v4, null, 'UNKNOWN'],
    [v4, { address: '', port: 0 }, 'UNKNOWN'],
    [v4, { address: '%eth0', port: 0 }, 'UNKNOWN'],
    [v4, { address: '/run/a.sock', port: 0 }, 'UNKNOWN'],
    [v4, { address: '192.0.2.1', port: 65536 }, 'UNKNOWN'],
    [v4, { address: '192.0.2.1', port: -1 }, 'UNKNOWN'],
    [v4, { address: '192.0.2.1', port: 1.5 }, 'UNKNOWN'],
    [v4, { address: '192.0.2.1', port: Number.NaN }, 'UNKNOWN'],
    [v4, { address: '192.0.2.1\r\nX', port: 1 }, 'UNKNOWN'],
  ] as const) {
    const written = writeProxyHeaderV1(source, destination);
    assert.equal(written.toString('latin1'), `PROXY ${text}\r\n`);
    assert.ok(written.length <= PROXY_V1_BYTES);
    // Version 2 says the same in its own way.
    const [one, two] = [read(written)[1], read(writeProxyHeaderV2(source, destination))[1]];
    assert.deepEqual({ ...two, version: 1, length: one.length }, { ...one });
  }
  assert.equal(writeProxyHeaderV2(null, v4).toString('latin1'), `${SIGNATURE}\x20\0\0\0`);
  assert.equal(
    writeProxyHeaderV2(v4, mapped).toString('hex'),
    `${line(SIGNATURE).toString('hex')}2111000cc0000201c633640703e801bb`,
  );
  const longest = 'a'.repeat(255);
  assert.equal(read(writeProxyHeaderV2(v4, mapped, { authority: longest }))[1].authority, longest);
  const named = writeProxyHeaderV2(v4, mapped, { authority: 'a'.repeat(256) });
  assert.equal(read(named)[1].authority, '', 'a name that no reader takes is left out');
});

const haproxy = spawnSync('haproxy', ['-v']).error === undefined ? '' : 'haproxy is not installed: NOT cross-checked';
if (haproxy !== '') console.error(`# ${haproxy}`);

test('haproxy and this room understand each other in both versions', { skip: haproxy || false }, async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'millrace-proxy-protocol-'));
  t.after(() => rmSync(folder, { recursive: true }));
  let receive = (_bytes: Buffer): void => {};
  const origin = net.createServer((socket) => {
    const chunks: Buffer[] = [];
    socket.on('data', (chunk) => chunks.push(chunk));
    // The connection that only asks whether haproxy listens comes without a payload.
    socket.on('end', () => chunks.at(-1)?.toString('latin1').endsWith('hello') && receive(Buffer.concat(chunks)));
    socket.on('error', () => {});
  });
  origin.listen(0, '127.0.0.1');
  await once(origin, 'listening');
  t.after(() => origin.close());
  const to = `127.0.0.1:${(origin.address() as net.AddressInfo).port}`;

  const senders = [
    ['v1', 'send-proxy'],
    ['v2', 'send-proxy-v2'],
    ['checked', 'send-proxy-v2 proxy-v2-options crc32c'],
  ] as const;
  // Each sender listens on IPv4, IPv6 and a unix socket. The relays read our header and send on what they understood.
  const listeners = senders.map(([name, option]) => [name, option, ''] as const);
  const relays = senders.map(([name, option]) => [`relay-${name}`, option, 'accept-proxy'] as const);
  const ports = await startHaproxy(t, folder, [...listeners, ...relays], to);

  /** What the origin received from one connection through the listener `name`. */
  const send = async (to: net.NetConnectOpts, payload: Buffer): Promise<[bytes: Buffer, port: number]> => {
    const received = new Promise<Buffer>((resolve) => {
      receive = resolve;
    });
    const socket = net.connect(to);
    socket.on('error', () => {});
    await once(socket, 'connect');
    const port = socket.localPort ?? 0;
    socket.end(payload);
    const bytes = await received;
    socket.destroy();
    return [bytes, port];
  };
  const header = new ProxyHeader();
  const readHeader = (bytes: Buffer): string => {
    assert.equal(readProxyHeader(bytes, 0, bytes.length, header), ProxyRead.DONE, header.fault);
    return bytes.toString('latin1', header.length);
  };

  for (const [name] of senders) {
    const port = ports.get(name)!;
    for (const host of ['127.0.0.1', ...(hasIPv6() ? ['::1'] : [])]) {
      const [bytes, localPort] = await send({ host, port }, line('hello'));
      assert.equal(readHeader(bytes), 'hello');
      assert.equal(header.version, name === 'v1' ? 1 : 2);
      assert.equal(header.family, host === '::1' ? 'tcp6' : 'tcp4');
      assert.deepEqual([header.sourceAddress, header.sourcePort], [host, localPort]);
      assert.deepEqual([header.destinationAddress, header.destinationPort], [host, port]);
      // Given the same ends, our writer makes the same bytes.
      const ends = [
        { address: host, port: localPort },
        { address: host, port },
      ] as const;
      const ours =
        name === 'v1' ? writeProxyHeaderV1(...ends) : writeProxyHeaderV2(...ends, { checksummed: name === 'checked' });
      assert.equal(ours.toString('hex'), bytes.toString('hex', 0, header.length));
    }
    assert.equal(readHeader((await send({ path: path.join(folder, name) }, line('hello')))[0]), 'hello');
    assert.equal(header.local, true);
  }

  const v4 = [
    { address: '203.0.113.9', port: 1234 },
    { address: '198.51.100.7', port: 443 },
  ] as const;
  const v6 = [
    { address: '2001:db8::9', port: 1234 },
    { address: '::ffff:198.51.100.7', port: 443 },
  ] as const;
  for (const [name] of senders) {
    for (const [source, destination] of [v4, v6]) {
      const authority = 'a.example';
      for (const ours of [
        writeProxyHeaderV1(source, destination),
        writeProxyHeaderV2(source, destination),
        writeProxyHeaderV2(source, destination, { authority, checksummed: true }),
      ]) {
        const relay = { host: '127.0.0.1', port: ports.get(`relay-${name}`)! };
        const [bytes] = await send(relay, Buffer.concat([ours, line('hello')]));
        assert.equal(readHeader(bytes), 'hello');
        assert.deepEqual([header.sourceAddress, header.sourcePort], [source.address, source.port]);
        assert.deepEqual([header.destinationAddress, header.destinationPort], [destination.address, destination.port]);
      }
    }
  }
});

/** Starts haproxy with one proxy per entry, waits until it listens, and returns the ports by name. */
async function startHaproxy(
  t: TestContext,
  folder: string,
  proxies: readonly (readonly [name: string, server: string, bind: string])[],
  to: string,
): Promise<Map<string, number>> {
  for (let attempt = 0; ; attempt++) {
    const ports = new Map<string, number>();
    for (const [name] of proxies) ports.set(name, await freePort());
    const text = proxies.map(([name, server, bind]) => {
      const port = ports.get(name);
      const binds = [`127.0.0.1:${port}`, ...(hasIPv6() ? [`[::1]:${port}`] : []), `unix@${path.join(folder, name)}`];
      return `listen ${name}\n${binds.map((at) => `  bind ${at} ${bind}\n`).join('')}  server origin ${to} ${server}\n`;
    });
    const settings =
      'global\n  maxconn 50\ndefaults\n  mode tcp\n  timeout connect 5s\n  timeout client 5s\n  timeout server 5s\n';
    const file = path.join(folder, 'haproxy.cfg');
    writeFileSync(file, settings + text.join(''));
    const child: ChildProcess = spawn('haproxy', ['-db', '-f', file], { stdio: 'ignore' });
    const gone = once(child, 'exit');
    // It binds everything before it serves anything, so the first answer will do.
    while (child.exitCode === null && !(await answers(ports.get(proxies[0]![0])!))) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    if (child.exitCode === null) {
      t.after(async () => {
        child.kill('SIGTERM');
        await gone;
      });
      return ports;
    }
    // Another test may have taken a port in between.
    if (attempt === 3) assert.fail('haproxy did not start');
  }
}

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect({ host: '127.0.0.1', port }, () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}

function hasIPv6(): boolean {
  return Object.values(networkInterfaces()).some((addresses) => addresses?.some(({ address }) => address === '::1'));
}
