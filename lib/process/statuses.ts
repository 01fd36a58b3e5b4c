// What all event loops report, added up.

import type { ClusterStatus, EndpointStatus, ListenerStatus } from '../admin/control.ts';
import { formatAddress } from '../base/address.ts';
import type { BoundPort } from '../server/server.ts';
import type { LoopReport } from './channel.ts';

/** `ports`: what is bound. Loops that did not report are null. */
export function addStatuses(
  reports: readonly (LoopReport | null)[],
  ports: readonly BoundPort[],
): { readonly listeners: readonly ListenerStatus[]; readonly clusters: readonly ClusterStatus[] } {
  const heard = reports.filter((report) => report !== null);
  const listeners = merge(
    heard.map((report) => report.listeners),
    'name',
    addListeners,
  );
  return {
    listeners: listeners.map((listener) => ({
      ...listener,
      addresses: [
        ...new Set(
          ports.filter((port) => port.listener === listener.name).map(({ address }) => formatAddress(address)),
        ),
      ],
    })),
    clusters: merge(
      heard.map((report) => report.clusters),
      'name',
      addClusters,
    ),
  };
}

/** Items with the same key added up, in the order in which they come first. */
function merge<Key extends string, Item extends Readonly<Record<Key, string>>>(
  lists: readonly (readonly Item[])[],
  key: Key,
  add: (a: Item, b: Item) => Item,
): Item[] {
  const found = new Map<string, Item>();
  for (const item of lists.flat()) {
    const known = found.get(item[key]);
    found.set(item[key], known === undefined ? item : add(known, item));
  }
  return [...found.values()];
}

function addListeners(a: ListenerStatus, b: ListenerStatus): ListenerStatus {
  return addNumbers(a, b, ['connections', 'accepted', 'refused', 'exchanges']);
}

const CLUSTER_NUMBERS = [
  'active',
  'waiting',
  'adaptiveLimit',
  'requests',
  'retries',
  'retriesRefused',
  'hedges',
  'hedgesWon',
  'queueFull',
  'queueTimeouts',
  'copies',
  'copiesDropped',
  'copiesFailed',
  'discoveryUpdates',
  'discoveryFailures',
] as const;

function addClusters(a: ClusterStatus, b: ClusterStatus): ClusterStatus {
  return {
    ...addNumbers(a, b, CLUSTER_NUMBERS),
    endpoints: merge([a.endpoints, b.endpoints], 'address', addEndpoints),
  };
}

function addEndpoints(a: EndpointStatus, b: EndpointStatus): EndpointStatus {
  const sum = addNumbers(a, b, [
    'active',
    'connections',
    'idle',
    'exchanges',
    'tunnels',
    'connectFailures',
    'failures',
    'retries',
    'ejections',
  ]);
  // Loops hear of each other's findings a moment later: what is not well anywhere is told.
  return { ...sum, state: a.state === 'up' ? b.state : a.state };
}

function addNumbers<Key extends string, Item extends Readonly<Record<Key, number>>>(
  a: Item,
  b: Item,
  keys: readonly Key[],
): Item {
  return { ...a, ...Object.fromEntries(keys.map((key) => [key, a[key] + b[key]])) };
}
