// Choosing an endpoint among 3, 100 and 1,000: our policies, each beside what else is done for the same purpose.
// Endpoints are those of lib/upstream, so that every choice reads the same objects.

import { parseAddress } from '../../lib/base/address.ts';
import { Endpoint } from '../../lib/upstream/endpoint.ts';
import type { EndpointOptions, Policy } from '../../lib/upstream/options.ts';
import { createPicker, type Picker } from '../../lib/upstream/picker.ts';
import { type Case, ours, type Subject, theirs } from './subject.ts';

export const picker: Subject = {
  name: 'picker',
  about: 'choose the endpoint for one exchange',
  prepare: () =>
    [3, 100, 1000].flatMap((count) => [
      {
        name: `round-robin, ${count} endpoints`,
        cases: [roundRobin(endpointsOf(count, () => 1)), random(endpointsOf(count, () => 1))],
      },
      {
        name: `weighted, ${count} endpoints`,
        cases: [
          smooth(endpointsOf(count, weightAt)),
          weightedRandom(endpointsOf(count, weightAt)),
          unrolled(endpointsOf(count, weightAt)),
        ],
      },
      {
        name: `least connections, ${count} endpoints, ${IN_FLIGHT} exchanges under way`,
        cases: [
          leastConnections(endpointsOf(count, () => 1)),
          firstLeast(endpointsOf(count, () => 1)),
          twoChoices(endpointsOf(count, () => 1)),
        ],
      },
      ...(['random', 'hash', 'latency'] as const).map((policy) => ({
        name: `${policy}, ${count} endpoints`,
        cases: [byKey(policy, endpointsOf(count, weightAt)), weightedRandom(endpointsOf(count, weightAt))],
      })),
      {
        name: `hash with a bound, ${count} endpoints, ${IN_FLIGHT} exchanges under way`,
        cases: [bounded(endpointsOf(count, weightAt)), weightedRandom(endpointsOf(count, weightAt))],
      },
      { name: `first, ${count} endpoints`, cases: firstOfAll(endpointsOf(count, () => 1)) },
    ]),
};

const PER_RUN = 512;
/** Exchanges that have been given an endpoint and are not over. A power of two. */
const IN_FLIGHT = 64;
/** Choices from which the shares of the endpoints are judged, and how far off they may be. */
const JUDGED = 40_000;
const TOLERANCE = 0.03;

function pickerFor(policy: Policy, endpoints: readonly Endpoint[], bound = 0): Picker {
  const hash = { on: 'client-ip', name: '', bound } as const;
  return createPicker(
    policy,
    hash,
    endpoints.map((endpoint) => ({ endpoint, weight: endpoint.weight })),
  );
}

/** A policy that goes by a key or by what it knows of endpoints, beside a draw by weight. */
function byKey(policy: Policy, endpoints: readonly Endpoint[]): Case {
  const picker = pickerFor(policy, endpoints);
  let key = 1;
  const pick = (): Endpoint => {
    key = Math.imul(key, 0x9e3779b1) + 1;
    return picker.pick(null, key >>> 0)!;
  };
  return ours(PER_RUN, { operate: () => pick().weight, answer: () => judge(endpoints, pick) });
}

/** As busy as the bound allows some to be, so that keys go on to others. */
function bounded(endpoints: readonly Endpoint[]): Case {
  const picker = pickerFor('hash', endpoints, 1.25);
  let key = 1;
  const pick = (): Endpoint => {
    key = Math.imul(key, 0x9e3779b1) + 1;
    return picker.pick(null, key >>> 0)!;
  };
  const ring: Endpoint[] = [];
  const exchange = (i: number): Endpoint => {
    const at = i & (IN_FLIGHT - 1);
    ring[at]?.leave();
    const endpoint = pick();
    endpoint.enter();
    ring[at] = endpoint;
    return endpoint;
  };
  for (let i = 0; i < IN_FLIGHT; i++) exchange(i);
  let turn = 0;
  return ours(PER_RUN, { operate: (i) => exchange(i).weight, answer: () => judge(endpoints, () => exchange(turn++)) });
}

function roundRobin(endpoints: readonly Endpoint[]): Case {
  const picker = pickerFor('round-robin', endpoints);
  const pick = (): Endpoint => picker.pick(null, 0)!;
  return ours(PER_RUN, { operate: () => pick().weight, answer: () => judge(endpoints, pick) });
}

function random(endpoints: readonly Endpoint[]): Case {
  const pick = (): Endpoint => endpoints[Math.floor(Math.random() * endpoints.length)]!;
  return theirs(PER_RUN, 'random', 'less: even only in the long run', {
    operate: () => pick().weight,
    answer: () => judge(endpoints, pick),
  });
}

function smooth(endpoints: readonly Endpoint[]): Case {
  const picker = pickerFor('round-robin', endpoints);
  const pick = (): Endpoint => picker.pick(null, 0)!;
  return ours(PER_RUN, { operate: () => pick().weight, answer: () => judge(endpoints, pick) });
}

/** Running sums of the weights and a binary search for a random point. */
function weightedRandom(endpoints: readonly Endpoint[]): Case {
  const sums = new Float64Array(endpoints.length);
  endpoints.forEach(({ weight }, i) => {
    sums[i] = weight + (i > 0 ? sums[i - 1]! : 0);
  });
  const pick = (): Endpoint => {
    const point = Math.random() * sums[sums.length - 1]!;
    let low = 0;
    let high = sums.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (sums[middle]! > point) high = middle;
      else low = middle + 1;
    }
    return endpoints[low]!;
  };
  return theirs(PER_RUN, 'random by weight', 'less: weights hold only in the long run', {
    operate: () => pick().weight,
    answer: () => judge(endpoints, pick),
  });
}

