#!/usr/bin/env node
// The command line: finds the command, reads its arguments, runs it, and turns what it returns into the exit code. Commands
// are loaded when they are asked for, so that `version` does not pay for a proxy.

// Not by name: a Node that is too old for it is told so in words.
import * as module from 'node:module';
import { join } from 'node:path';
import { BUNDLED, ROOT, runCalled } from '../base/asset.ts';
import { didYouMean } from '../base/nearest.ts';
import { type Command, commandHelp, EXIT_FAILED, EXIT_FINE, EXIT_USAGE, readArguments, table } from './command.ts';
import { reportUsage, writeResult } from './output.ts';

/** What can be run, in the order of the help. */
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  run: async () => (await import('./run.ts')).runCommand,
  demo: async () => (await import('./demo.ts')).demoCommand,
  http: async () => (await import('./http.ts')).httpCommand,
  tcp: async () => (await import('./tcp.ts')).tcpCommand,
  check: async () => (await import('./check.ts')).checkCommand,
  explain: async () => (await import('./explain.ts')).explainCommand,
  status: async () => (await import('./status.ts')).statusCommand,
  reload: async () => (await import('./reload.ts')).reloadCommand,
  upgrade: async () => (await import('./upgrade.ts')).upgradeCommand,
  drain: async () => (await import('./drain.ts')).drainCommand,
  cert: async () => (await import('./cert.ts')).certCommand,
  bench: async () => (await import('./bench.ts')).benchCommand,
  version: async () => (await import('./version.ts')).versionCommand,
};

const SUMMARIES: readonly (readonly [string, string])[] = [
  ['run [-c FILE]', 'run a configuration'],
  ['demo', 'see a proxy at work, with nothing to prepare'],
  ['http FROM TO...', 'reverse proxy in one line'],
  ['tcp FROM TO...', 'TCP load balancer in one line'],
  ['check [-c FILE]', 'validate a configuration: every error at once'],
  ['explain [-c FILE] --url URL', 'which route, cluster and endpoint would answer, and why'],
  ['status', 'what a running proxy is doing'],
  ['reload [--plan]', 'let a running proxy read its configuration anew'],
  ['upgrade', 'let a running proxy start its successor, and end'],
  ['drain', 'let a running proxy finish what is open, and end'],
  ['cert [authority | leaf NAME...]', 'certificates for names of your own machines'],
  ['bench [SCENARIO...]', 'measure it beside nginx, HAProxy and other proxies'],
  ['version', 'print the version'],
];

const LEAST_NODE = 24;

/** Planned commands: refused by name rather than called unknown. */
const PLANNED = ['forward', 'top'];

keepCompiled();
// No await up here: the bundle in the executable is CommonJS.
if (!runCalled()) main(process.argv.slice(2)).then((code) => process.exit(code));

/** A checkout runs its TypeScript as it stands: what has been stripped and compiled once is kept, beside the packages. */
function keepCompiled(): void {
  if (BUNDLED || !import.meta.url.endsWith('.ts')) return;
  const folder = join(ROOT, 'node_modules/.cache/millrace');
  module.enableCompileCache(folder);
  // Where worker threads look for it.
  process.env['NODE_COMPILE_CACHE'] = folder;
}

async function main(args: readonly string[]): Promise<number> {
  // npm only warns of it, and what would go wrong later would not say why.
  if (Number(process.versions.node.split('.')[0]) < LEAST_NODE) {
    process.stderr.write(`millrace: needs Node ${LEAST_NODE} or newer; this is Node ${process.versions.node}\n`);
    return EXIT_FAILED;
  }
  const [name = '', ...rest] = args;
  if (name === '--help' || name === '-h' || name === 'help') return help(rest[0]);
  if (name === '--version' || name === '-v') return main(['version']);
  if (name === '') {
    process.stderr.write(overview());
    return EXIT_USAGE;
  }
  const load = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (load === undefined) return refuse(name);
  const command = await load();
  const given = readArguments(command, rest);
  if ('faults' in given) {
    reportUsage(given.faults, `millrace ${name} --help`);
    return EXIT_USAGE;
  }
  if (given.options.has('help')) {
    writeResult(commandHelp(command));
    return EXIT_FINE;
  }
  try {
    return await command.run(given);
  } catch (error) {
    process.stderr.write(`millrace: ${error instanceof Error ? error.stack : String(error)}\n`);
    return EXIT_FAILED;
  }
}

async function help(name: string | undefined): Promise<number> {
  if (name === undefined || name.startsWith('-')) writeResult(overview());
  else if (Object.hasOwn(COMMANDS, name)) writeResult(commandHelp(await COMMANDS[name]!()));
  else return refuse(name);
  return EXIT_FINE;
}

function refuse(name: string): number {
  const kind = name.startsWith('-') ? 'option' : 'command';
  const fault = PLANNED.includes(name)
    ? `"${name}" is not supported yet`
    : `unknown ${kind} "${name}"${didYouMean(name, [...Object.keys(COMMANDS), ...PLANNED])}`;
  reportUsage([fault], 'millrace --help');
  return EXIT_USAGE;
}

function overview(): string {
  return `Millrace, a layer-4 and layer-7 proxy

Usage: millrace COMMAND

${table(SUMMARIES)}
FROM and TO are :PORT, HOST:PORT, [v6]:PORT or unix:PATH.
millrace COMMAND --help tells more about each.
Exit codes: 0 fine, 1 failed while running, 2 wrong usage or configuration, 3 ended as it was told, and cut something off.
`;
}
