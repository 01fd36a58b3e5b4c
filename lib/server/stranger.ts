// Who else listens where we do. Sockets that share an address (SO_REUSEPORT) share its connections out, also with those of
// another process of the same user, which nobody would notice: so the kernel's own table is asked (proc_net_tcp), which, unlike
// trying to listen, no client can mistake for somebody who serves.

import { readdir, readFile, readlink } from 'node:fs/promises';
import { isIP } from 'node:net';
import { type Address, unmapAddress } from '../base/address.ts';

/** A listening socket of this machine. */
interface Listening {
  /** IPv6 as the table has it; '' for every interface. */
  readonly host: string;
  readonly port: number;
  readonly inode: string;
}

/** An address, and the descriptor of our own socket there, -1 before there is one. */
export interface AskedAddress {
  readonly address: Address;
  readonly descriptor: number;
}

/** Somebody else at an address that was asked for. */
export interface Stranger<Asked> {
  readonly asked: Asked;
  /**
   * Of two that come at the same moment one must stay, and whom this says is the same for both. It says nothing of who came
   * first: the kernel numbers sockets for each processor apart.
   */
  readonly mayStay: boolean;
}

/** Those of `asked` where somebody else listens. The kernel's tables are read once, whatever is asked. */
export async function findStrangers<Asked extends AskedAddress>(
  asked: readonly Asked[],
): Promise<readonly Stranger<Asked>[]> {
  const judged = asked.filter(
    ({ address: { kind, host, port } }) => kind === 'tcp' && port > 0 && (host === '' || isIP(host) > 0),
  );
  if (judged.length === 0) return [];
  const ports = new Set(judged.map(({ address: { port } }) => port));
  const there = [...(await readTable('/proc/net/tcp', ports)), ...(await readTable('/proc/net/tcp6', ports))];
  const inodes = new Map<number, string>();
  for (const { descriptor } of judged) {
    if (descriptor >= 0) inodes.set(descriptor, await inodeOf(descriptor));
  }
  const own = await ownInodes(new Set(there.map(({ inode }) => inode)), new Set(inodes.values()));
  return judged.flatMap((one) => {
    const { address, descriptor } = one;
    const others = there.filter(
      ({ host, port, inode }) => port === address.port && !own.has(inode) && overlaps(host, address.host),
    );
    if (others.length === 0) return [];
    const ours = Number(inodes.get(descriptor) ?? Number.POSITIVE_INFINITY);
    return [{ asked: one, mayStay: others.every(({ inode }) => ours < Number(inode)) }];
  });
}

/** Where a socket of ours listens; null when it does not yet, or where there are no tables. Of a unix socket it is `named`. */
export async function whereListens(descriptor: number, named: Address): Promise<Address | null> {
  const own = await inodeOf(descriptor);
  if (own === '') return null;
  for (const [file, every] of [
    ['/proc/net/tcp', '0.0.0.0'],
    ['/proc/net/tcp6', '::'],
  ] as const) {
    const found = (await readTable(file, null)).find(({ inode }) => inode === own);
    if (found !== undefined) return { kind: 'tcp', host: found.host || every, port: found.port, path: '', fd: -1 };
  }
  // `Num RefCount Protocol Flags Type St Inode Path`; the flag is __SO_ACCEPTCON.
  const text = await readFile('/proc/net/unix', 'latin1').catch(() => '');
  return new RegExp(`^\\S+ \\S+ \\S+ 00010000 \\S+ \\S+ +${own}( |$)`, 'm').test(text) ? named : null;
}

/** Listening sockets on these ports, null for all. A table that is not there has none. */
async function readTable(file: string, ports: ReadonlySet<number> | null): Promise<Listening[]> {
  const text = await readFile(file, 'latin1').catch(() => '');
  const found: Listening[] = [];
  for (const line of text.split('\n')) {
    // `sl local_address rem_address st ... inode`; 0A is TCP_LISTEN.
    const columns = line.trim().split(/\s+/);
    if (columns[3] !== LISTENING) continue;
    const [host = '', port = ''] = columns[1]!.split(':');
    if (ports === null || ports.has(Number.parseInt(port, 16))) {
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

/** Which of these sockets this process has; `known` are already known to be its own. Descriptors are many, and are looked at only if need be. */
async function ownInodes(asked: ReadonlySet<string>, known: ReadonlySet<string>): Promise<ReadonlySet<string>> {
  const own = new Set([...asked].filter((inode) => known.has(inode)));
  if (own.size === asked.size) return own;
  const names = await readdir('/proc/self/fd').catch(() => []);
  for (let from = 0; from < names.length && own.size < asked.size; from += AT_ONCE) {
    const some = await Promise.all(names.slice(from, from + AT_ONCE).map((name) => inodeOf(name)));
    for (const inode of some) if (asked.has(inode)) own.add(inode);
  }
  return own;
}

/** Descriptors looked at beside each other: all event loops share the threads that do it. */
const AT_ONCE = 2;

/** Of a socket; '' for what is none, or is closed by now. */
async function inodeOf(descriptor: number | string): Promise<string> {
  const link = await readlink(`/proc/self/fd/${descriptor}`).catch(() => '');
  return /^socket:\[(\d+)\]$/.exec(link)?.[1] ?? '';
}
