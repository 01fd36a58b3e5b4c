// Who else listens where we do. Sockets that share an address (SO_REUSEPORT) share its connections out, also with those of
// another process of the same user, which nobody would notice: so the kernel's own table is asked (proc_net_tcp), which, unlike
// trying to listen, no client can mistake for somebody who serves.

import { readdir, readFile, readlink } from 'node:fs/promises';
import { isIP } from 'node:net';
import { type Address, formatAddress, unmapAddress } from '../base/address.ts';

/** A listening socket of this machine. */
interface Listening {
  /** IPv6 as the table has it; '' for every interface. */
  readonly host: string;
  readonly port: number;
  readonly inode: string;
}

/**
 * Whether somebody else listens at one of these; '' or which is taken. With `bound`, the descriptors of our own sockets there,
 * only who was there before them counts: of two that come at the same moment one must stay.
 */
export async function findStranger(addresses: readonly Address[], bound: readonly number[] = []): Promise<string> {
  const asked = addresses.filter(
    ({ kind, host, port }) => kind === 'tcp' && port > 0 && (host === '' || isIP(host) > 0),
  );
  if (asked.length === 0) return '';
  const ports = new Set(asked.map(({ port }) => port));
  const there = [...(await readTable('/proc/net/tcp', ports)), ...(await readTable('/proc/net/tcp6', ports))];
  if (there.length === 0) return '';
  const own = await ownInodes();
  const first = Math.min(...(await Promise.all(bound.map(async (fd) => Number(await inodeOf(fd))))));
  for (const address of asked) {
    const stranger = there.find(
      ({ host, port, inode }) =>
        port === address.port &&
        !own.has(inode) &&
        overlaps(host, address.host) &&
        (bound.length === 0 || Number(inode) < first),
    );
    if (stranger !== undefined) return `${formatAddress(address)}: the address is in use`;
  }
  return '';
}

/** Listening sockets on these ports. A table that is not there has none. */
async function readTable(file: string, ports: ReadonlySet<number>): Promise<Listening[]> {
  const text = await readFile(file, 'latin1').catch(() => '');
  const found: Listening[] = [];
  for (const line of text.split('\n')) {
    // `sl local_address rem_address st ... inode`; 0A is TCP_LISTEN.
    const columns = line.trim().split(/\s+/);
    if (columns[3] !== LISTENING) continue;
    const [host = '', port = ''] = columns[1]!.split(':');
    if (ports.has(Number.parseInt(port, 16))) {
      found.push({ host: hostOf(host), port: Number.parseInt(port, 16), inode: columns[9] ?? '' });
    }
  }
  return found;
}

const LISTENING = '0A';

/** From words of 32 bits in the byte order of the machine, which is little-endian wherever this runs. */
function hostOf(hex: string): string {
  if (/^0+$/.test(hex)) return '';
  const bytes = Buffer.from(hex, 'hex').swap32();
  if (bytes.length === 4) return [...bytes].join('.');
  const groups = Array.from({ length: 8 }, (_, at) => bytes.readUInt16BE(at * 2).toString(16));
  return canonical(groups.join(':'));
}

/** One spelling for each address. */
function canonical(host: string): string {
  if (isIP(host) !== 6) return host;
  const { hostname } = new URL(`http://[${host}]`);
  const plain = hostname.slice(1, -1);
  const mapped = /^::ffff:([0-9a-f]+):([0-9a-f]+)$/.exec(plain);
  if (mapped === null) return plain;
  const [high, low] = [Number.parseInt(mapped[1]!, 16), Number.parseInt(mapped[2]!, 16)];
  return [high >> 8, high & 255, low >> 8, low & 255].join('.');
}

/** Every interface and any address overlap, two addresses only if they are the same. */
function overlaps(theirs: string, ours: string): boolean {
  const host = ours === '0.0.0.0' || ours === '::' ? '' : canonical(unmapAddress(ours));
  return theirs === '' || host === '' || theirs === host;
}

async function ownInodes(): Promise<ReadonlySet<string>> {
  const names = await readdir('/proc/self/fd').catch(() => []);
  return new Set(await Promise.all(names.map((name) => inodeOf(name))));
}

/** Of a socket; '' for what is none, or is closed by now. */
async function inodeOf(descriptor: number | string): Promise<string> {
  const link = await readlink(`/proc/self/fd/${descriptor}`).catch(() => '');
  return /^socket:\[(\d+)\]$/.exec(link)?.[1] ?? '';
}
