// The proxy inside another program: the same server that `millrace run` starts, from a document that is a value.

import { EventEmitter, once } from 'node:events';
import type { ClusterStatus, Status } from '../admin/control.ts';
import { disabledLevel, type LogFields, type LogLevel, relayLog } from '../base/log.ts';
import type { Configuration } from '../config/configuration.ts';
import { type ConfigError, formatConfigError } from '../config/error.ts';
import { checkConfiguration } from '../config/read.ts';
import type { ConfigurationDocument } from '../config/schema.ts';
import { Supervisor } from './supervisor.ts';

export interface ProxyOptions {
  /** Gets what the proxy has to say; without it nobody does. Must not throw. */
  readonly log?: (level: LogLevel, message: string, fields: LogFields) => void;
  /** Folder that files in the document are named from; by default the working directory. */
  readonly folder?: string;
}

export interface ProxyEvents {
  /** Another configuration has taken effect: 2 is the first to be heard of, since `createProxy` answers once 1 has. */
  configured: [generation: number];
  draining: [];
  /** Nothing is open any more; `cut`: something did not finish in time. */
  ended: [ending: 'drained' | 'cut' | 'stopped' | 'failed'];
}

/** A document is not valid: `errors` has everything that is wrong with it. */
export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError';
  readonly errors: readonly ConfigError[];

  constructor(errors: readonly ConfigError[]) {
    super(errors.map(formatConfigError).join('\n'));
    this.errors = errors;
  }
}

/** A proxy that serves until it is drained or stopped. */
export class RunningProxy extends EventEmitter<ProxyEvents> {
  readonly #supervisor: Supervisor;
  readonly #folder: string;

  /** For `createProxy` alone. */
  constructor(supervisor: Supervisor, folder: string) {
    super();
    this.#supervisor = supervisor;
    this.#folder = folder;
    supervisor.on('configured', (generation) => this.emit('configured', generation));
    supervisor.on('draining', () => this.emit('draining'));
    supervisor.on('ended', (ending) => this.emit('ended', ending));
  }

  /** Addresses as bound, which for port 0 tells the port. */
  get addresses(): readonly { readonly listener: string; readonly address: string }[] {
    return this.#supervisor.addresses;
  }

  /** What it is doing: listeners, event loops, connections. */
  status(): Promise<Status> {
    return this.#supervisor.status();
  }

  /** What its clusters are doing, endpoint by endpoint. */
  clusters(): Promise<readonly ClusterStatus[]> {
    return this.#supervisor.clusters();
  }

  /**
   * Goes over to another document without dropping anything.
   * @throws ConfigurationError when it is not valid, Error when an address cannot be bound; then nothing has changed.
   */
  async reload(document: ConfigurationDocument): Promise<void> {
    const fault = await this.#supervisor.configure(configurationOf(document, this.#folder));
    if (fault !== '') throw new Error(fault);
  }

  /** Accepts nothing more and resolves once what is open has finished, or `drainTimeout` has passed. */
  async drain(): Promise<'drained' | 'cut' | 'stopped' | 'failed'> {
    this.#supervisor.drain();
    return this.#supervisor.ended;
  }

  /** Breaks off what is open. */
  async stop(): Promise<void> {
    const ended = once(this, 'ended');
    this.#supervisor.stop();
    await Promise.race([ended, this.#supervisor.ended]);
  }
}

/**
 * Starts a proxy. `workers: 0` in the document keeps it in this thread; otherwise its event loops have threads of their
 * own. It handles no signals and writes nothing.
 * @throws ConfigurationError when the document is not valid, Error when an address cannot be bound.
 */
export async function createProxy(document: ConfigurationDocument, options: ProxyOptions = {}): Promise<RunningProxy> {
  const { log: tell, folder = process.cwd() } = options;
  const configuration = configurationOf(document, folder);
  const log =
    tell === undefined
      ? SILENT
      : relayLog(configuration.log.level, (level, message, fields) => tell(level, message, fields ?? {}), Date.now);
  const supervisor = await Supervisor.start(configuration, log);
  if (!(supervisor instanceof Supervisor)) throw new Error(supervisor.fault);
  return new RunningProxy(supervisor, folder);
}

const SILENT_LEVELS = { debug: disabledLevel, info: disabledLevel, warn: disabledLevel, error: disabledLevel };
const SILENT = { ...SILENT_LEVELS, limited: () => SILENT_LEVELS };

function configurationOf(document: ConfigurationDocument, folder: string): Configuration {
  const read = checkConfiguration(document, `${folder}/configuration`);
  if ('errors' in read) throw new ConfigurationError(read.errors);
  return read.configuration;
}
