// `millrace bench`: the included harness, which stands in native-bench/ with all that it knows of scenarios and peers. How it
// is called and explained stands here.

import { type Command, EXIT_USAGE } from './command.ts';
import { reportUsage } from './output.ts';

export const benchCommand: Command = {
  name: 'bench',
  usage: '[SCENARIO...]',
  summary: 'measures Millrace beside nginx, HAProxy and other proxies on this machine',
  details: `
Without SCENARIO all of them run, which takes a while; --list names them. Peers that are installed take turns with Millrace
on the same core before the same origin; those that are not are named with the package that brings them. The figure to
compare is CPU time per request. Everything stays on loopback, and Ctrl-C leaves nothing behind.

  millrace bench http-small                        beside every peer, in about two minutes
  millrace bench http-small --against main         this source tree beside another revision of it
  millrace bench overload --peers millrace,nginx --html report.html

MILLRACE_MAIN names another main program to measure as millrace.
Exits with 1 when a peer that is there did not start or fell out, whatever the figures.`,
  options: {
    peers: { value: 'A,B', summary: "these peers alone, in this order; by default each scenario's own" },
    against: { value: 'REF', summary: 'beside another git revision of Millrace, round by round' },
    rounds: { value: 'N', summary: 'rounds per scenario, in which all peers take turns (5)' },
    seconds: { value: 'N', summary: 'seconds of load per round and peer (3)' },
    quick: { summary: 'one round of two seconds: to see that all works, not to compare' },
    connections: { value: 'N', summary: "connections of the load, in place of each scenario's own" },
    rate: { value: 'N', summary: 'open loop: N requests a second at an even pace, latency from when each was due' },
    workers: { value: 'N', summary: 'event loops, threads or worker processes of each proxy, a core each (1)' },
    generator: { value: 'NAME', summary: 'wrk, h2load or own; by default the best that is installed' },
    json: { value: 'FILE', summary: 'write every round and the summary, for programs' },
    html: { value: 'FILE', summary: 'write one page with charts that needs no network' },
    markdown: { value: 'FILE', summary: 'write the tables as a page' },
    publish: { summary: 'write docs/benchmarks.md, the table of the README, and a file for the trend' },
    trend: { summary: 'measure nothing: show how the ratios went over the runs that were kept' },
    list: { summary: 'measure nothing: name scenarios, targets and peers, and what is installed' },
  },
  operands: { least: 0, most: 100 },
  async run(given) {
    const { runBench } = await import('../../native-bench/bench.ts');
    // Where the report went says nothing of how it was measured, and is a path of this machine.
    const told = [...given.options].filter(([name]) => !['json', 'html', 'markdown'].includes(name));
    const called = [...given.operands, ...told.map(([name, value]) => `--${name} ${value}`.trim())];
    const outcome = await runBench(given, ['millrace bench', ...called].join(' '));
    if (typeof outcome === 'number') return outcome;
    reportUsage(outcome.faults, 'millrace bench --help');
    return EXIT_USAGE;
  },
};
