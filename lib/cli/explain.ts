// `millrace explain`: which listener, route, cluster and endpoint would answer a request, and why; without starting
// anything. What only a running proxy knows (health, load, latency) is said to be so, or asked of it.

import { type Address, formatAddress } from '../base/address.ts';
import type { Configuration } from '../config/configuration.ts';
import { explainRequest, type LiveCluster } from '../config/explain.ts';
import { readAddress } from '../config/schema/values.ts';
import { ADMIN_OPTION, askAdmin } from './admin-client.ts';
import { type Command, EXIT_FAILED, EXIT_FINE, EXIT_USAGE } from './command.ts';
import { CONFIG_OPTION, chooseFile, readFileOf } from './configuration-file.ts';
import { reportConfigErrors, reportFailure, reportUsage, writeResult } from './output.ts';

export const explainCommand: Command = {
  name: 'explain',
  usage: "[-c FILE] --url URL [--header 'NAME: VALUE'] [--live]",
  summary: 'tells which listener, route, cluster and endpoint would answer a request, and why',
  details: `
The listener is the one that the port of the URL belongs to, or the one named by --listener. Several headers are
given in one option, with line feeds between them. Cookies that keep clients with an endpoint are read. Nothing is started
and nobody is asked: endpoints are taken to be well, unless --live asks the running proxy which are, and with what weights.

Example:
  millrace explain --url http://shop.example.com/cart --header 'Cookie: user=42' --live`,
  options: {
    config: CONFIG_OPTION,
    url: { value: 'URL', summary: 'what is asked for' },
    header: { short: 'H', value: 'LINES', summary: 'header lines of the request' },
    method: { short: 'X', value: 'METHOD', summary: 'its method (default GET)' },
    client: { value: 'ADDRESS', summary: 'address of the client (default 127.0.0.1)' },
    listener: { value: 'NAME', summary: 'the listener it arrives at' },
    live: { summary: 'asks the running proxy which endpoints it has and how they are' },
    admin: {
      ...ADMIN_OPTION,
      summary:
        'with --live: where the admin API of the proxy listens (default: where its configuration says, and only there is its token shown)',
    },
  },
  operands: { least: 0, most: 0 },
  async run({ options, ...given }) {
    const chosen = chooseFile({ options, ...given });
    const url = options.get('url') ?? '';
    const faults = 'fault' in chosen ? [chosen.fault] : [];
    if (!/^https?:/.test(url) || !URL.canParse(url)) faults.push('--url: needs an http or https URL');
    const lines = (options.get('header') ?? '').split('\n').filter((line) => line.trim() !== '');
    for (const line of lines)
      if (!/^[^\s:]+:/.test(line)) faults.push(`--header: "${line}" is no header line; write "NAME: VALUE"`);
    if ('fault' in chosen || faults.length > 0) {
      reportUsage(faults, 'millrace explain --help');
      return EXIT_USAGE;
    }
    const result = await readFileOf(chosen.file);
    if ('errors' in result) {
      reportConfigErrors(result.errors, 'error', false);
      return EXIT_USAGE;
    }
    const listener = options.get('listener') ?? listenerOf(result.configuration, new URL(url));
    if (listener === '' || !Object.hasOwn(result.configuration.listeners, listener)) {
      const known = Object.keys(result.configuration.listeners).join(', ');
      reportUsage(
        [
          `no listener ${listener === '' ? 'has the port of this URL' : `is called "${listener}"`}; name one with --listener: ${known}`,
        ],
        'millrace explain --help',
      );
      return EXIT_USAGE;
    }
    const live = options.has('live') ? await askLive(result.configuration, options.get('admin')) : null;
    if (live !== null && 'fault' in live) {
      if (live.usage) reportUsage([live.fault], 'millrace explain --help');
      else reportFailure(live.fault);
      return live.usage ? EXIT_USAGE : EXIT_FAILED;
    }
    const request = {
      url: new URL(url),
      method: options.get('method') ?? 'GET',
      client: options.get('client') ?? '127.0.0.1',
      headers: lines.map((line) => {
        const colon = line.indexOf(':');
        return [line.slice(0, colon), line.slice(colon + 1).trim()] as const;
      }),
    };
    const told = explainRequest(result.configuration, listener, request, live);
    writeResult(told.lines.map((line) => `${line}\n`).join(''));
    return told.answered ? EXIT_FINE : EXIT_FAILED;
  },
};

const PATIENCE_MS = 2000;

/** What the proxy that runs by this configuration says of its clusters. */
async function askLive(
  { admin }: Configuration,
  named: string | undefined,
): Promise<readonly LiveCluster[] | { readonly fault: string; readonly usage: boolean }> {
  if (named === undefined && admin === null)
    return { fault: '--live: there is no admin in this configuration; name the proxy by --admin', usage: true };
  const where = named === undefined ? admin!.bind : readAddress(named, true);
  if ('fault' in where) return { fault: `--admin: ${where.fault}`, usage: true };
  if (where.kind === 'fd' || (where.kind === 'tcp' && where.port === 0))
    return { fault: '--live: this configuration does not tell where admin is; name it by --admin', usage: true };
  const address = here(where);
  // Whoever listens elsewhere must not be shown the token of this configuration.
  const own = admin !== null && formatAddress(here(admin.bind)) === formatAddress(address) ? admin.token : '';
  const token = process.env['MILLRACE_ADMIN_TOKEN'] ?? own;
  const answer = await askAdmin(address, 'GET', '/v1/clusters', undefined, PATIENCE_MS, token);
  return 'fault' in answer ? { fault: answer.fault, usage: false } : (answer.body as LiveCluster[]);
}

/** What is bound to all interfaces is here too. */
function here(where: Address): Address {
  const everywhere = where.kind === 'tcp' && ['', '0.0.0.0', '::'].includes(where.host);
  return everywhere ? { ...where, host: '127.0.0.1' } : where;
}

/** The one that is bound to the port, or the only one that there is. */
function listenerOf({ listeners }: Configuration, { port, protocol }: URL): string {
  const wanted = Number(port) || (protocol === 'https:' ? 443 : 80);
  const names = Object.keys(listeners);
  const bound = names.find((name) => listeners[name]!.bind.some((address) => address.port === wanted));
  return bound ?? (names.length === 1 ? names[0]! : '');
}
