// What differs between two configurations, and what that means for what is running: what a reload will do, before it does
// it. Snapshots are built by the same judgement.

import { isDeepStrictEqual } from 'node:util';
import { formatAddress } from '../base/address.ts';
import type { ListenerOptions } from '../server/options.ts';
import { continues, isSameBind } from '../server/server.ts';
import type { ClusterOptions } from '../upstream/options.ts';
import type { AdminOptions, Configuration } from './configuration.ts';
import { type Difference, differences } from './written.ts';

/** One difference. Plain values, so that it can be sent and printed. */
export interface Change {
  readonly kind: 'listener' | 'cluster' | 'setting';
  readonly name: string;
  readonly what: 'added' | 'removed' | 'changed';
  /** Keys of the document that differ. */
  readonly keys: readonly string[];
  /** What differs there, one by one. */
  readonly values: readonly Difference[];
  /** What that does to what is open. */
  readonly effect: string;
}

/** What becomes of a cluster: `in place` keeps its connections and what is known of its endpoints. */
export type ClusterChange = 'same' | 'in place' | 'anew';

/** Options that no connection depends on. */
const IN_PLACE: ReadonlySet<string> = new Set<keyof ClusterOptions>([
  'balance',
  'hash',
  'endpoints',
  'discovery',
  'health',
  'retries',
  'slowStartMs',
  'panic',
  'zone',
  'requests',
  'host',
  'timeouts',
]);

export function compareClusters(before: ClusterOptions, after: ClusterOptions): ClusterChange {
  const keys = differing(before, after);
  if (keys.length === 0) return 'same';
  return keys.every((key) => IN_PLACE.has(key)) ? 'in place' : 'anew';
}

/** Everything that differs, in the order of the configuration that follows. */
export function compareConfigurations(before: Configuration, after: Configuration): readonly Change[] {
  return [
    ...compareParts('listener', before.listeners, after.listeners, listenerEffect, LISTENER_EFFECTS).map((change) =>
      change.what === 'removed' ? { ...change, effect: removalEffect(change.name, before, after) } : change,
    ),
    ...compareParts('cluster', before.clusters, after.clusters, clusterEffect, CLUSTER_EFFECTS),
    ...compareSettings(before, after),
  ];
}

function compareSettings(before: Configuration, after: Configuration): Change[] {
  const parts = { listeners: {}, clusters: {} };
  const values = differences({ ...before, ...parts }, { ...after, ...parts });
  return topOf(values).map((name) => ({
    kind: 'setting',
    name,
    what: 'changed',
    keys: [],
    values: values.filter(({ key }) => topOf([{ key }])[0] === name),
    effect: name === 'admin' ? adminEffect(before.admin, after.admin) : (SETTING_EFFECTS[name] ?? ''),
  }));
}

/** First parts of keys, each once. */
function topOf(values: readonly Pick<Difference, 'key'>[]): readonly string[] {
  return [...new Set(values.map(({ key }) => key.split('.')[0]!))];
}

function adminEffect(before: AdminOptions | null, after: AdminOptions | null): string {
  if (after === null) return 'the admin listener is closed';
  if (before === null) return 'the admin listener is bound';
  const stays = formatAddress(before.bind) === formatAddress(after.bind);
  return stays ? 'the next calls are judged by it; the admin listener stays' : 'the admin listener is bound anew';
}

const LISTENER_EFFECTS = {
  added: 'begins to accept',
  removed: 'accepts nothing new; its connections finish within drainTimeout',
};
const CLUSTER_EFFECTS = {
  added: 'is there for routes that name it',
  removed: 'gets nothing new; what is under way finishes',
};
const SETTING_EFFECTS: Readonly<Record<string, string>> = {
  log: 'holds for the next process: millrace upgrade starts one',
  drainTimeout: 'holds from now on',
  drainDelay: 'holds from now on',
  workers:
    'more event loops are started; fewer, or the main thread alone or not, come with the next process: millrace upgrade',
  workerMemory: 'holds for event loops that are started from now on',
};

function compareParts<Options extends object>(
  kind: 'listener' | 'cluster',
  before: Readonly<Record<string, Options>>,
  after: Readonly<Record<string, Options>>,
  effectOf: (before: Options, after: Options, keys: readonly string[]) => string,
  effects: { readonly added: string; readonly removed: string },
): Change[] {
  const changes: Change[] = [];
  for (const [name, options] of Object.entries(after)) {
    const was = Object.hasOwn(before, name) ? before[name] : undefined;
    if (was === undefined) {
      changes.push({ kind, name, what: 'added', keys: [], values: [], effect: effects.added });
      continue;
    }
    const values = differences(was, options);
    if (values.length === 0) continue;
    const keys = topOf(values);
    changes.push({ kind, name, what: 'changed', keys, values, effect: effectOf(was, options, keys) });
  }
  for (const name of Object.keys(before)) {
    if (!Object.hasOwn(after, name))
      changes.push({ kind, name, what: 'removed', keys: [], values: [], effect: effects.removed });
  }
  return changes;
}

/** One that has another name now is not gone. */
function removalEffect(name: string, before: Configuration, after: Configuration): string {
  const was = before.listeners[name]!;
  for (const [other, options] of Object.entries(after.listeners)) {
    if (Object.hasOwn(before.listeners, other)) continue;
    if (isSameBind(name, was, other, options) && continues(was, options)) {
      return `goes on as ${other}, with its connections`;
    }
  }
  return LISTENER_EFFECTS.removed;
}

function listenerEffect(before: ListenerOptions, after: ListenerOptions, keys: readonly string[]): string {
  const told: string[] = [];
  if (!continues(before, after)) {
    told.push('connections that are open finish within drainTimeout, new ones speak what is new');
  } else told.push('connections that are open stay, their next requests go by what is new');
  const bound = (options: ListenerOptions): string[] => options.bind.map(formatAddress);
  if (keys.includes('bind')) {
    const opened = bound(after).filter((address) => !bound(before).includes(address));
    const closed = bound(before).filter((address) => !bound(after).includes(address));
    if (opened.length > 0) told.push(`${opened.join(' ')} is bound`);
    if (closed.length > 0) told.push(`${closed.join(' ')} is closed`);
  }
  return told.join('; ');
}

function clusterEffect(before: ClusterOptions, after: ClusterOptions, keys: readonly string[]): string {
  const told: string[] = [];
  if (compareClusters(before, after) === 'anew') {
    told.push('begins with new connections; those before are closed when their exchanges and tunnels have ended');
  } else told.push('keeps its connections and what is known of its endpoints');
  const names = ({ endpoints }: ClusterOptions): string[] => endpoints.map(({ address }) => formatAddress(address));
  if (keys.includes('endpoints')) {
    const come = names(after).filter((name) => !names(before).includes(name));
    const gone = names(before).filter((name) => !names(after).includes(name));
    if (come.length > 0) told.push(`new: ${come.join(' ')}`);
    if (gone.length > 0) told.push(`draining: ${gone.join(' ')}`);
  }
  return told.join('; ');
}

/** Keys whose values differ. */
function differing<Options extends object>(before: Options, after: Options): string[] {
  const keys = new Set([...Object.keys(before), ...Object.keys(after)]) as Set<string & keyof Options>;
  return [...keys].filter((key) => !isDeepStrictEqual(before[key], after[key]));
}
