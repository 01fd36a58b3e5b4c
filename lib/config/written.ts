// What differs between two sets of options, by the keys of the document and as it would be written there, for people to
// read: what a plan tells. Secrets are told to differ, and nothing else of them.

import { isDeepStrictEqual } from 'node:util';
import { type Address, formatAddress } from '../base/address.ts';
import type { EndpointOptions } from '../upstream/options.ts';
import { formatDuration, formatSize } from './units.ts';

/** One value that differs. Both texts are '' where they are not to be shown, or too long to be of use. */
export interface Difference {
  /** As in the document, such as `timeouts.response`. */
  readonly key: string;
  readonly before: string;
  readonly after: string;
}

/** Option keys that are not those of the document, beside units at their end. By their place. */
const KEYS: Readonly<Record<string, string>> = {
  httpsPort: 'httpsRedirect',
  'dial.source': 'source',
  'dial.keepAliveMs': 'tcpKeepAlive',
  'retries.eachMs': 'retries.timeout',
  'retries.longestBackoffMs': 'retries.maxBackoff',
  'retries.statuses': 'retries.on',
  'health.fastMs': 'health.fastInterval',
  'health.statuses': 'health.status',
  'health.service': 'health.grpc',
  'tls.certificate.cert': 'tls.cert',
  'tls.certificate.key': 'tls.key',
  'tls.certificate': 'tls.cert',
};
/** Sections that are written under their kind. */
const DISCOVERY: Readonly<Record<string, string>> = { mostMs: 'every', leastMs: 'minTtl', everyMs: 'every' };
/** Keys of whose values nothing is told: secrets, and what people put secrets into. */
const UNTOLD = new Set(['token', 'secret', 'binding', 'url', 'body', 'path', 'routes', 'kind']);
/** Longer texts tell nobody anything. */
const LONGEST = 100;

/** Every value that differs, by its key. */
export function differences(before: object, after: object): readonly Difference[] {
  const found = new Map<string, Difference>();
  compare(before, after, '', found);
  return [...found.values()];
}

function compare(before: object, after: object, place: string, found: Map<string, Difference>): void {
  const [was, is] = [before, after] as Record<string, unknown>[];
  for (const name of new Set([...Object.keys(before), ...Object.keys(after)])) {
    const [old, fresh] = [was![name], is![name]];
    if (isDeepStrictEqual(old, fresh)) continue;
    const at = place === '' ? name : `${place}.${name}`;
    if (isSection(old) && isSection(fresh)) {
      compare(old, fresh, at, found);
      continue;
    }
    const key = keyOf(at, name, is!);
    const [from, to] = UNTOLD.has(name) ? ['', ''] : [written(name, old), written(name, fresh)];
    const told = from !== to && from.length <= LONGEST && to.length <= LONGEST;
    // Two options may be one key: then both together are more than can be told.
    found.set(key, { key, before: told && !found.has(key) ? from : '', after: told && !found.has(key) ? to : '' });
  }
}

function keyOf(place: string, name: string, { kind }: Record<string, unknown>): string {
  if (place.startsWith('discovery.')) {
    return name === 'kind' || name === 'file' ? 'discovery' : `discovery.${kind}.${DISCOVERY[name] ?? name}`;
  }
  // `grpc`, `tcp`, `tls`: each a key of its own.
  if (place === 'health.kind') return `health.${kind}`;
  const known = KEYS[place];
  // Limits are written with their unit.
  if (known !== undefined || place.startsWith('limits.')) return known ?? place;
  return place.replace(/(Ms|Bytes)$/, '');
}

/** Whether it is compared key by key. */
function isSection(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !(isAddress(value) || isList(value) || value instanceof RegExp);
}

function isList(value: unknown): value is Iterable<unknown> {
  return Array.isArray(value) || value instanceof Set;
}

function isAddress(value: object): value is Address {
  return 'kind' in value && 'fd' in value;
}

/** As in a document, on one line; for what would be long only that it is there. */
function written(name: string, value: unknown): string {
  if (value === undefined || value === null || value === '') return 'none';
  if (typeof value === 'number') {
    return name.endsWith('Ms') ? formatDuration(value) : name.endsWith('Bytes') ? formatSize(value) : `${value}`;
  }
  if (isList(value)) return [...value].map((one) => writtenEntry(one)).join(' ') || 'none';
  if (typeof value !== 'object') return String(value).replace(/^TLSv/, '');
  return isAddress(value) ? formatAddress(value) : 'set';
}

function writtenEntry(value: unknown): string {
  if (typeof value !== 'object' || value === null) return String(value);
  if (isAddress(value)) return formatAddress(value);
  if (Array.isArray(value)) return value.join('-');
  if ('address' in value && 'weight' in value) {
    const { address, weight } = value as EndpointOptions;
    return weight === 1 ? formatAddress(address) : `${formatAddress(address)} (weight ${weight})`;
  }
  const { cert, names } = value as { cert?: unknown; names?: unknown };
  return cert !== undefined ? String(cert) : Array.isArray(names) ? names.join(' ') : 'set';
}
