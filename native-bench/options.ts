// What a run was asked for: the values of the command line, checked against the catalogue. How the options are written and
// explained stands with the command (lib/cli/bench.ts).

import { didYouMean } from '../lib/base/nearest.ts';
import { PEERS, SCENARIOS } from './catalogue.ts';
import { allowedCores } from './host/machine.ts';
import type { GeneratorName, Load } from './load/load.ts';
import type { Peer } from './peers/peer.ts';
import type { Plan } from './run.ts';
import type { Scenario } from './scenario.ts';

export interface Options {
  readonly scenarios: readonly Scenario[];
  /** Peers asked for by name; null means those that each scenario names. */
  readonly peers: readonly Peer[] | null;
  readonly plan: Plan;
  readonly workers: number;
  readonly ratePerSecond: number | null;
  readonly generator: GeneratorName | null;
  /** Another revision of Millrace to measure beside this one; null for none. */
  readonly against: string | null;
  /** Files to write; null for none. */
  readonly json: string | null;
  readonly html: string | null;
  readonly markdown: string | null;
  /** Writes docs/benchmarks.md, the table of the README and a file in results/. */
  readonly publish: boolean;
  readonly list: boolean;
  readonly trend: boolean;
}

/** Arguments as the command line gives them: options by long name, switches with an empty value. */
export interface Given {
  readonly options: ReadonlyMap<string, string>;
  readonly operands: readonly string[];
}

/** Reads what was given. Returns everything that is wrong with it, or the options. */
export function readOptions({ options: given, operands }: Given): Options | { faults: string[] } {
  const faults: string[] = [];
  const number = (name: string, otherwise: number, most: number): number => {
    const text = given.get(name);
    if (text === undefined) return otherwise;
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (value >= 1 && value <= most) return value;
    faults.push(`--${name} needs a whole number from 1 to ${most}, not "${text}"`);
    return otherwise;
  };
  const fraction = (name: string, otherwise: number): number => {
    const text = given.get(name);
    if (text === undefined || /^\d+$/.test(text)) return number(name, otherwise, MOST);
    const value = /^\d+\.\d+$/.test(text) ? Number(text) : Number.NaN;
    if (value >= LEAST_SECONDS && value <= MOST) return value;
    faults.push(`--${name} needs a number from ${LEAST_SECONDS} to ${MOST}, not "${text}"`);
    return otherwise;
  };
  const quick = given.has('quick');
  const seconds = fraction('seconds', quick ? 2 : 3);
  const scenarios = pick(operands, SCENARIOS, 'scenario', faults);
  const peers = given.has('peers') ? pick(words(given.get('peers')), PEERS, 'peer', faults) : null;
  const generator = given.get('generator') ?? null;
  if (generator !== null && !isGenerator(generator)) {
    faults.push(`--generator is one of ${GENERATORS.join(', ')}, not "${generator}"`);
  }
  const connections = number('connections', 0, MOST_CONNECTIONS);
  const options = {
    scenarios: (scenarios.length > 0 ? scenarios : SCENARIOS).map((one) => withConnections(one, connections)),
    peers,
    plan: {
      rounds: number('rounds', quick ? 1 : 5, MOST),
      seconds,
      warmUpSeconds: Math.min(seconds, quick ? 1 : 2),
    },
    workers: number('workers', 1, MOST_WORKERS),
    ratePerSecond: given.has('rate') ? number('rate', 1, MOST_RATE) : null,
    generator: generator !== null && isGenerator(generator) ? generator : null,
    against: given.get('against') ?? null,
    json: given.get('json') ?? null,
    html: given.get('html') ?? null,
    markdown: given.get('markdown') ?? null,
    publish: given.has('publish'),
    list: given.has('list'),
    trend: given.has('trend'),
  };
  faults.push(...contradictions(given, options));
  return faults.length > 0 ? { faults } : options;
}

/** The peers that take part in a scenario, `others` (revisions of Millrace) behind Millrace itself. */
export function peersFor(scenario: Scenario, chosen: readonly Peer[] | null, others: readonly Peer[]): Peer[] {
  const peers = chosen ?? PEERS.filter((peer) => scenario.peers.includes(peer.name));
  const able = peers.filter((peer) => peer.setups.includes(scenario.setup));
  // Without a choice of the user's, the scenario's own order counts.
  if (chosen === null) able.sort((a, b) => scenario.peers.indexOf(a.name) - scenario.peers.indexOf(b.name));
  const [subject, ...rest] = able;
  return subject === undefined ? [...others] : [subject, ...others, ...rest];
}

/** What cannot be had together, or not on this machine. */
function contradictions(
  given: ReadonlyMap<string, string>,
  { scenarios, generator, workers, plan }: Options,
): string[] {
  const faults: string[] = [];
  if (!Number.isInteger(plan.seconds) && generator !== 'own') {
    faults.push('--seconds: only the generator own counts parts of seconds (--generator own)');
  }
  if (given.has('rate') && generator !== null && generator !== 'own') {
    faults.push(`--rate needs the generator own: ${generator} knows closed loops only`);
  }
  // Origin and load generator share the cores when the proxy has a worker for each.
  const most = allowedCores().length;
  if (workers > most) faults.push(`--workers: this machine has cores for at most ${most}`);
  const partial = PARTIAL.filter((name) => given.has(name)).map((name) => `--${name}`);
  if (scenarios.length < SCENARIOS.length) partial.unshift('the names of scenarios');
  if (given.has('publish') && partial.length > 0) {
    faults.push(`--publish is for whole runs: leave out ${partial.join(', ')}`);
  }
  return faults;
}

/** Options that make of a run something else than what documents are to show. */
const PARTIAL = ['quick', 'peers', 'against', 'rate', 'connections', 'generator'];
const GENERATORS = ['wrk', 'h2load', 'own'] as const satisfies readonly GeneratorName[];
const MOST = 1_000;
const LEAST_SECONDS = 0.1;
const MOST_CONNECTIONS = 60_000;
const MOST_WORKERS = 256;
const MOST_RATE = 10_000_000;

function isGenerator(name: string): name is GeneratorName {
  return (GENERATORS as readonly string[]).includes(name);
}

function words(text: string | undefined): string[] {
  return (text ?? '').split(',').filter((word) => word !== '');
}

function pick<Item extends { readonly name: string }>(
  names: readonly string[],
  items: readonly Item[],
  kind: string,
  faults: string[],
): Item[] {
  const picked: Item[] = [];
  for (const name of names) {
    const item = items.find((one) => one.name === name);
    const all = items.map((one) => one.name);
    if (item === undefined) faults.push(`unknown ${kind} "${name}"${didYouMean(name, all)} (--list shows all)`);
    else if (!picked.includes(item)) picked.push(item);
  }
  return picked;
}

/** The same scenario with another number of connections; 0 for its own. */
function withConnections(scenario: Scenario, connections: number): Scenario {
  if (connections === 0) return scenario;
  const load: Load = { ...scenario.load, connections };
  return { ...scenario, load, title: `${scenario.title}; here ${connections} connections` };
}
