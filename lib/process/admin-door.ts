// The admin listener of the process, and how it goes from one address to another with a configuration.

import { Api } from '../admin/api.ts';
import type { Control } from '../admin/control.ts';
import { AdminServer } from '../admin/server.ts';
import { formatAddress } from '../base/address.ts';
import type { Log } from '../base/log.ts';
import type { AdminOptions } from '../config/configuration.ts';
import { readEndpoint } from '../config/endpoint-list.ts';
import type { StartFault } from '../server/server.ts';
import { type Addresses, adminKey, isSameAddress } from './addresses.ts';
import type { HandedSocket } from './successor.ts';

/** What a configuration is to have; null for none. */
export type NextAdmin = AdminServer | null;

export class AdminDoor {
  readonly #api: Api;
  readonly #log: Log;
  readonly #addresses: Addresses;
  #server: AdminServer | null = null;
  #options: AdminOptions | null = null;

  constructor(control: Control, log: Log, addresses: Addresses) {
    this.#api = new Api(control, readEndpoint);
    this.#log = log;
    this.#addresses = addresses;
  }

  /** As bound, '' without one. */
  get address(): string {
    return this.#server === null ? '' : formatAddress(this.#server.bound);
  }

  /** Binds what `options` say, unless that has to wait for `move`. */
  async prepare(options: AdminOptions | null): Promise<NextAdmin | StartFault> {
    if (options === null || this.#moves(options)) return null;
    return this.#stays(options) ? this.#server : this.#start(options);
  }

  /**
   * To be asked last, with what `prepare` has answered: leaves the address before where that is in the way of the other, and
   * comes back to it when that one cannot be had.
   */
  async move(options: AdminOptions | null, next: NextAdmin): Promise<NextAdmin | StartFault> {
    const before = this.#options;
    if (options === null || before === null || !this.#moves(options)) return next;
    this.#server?.stop();
    const moved = await this.#start(options);
    if (moved instanceof AdminServer) return moved;
    const back = await this.#start(before);
    if (back instanceof AdminServer) this.#admit(back, before);
    this.#server = back instanceof AdminServer ? back : null;
    if ('fault' in back) this.#log.error('the admin listener is lost', { fault: back.fault });
    return moved;
  }

  /** What was prepared holds: who may call is answered. */
  commit(next: NextAdmin, options: AdminOptions | null): void {
    if (next !== this.#server) this.#server?.stop();
    if (options !== null && next !== null) this.#admit(next, options);
    this.#server = next;
    this.#options = options;
  }

  /** What was prepared will not be. */
  abort(next: NextAdmin): void {
    if (next !== this.#server) next?.stop();
  }

  /** Its socket, for a successor. */
  get sockets(): readonly HandedSocket[] {
    if (this.#server === null) return [];
    const { bind, bound, descriptor } = this.#server;
    return [{ key: adminKey(bind), address: bound, descriptor }];
  }

  /** Whoever asks from now on is answered by the successor. */
  handOver(): void {
    this.#server?.handOver();
    this.#server?.stop();
    this.#server = null;
  }

  stop(): void {
    this.#server?.stop();
  }

  #admit(server: AdminServer, options: AdminOptions): void {
    server.admit(options);
    if (server !== this.#server) this.#log.info('admin API', { address: formatAddress(server.bound) });
  }

  #stays(options: AdminOptions): boolean {
    return this.#server !== null && this.#options !== null && isSameAddress(this.#options.bind, options.bind);
  }

  /** Whether it goes to another host on its port, where it may be in its own way. */
  #moves({ bind }: AdminOptions): boolean {
    const now = this.#server === null ? null : this.#options;
    if (now === null || isSameAddress(now.bind, bind)) return false;
    return now.bind.kind === 'tcp' && bind.kind === 'tcp' && now.bind.port === bind.port;
  }

  async #start(options: AdminOptions): Promise<AdminServer | StartFault> {
    const inherited = this.#addresses.takeAdmin(options.bind);
    return AdminServer.start(options, this.#api, this.#log, inherited);
  }
}
