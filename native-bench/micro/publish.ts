// Making the picker of a cluster of 10,000 endpoints anew, as whenever one of them changes: every policy, beside a copy of
// those that may be chosen, which is the least that anybody does. And what it takes when one of them comes or goes, of which
// that is a part.

import { formatAddress, parseAddress } from '../../lib/base/address.ts';
import { checkConfiguration } from '../../lib/config/read.ts';
import { Cluster } from '../../lib/upstream/cluster.ts';
import type { ClusterOptions, EndpointOptions, Policy, StickyOptions } from '../../lib/upstream/options.ts';
import { ours, type Subject, type Trial, theirs } from './subject.ts';

export const publish: Subject = {
  name: 'publish',
  about: `make the choice among ${(10_000).toLocaleString('en')} endpoints anew`,
  prepare: () => [...POLICIES.map(trialOf), membersOf('members', null), membersOf('members with cookies', STICKY)],
};

const POLICIES = ['round-robin', 'least-requests', 'random', 'hash', 'first', 'latency'] as const;
const ENDPOINTS = 10_000;
/** Choices from which it is judged. */
const JUDGED = 1_000;

function trialOf(balance: Policy): Trial {
  const cluster = new Cluster('app', optionsOf(balance));
  const { endpoints } = cluster;
  const ill = endpoints[0]!;
  cluster.found(ill, 'down', 'for the sake of it');
  let well = endpoints.filter(({ standing }) => standing.eligible);
  return {
    name: balance,
    cases: [
      ours(1, {
        operate() {
          cluster.publish();
          return cluster.published;
        },
        answer: () =>
          Array.from({ length: JUDGED }, (_, i) => cluster.pick([], Math.imul(i, 0x9e3779b1) >>> 0)).includes(ill),
      }),
      theirs(1, 'a filtered copy', 'less: no weights, no order, no table', {
        operate() {
          well = endpoints.filter(({ standing }) => standing.eligible);
          return well.length;
        },
        answer: () =>
          Array.from({ length: JUDGED }, () => well[Math.floor(Math.random() * well.length)]!).includes(ill),
      }),
    ],
  };
}

const STICKY = { cookie: 'c', maxAgeMs: 0, secret: 'for the sake of it' };

/** A source finds one less, then all again: each time in objects of its own, as if read from a document. */
function membersOf(name: string, sticky: StickyOptions | null): Trial {
  const options = optionsOf('round-robin');
  const cluster = new Cluster('app', { ...options, endpoints: [], sticky, discovery: { kind: 'file', file: '' } });
  const lists = [options.endpoints.slice(1), options.endpoints].map((list) =>
    Array.from({ length: LISTS }, () => list.map((endpoint) => ({ ...endpoint }))),
  );
  cluster.find(lists[1]![0]!);
  for (const endpoint of cluster.endpoints) cluster.sticky?.line(endpoint, false);
  let turn = 0;
  const find = (): number => {
    cluster.find(lists[turn % 2]![(turn >> 1) % LISTS]!);
    turn++;
    return cluster.endpoints.length;
  };
  let indexed = 0;
  const index = (): number => {
    const list = lists[indexed % 2]![(indexed >> 1) % LISTS]!;
    indexed++;
    return new Map(list.map((endpoint) => [formatAddress(endpoint.address), endpoint])).size;
  };
  return {
    name,
    cases: [
      ours(1, { operate: find, answer: () => [find(), find()].sort() }),
      theirs(1, 'a map by address', 'less: nobody stays who he was, and nothing is chosen', {
        operate: index,
        answer: () => [index(), index()].sort(),
      }),
    ],
  };
}

const LISTS = 4;

function optionsOf(balance: Policy): ClusterOptions {
  const read = checkConfiguration(
    {
      listeners: {},
      clusters: {
        app: { balance, ...(balance === 'hash' && { hash: { on: 'client-ip' } }), endpoints: ['10.0.0.1:1'] },
      },
    },
    'publish',
  );
  if ('errors' in read) throw new Error(read.errors.map(({ message }) => message).join(', '));
  const endpoints = Array.from({ length: ENDPOINTS }, (_, place): EndpointOptions => {
    const address = parseAddress(`10.1.${place >> 8}.${place & 255}:8080`) as EndpointOptions['address'];
    return { address, weight: 1 + (place % 5) };
  });
  return { ...read.configuration.clusters['app']!, endpoints };
}
