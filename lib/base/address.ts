// Addresses as people write them (`:PORT`, `HOST:PORT`, `[v6]:PORT`, `unix:PATH`, `fd:N`) and blocks of addresses (CIDR).
// Resolving names is left to the dialer.

import { BlockList, isIP } from 'node:net';

/** Where to listen or whom to dial. Exactly one of `port`, `path` and `fd` is meaningful, told by `kind`. */
export interface Address {
  readonly kind: 'tcp' | 'unix' | 'fd';
  /** Name or IP literal without brackets; '' means every interface (`:PORT`). Empty for unix and fd. */
  readonly host: string;
  /** 0 to 65535. */
  readonly port: number;
  /** Path of a unix socket, else ''. */
  readonly path: string;
  /** Inherited descriptor, else -1. */
  readonly fd: number;
}

/** What is wrong with an address, in words for whoever typed it. */
export interface AddressFault {
  readonly fault: string;
}

/**
 * Reads one address. Ports are 0 to 65535 (0: the kernel chooses).
 * Returns the address, or the fault in words; never throws.
 */
export function parseAddress(text: string): Address | AddressFault {
  if (text.startsWith('unix:')) {
    const path = text.slice(5);
    // sockaddr_un.sun_path holds 108 bytes including the terminator (unix(7)).
    if (path === '') return { fault: 'unix: needs a path, as in unix:/run/app.sock' };
    if (Buffer.byteLength(path) > 107) return { fault: 'a unix socket path has at most 107 bytes' };
    return { kind: 'unix', host: '', port: 0, path, fd: -1 };
  }
  if (text.startsWith('fd:')) {
    const fd = wholeNumber(text.slice(3));
    if (fd < 0) return { fault: 'fd: needs a descriptor number, as in fd:3' };
    if (fd < 3) return { fault: 'fd: 0 to 2 are the standard streams; sockets that are handed over begin with fd:3' };
    return { kind: 'fd', host: '', port: 0, path: '', fd };
  }
  const cut = text.lastIndexOf(':');
  if (cut < 0) return { fault: `"${text}" has no port; write HOST:PORT, :PORT, [v6]:PORT or unix:PATH` };
  const port = wholeNumber(text.slice(cut + 1));
  if (port < 0 || port > 65535) return { fault: `"${text.slice(cut + 1)}" is not a port; ports are 0 to 65535` };
  let host = text.slice(0, cut);
  if (host.startsWith('[') && host.endsWith(']')) {
    host = host.slice(1, -1);
    if (isIP(host) !== 6) return { fault: `"${host}" is not an IPv6 address` };
  } else if (host.includes(':')) {
    return { fault: `write an IPv6 address in brackets: [${host}]:${port}` };
  } else if (host !== '' && isIP(host) === 0 && !isHostName(host)) {
    return { fault: `"${host}" is not a host name or IP address` };
  }
  return { kind: 'tcp', host, port, path: '', fd: -1 };
}

/** The canonical text of an address: what `parseAddress` would read back. */
export function formatAddress(address: Address): string {
  if (address.kind === 'unix') return `unix:${address.path}`;
  if (address.kind === 'fd') return `fd:${address.fd}`;
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

/**
 * A set of address blocks in CIDR notation or single addresses (RFC 4632, RFC 4291).
 * Returns the set, or the first entry's fault in words.
 */
export function parseBlocks(entries: readonly string[]): AddressBlocks | AddressFault {
  const blocks = new AddressBlocks();
  for (const entry of entries) {
    const fault = blocks.add(entry);
    if (fault !== '') return { fault };
  }
  return blocks;
}

/** Address blocks that can be asked for membership; IPv4-mapped IPv6 addresses count as IPv4. */
export class AddressBlocks {
  readonly #list = new BlockList();
  /** How many blocks there are. */
  size = 0;

  /** Adds `ADDRESS` or `ADDRESS/PREFIX`; returns '' or what is wrong. */
  add(entry: string): string {
    const cut = entry.indexOf('/');
    const written = cut < 0 ? entry : entry.slice(0, cut);
    // Mapped addresses are asked for as IPv4, so they are kept as IPv4.
    const host = unmapAddress(written);
    const version = isIP(host);
    if (version === 0) return `"${host}" is not an IP address; write ADDRESS or ADDRESS/PREFIX`;
    const widest = version === 4 ? 32 : 128;
    const given = cut < 0 ? widest : wholeNumber(entry.slice(cut + 1));
    const prefix = host === written || cut < 0 ? given : given - 96;
    if (prefix < 0 || prefix > widest) return `"${entry}": the prefix is 0 to ${widest}`;
    this.#list.addSubnet(host, prefix, version === 4 ? 'ipv4' : 'ipv6');
    this.size++;
    return '';
  }

  /** Whether an IP literal lies in one of the blocks; anything else ('' of a unix peer) does not. */
  has(ip: string): boolean {
    if (this.size === 0) return false;
    const plain = unmapAddress(ip);
    const version = isIP(plain);
    return version !== 0 && this.#list.check(plain, version === 4 ? 'ipv4' : 'ipv6');
  }
}

/** `::ffff:192.0.2.1` as `192.0.2.1` (RFC 4291 2.5.5.2); everything else unchanged. */
export function unmapAddress(ip: string): string {
  return ip.startsWith('::ffff:') && ip.includes('.') ? ip.slice(7) : ip;
}

/** Whether an IP literal is of this machine alone. */
export function isLoopback(ip: string): boolean {
  const plain = unmapAddress(ip);
  return plain === '::1' || (isIP(plain) === 4 && plain.startsWith('127.'));
}

/** Whether nobody but this machine reaches an address. */
export function isLocal({ kind, host }: Address): boolean {
  return kind === 'unix' || host === 'localhost' || isLoopback(host);
}

function isHostName(text: string): boolean {
  return text.length <= 253 && /^[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_]([a-z0-9_-]{0,62}))*\.?$/i.test(text);
}

function wholeNumber(text: string): number {
  return /^\d{1,9}$/.test(text) ? Number(text) : -1;
}
