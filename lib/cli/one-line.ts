// Proxies in one line: what `http` and `tcp` have in common.

import { didYouMean } from '../base/nearest.ts';
import { checkConfiguration } from '../config/read.ts';
import { mustBe, readAddress } from '../config/schema/values.ts';
import type { ConfigurationDocument } from '../config/schema.ts';
import { type Arguments, type Command, EXIT_USAGE, LOG_OPTION } from './command.ts';
import { openLog, readLogChoice, reportConfigErrors, reportUsage } from './output.ts';
import { serve } from './serve.ts';
import { readWorkers, WORKERS_OPTION } from './workers.ts';

/** The command that listens at FROM and balances over TO... with one protocol. */
export function oneLineCommand(protocol: 'http' | 'tcp', summary: string, example: string): Command {
  return {
    name: protocol,
    usage: 'FROM TO... [--balance HOW]',
    summary,
    details: `
FROM is where to listen and each TO an endpoint: :PORT, HOST:PORT, [v6]:PORT or unix:PATH. FROM as :PORT means all
interfaces, TO as :PORT a port of this machine. Everything else has the defaults of a configuration.

Example:
  ${example}`,
    options: {
      balance: { value: 'HOW', summary: `${mustBe(BALANCES).slice('must be '.length)} (default ${BALANCES[0]})` },
      workers: WORKERS_OPTION,
      log: LOG_OPTION,
    },
    operands: { least: 2, most: Number.POSITIVE_INFINITY },
    async run(given) {
      const choice = readLogChoice(given.options.get('log'));
      const workers = readWorkers(given);
      const faults = [choice, workers].flatMap((one) => ('fault' in one ? [one.fault] : [])).concat(findFaults(given));
      if ('fault' in choice || 'fault' in workers || faults.length > 0) {
        reportUsage(faults, `millrace ${protocol} --help`);
        return EXIT_USAGE;
      }
      const result = checkConfiguration(describe(protocol, given), `millrace ${protocol}`);
      if ('errors' in result) {
        reportConfigErrors(result.errors, 'error', choice.format === 'json');
        return EXIT_USAGE;
      }
      return serve(workers(result.configuration), openLog(choice, 'info'));
    },
  };
}

type Balance = (typeof BALANCES)[number];

/** `hash` goes by the client's address. */
const BALANCES = ['round-robin', 'least-requests', 'least-connections', 'random', 'hash', 'first', 'latency'] as const;

/** In the words of the command line; the schema would speak of paths in a document that nobody wrote. */
function findFaults({ options, operands }: Arguments): string[] {
  const faults: string[] = [];
  const seen = new Set<string>();
  for (const [index, operand] of operands.entries()) {
    const role = index === 0 ? 'FROM' : 'TO';
    const found = readAddress(operand, index > 0);
    if ('fault' in found) faults.push(`${role} ${operand}: ${found.fault}`);
    else if (index > 0 && seen.has(operand)) faults.push(`TO ${operand} is given twice`);
    if (index > 0) seen.add(operand);
  }
  const balance = options.get('balance');
  if (balance !== undefined && !(BALANCES as readonly string[]).includes(balance)) {
    faults.push(`--balance: "${balance}" is not known; it ${mustBe(BALANCES)}${didYouMean(balance, BALANCES)}`);
  }
  return faults;
}

function describe(protocol: 'http' | 'tcp', { options, operands }: Arguments): ConfigurationDocument {
  const [from = '', ...endpoints] = operands;
  const balance = (options.get('balance') ?? 'round-robin') as Balance;
  return {
    listeners: { [protocol]: { bind: from, protocol, cluster: 'endpoints' } },
    clusters: { endpoints: { balance, endpoints, ...(balance === 'hash' && { hash: { on: 'client-ip' as const } }) } },
  };
}