/** Every endpoint as often as its weight says, in a row. */
function unrolled(endpoints: readonly Endpoint[]): Case {
  const row = endpoints.flatMap((endpoint) => new Array<Endpoint>(endpoint.weight).fill(endpoint));
  let at = 0;
  const pick = (): Endpoint => {
    const endpoint = row[at]!;
    at = at + 1 < row.length ? at + 1 : 0;
    return endpoint;
  };
  const note = 'less: bursts on the heavy ones; up to 256 entries for each endpoint';
  return theirs(PER_RUN, 'unrolled list', note, { operate: () => pick().weight, answer: () => judge(endpoints, pick) });
}

function leastConnections(endpoints: readonly Endpoint[]): Case {
  const picker = pickerFor('least-requests', endpoints);
  const pick = (): Endpoint => picker.pick(null, 0)!;
  const ring = fill(pick);
  return ours(PER_RUN, {
    operate: (i) => {
      end(ring, i);
      return begin(ring, i, pick());
    },
    answer: () => judge(endpoints, () => another(ring, pick)),
  });
}

/** The first of those with the fewest, as it is mostly written. */
function firstLeast(endpoints: readonly Endpoint[]): Case {
  const pick = (): Endpoint => endpoints.reduce((best, each) => (each.active < best.active ? each : best));
  // With fewer exchanges than endpoints the last ones are never chosen.
  const judged = endpoints.slice(0, IN_FLIGHT);
  const ring = fill(pick);
  return theirs(PER_RUN, 'first with the fewest', 'less: no weights, equals do not take turns', {
    operate: (i) => {
      end(ring, i);
      return begin(ring, i, pick());
    },
    answer: () => judge(judged, () => another(ring, pick)),
  });
}

/** The first that is well, where the very first is not. */
function firstOfAll(endpoints: readonly Endpoint[]): Case[] {
  endpoints[0]!.standing.health = 'down';
  const picker = pickerFor('first', endpoints.slice(1));
  const search = (): Endpoint => endpoints.find(({ standing }) => standing.eligible)!;
  const answer = (pick: () => Endpoint) => () => endpoints.indexOf(pick());
  const pick = (): Endpoint => picker.pick(null, 0)!;
  return [
    ours(PER_RUN, { operate: () => pick().weight, answer: answer(pick) }),
    theirs(PER_RUN, 'search', '', { operate: () => search().weight, answer: answer(search) }),
  ];
}

function twoChoices(endpoints: readonly Endpoint[]): Case {
  const pick = (): Endpoint => {
    const a = endpoints[Math.floor(Math.random() * endpoints.length)]!;
    const b = endpoints[Math.floor(Math.random() * endpoints.length)]!;
    return a.active <= b.active ? a : b;
  };
  const note = 'less: no weights, near the fewest rather than the fewest';
  const ring = fill(pick);
  return theirs(PER_RUN, 'the better of two random ones', note, {
    operate: (i) => {
      end(ring, i);
      return begin(ring, i, pick());
    },
    answer: () => judge(endpoints, () => another(ring, pick)),
  });
}

function endpointsOf(count: number, weight: (place: number) => number): Endpoint[] {
  return Array.from({ length: count }, (_, place) => {
    const address = parseAddress(`10.0.${place >> 8}.${place & 255}:8080`) as EndpointOptions['address'];
    const pool = {
      idle: 64,
      max: 0,
      idleTimeoutMs: 4000,
      queue: 0,
      queueTimeoutMs: 0,
      maxAgeMs: 0,
      warm: 0,
      maxRequests: 0,
    };
    return new Endpoint({ address, weight: weight(place) }, pool);
  });
}

/** A few large machines among many small ones. */
function weightAt(place: number): number {
  return place % 3 === 0 ? 5 : 1 + (place % 2);
}

/** The exchanges under way, each with its endpoint. */
function fill(pick: () => Endpoint): Endpoint[] {
  const ring: Endpoint[] = [];
  for (let i = 0; i < IN_FLIGHT; i++) begin(ring, i, pick());
  return ring;
}

function end(ring: readonly Endpoint[], i: number): void {
  ring[i & (IN_FLIGHT - 1)]!.active--;
}

function begin(ring: Endpoint[], i: number, endpoint: Endpoint): number {
  ring[i & (IN_FLIGHT - 1)] = endpoint;
  return ++endpoint.active;
}

/** Some exchange ends, another begins. */
function another(ring: Endpoint[], pick: () => Endpoint): Endpoint {
  const at = Math.floor(Math.random() * IN_FLIGHT);
  end(ring, at);
  const endpoint = pick();
  begin(ring, at, endpoint);
  return endpoint;
}

/** Whether every endpoint was chosen, and as often as its weight says. Chance plays a part, so only this is compared. */
function judge(endpoints: readonly Endpoint[], pick: () => Endpoint): unknown {
  const picks = new Map<Endpoint, number>();
  for (let i = 0; i < JUDGED; i++) {
    const endpoint = pick();
    picks.set(endpoint, (picks.get(endpoint) ?? 0) + 1);
  }
  const total = endpoints.reduce((sum, endpoint) => sum + endpoint.weight, 0);
  return {
    all: endpoints.every((endpoint) => picks.has(endpoint)),
    fair: endpoints.every(
      (endpoint) => Math.abs((picks.get(endpoint) ?? 0) / JUDGED - endpoint.weight / total) < TOLERANCE,
    ),
  };
}
