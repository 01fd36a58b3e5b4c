// The command line of the harness: read, checked against the catalogue, and explained.

import { parseArgs } from 'node:util';
import { PEERS, SCENARIOS } from './catalogue.ts';
import type { Peer } from './peer.ts';
import type { Plan } from './run.ts';
import type { Scenario } from './scenario.ts';

export interface Options {
  readonly scenarios: readonly Scenario[];
  /** Peers asked for by name; null means those that each scenario names. */
  readonly peers: readonly Peer[] | null;
  readonly plan: Plan;
  /** Files to write; null for none. */
  readonly json: string | null;
  readonly markdown: string | null;
  readonly list: boolean;
  readonly help: boolean;
}

export const USAGE = `node native-bench/bench.ts [SCENARIO...] [options]

  --rounds N       rounds per scenario (5); all peers take turns within each
  --seconds N      seconds of load per round and peer (3)
  --peers A,B      these peers alone, in this order, where they speak the scenario's protocol
  --quick          one round of two seconds: to see that all works, not to compare
  --json FILE      every round and the summary, for programs
  --markdown FILE  the tables as a page, such as docs/benchmarks.md
  --list           scenarios, peers and targets, and what is installed
  --help           this

MILLRACE_MAIN names another main program to measure as millrace than lib/cli/main.ts.
`;

/** Reads arguments without the runtime and script. Returns a sentence that says what is wrong, or the options. */
export function readOptions(args: readonly string[]): Options | string {
  const parsed = parse(args);
  if (typeof parsed === 'string') return parsed;
  const { values, positionals } = parsed;

  const scenarios = pick(positionals, SCENARIOS, 'scenario');
  if (typeof scenarios === 'string') return scenarios;
  const names = (values.peers ?? '').split(',').filter((name) => name !== '');
  if (values.peers !== undefined && names.length === 0) return '--peers needs names, such as millrace,nginx';
  const peers = pick(names, PEERS, 'peer');
  if (typeof peers === 'string') return peers;

  const rounds = wholeNumber(values.rounds ?? (values.quick ? '1' : '5'));
  const seconds = wholeNumber(values.seconds ?? (values.quick ? '2' : '3'));
  if (rounds === null) return '--rounds needs a whole number from 1 to 1000';
  if (seconds === null) return '--seconds needs a whole number from 1 to 1000';
  return {
    scenarios: scenarios.length > 0 ? scenarios : SCENARIOS,
    peers: values.peers === undefined ? null : peers,
    plan: { rounds, seconds, warmUpSeconds: values.quick ? 1 : 2 },
    json: values.json ?? null,
    markdown: values.markdown ?? null,
    list: values.list,
    help: values.help,
  };
}

/** The peers that take part in a scenario. */
export function peersFor(scenario: Scenario, chosen: readonly Peer[] | null): Peer[] {
  const peers = chosen ?? PEERS.filter((peer) => scenario.peers.includes(peer.name));
  const able = peers.filter((peer) => peer.protocols.includes(scenario.protocol));
  // Without a choice of the user's, the scenario's own order counts.
  if (chosen !== null) return able;
  return able.sort((a, b) => scenario.peers.indexOf(a.name) - scenario.peers.indexOf(b.name));
}

/** What --list prints. */
export function describeCatalogue(): string {
  const lines = ['Scenarios'];
  for (const { name, title, peers, targets } of SCENARIOS) {
    lines.push(`  ${name}: ${title}`, `    peers: ${peers.join(', ')}`);
    lines.push(`    at most: ${targets.map(({ peer, atMost }) => `${atMost} x ${peer}`).join(', ')}`);
  }
  lines.push('Peers');
  for (const peer of PEERS) {
    const located = peer.locate();
    lines.push(`  ${peer.name}: ${peer.about}`, `    ${'version' in located ? located.version : located.missing}`);
  }
  return `${lines.join('\n')}\n`;
}

const LIMIT = 1000;

/** Typed by inference; the values are checked above. */
function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        rounds: { type: 'string' },
        seconds: { type: 'string' },
        peers: { type: 'string' },
        json: { type: 'string' },
        markdown: { type: 'string' },
        quick: { type: 'boolean', default: false },
        list: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function pick<Item extends { readonly name: string }>(
  names: readonly string[],
  items: readonly Item[],
  kind: string,
): Item[] | string {
  const picked: Item[] = [];
  for (const name of names) {
    const item = items.find((one) => one.name === name);
    if (item === undefined) return `no ${kind} is named ${name}; there are ${items.map((one) => one.name).join(', ')}`;
    picked.push(item);
  }
  return picked;
}

function wholeNumber(text: string): number | null {
  const number = Number(text);
  return /^\d+$/.test(text) && number >= 1 && number <= LIMIT ? number : null;
}
