// Certificates of the local authority for one listener: leaves for the names that are configured, held in memory alone and
// made anew in time.

import type { Log } from '../base/log.ts';
import { issueLeaf, openAuthority } from './authority.ts';
import { type Identity, readIdentity } from './identity.ts';
import type { Issuer } from './issuer.ts';
import type { LocalCertificate } from './options.ts';

/** Leaves last 90 days; this leaves plenty of time. */
const RENEW_MS = 24 * 24 * 60 * 60 * 1000;
/** After a failure, as when the folder cannot be written. */
const AGAIN_MS = 60 * 1000;

export class LocalIssuer implements Issuer {
  readonly #options: LocalCertificate;
  readonly #log: Log;
  #timer: NodeJS.Timeout | null = null;

  constructor(options: LocalCertificate, log: Log) {
    this.#options = options;
    this.#log = log;
  }

  start(issued: (identities: readonly Identity[]) => void): void {
    let next = RENEW_MS;
    try {
      issued([this.#make()]);
    } catch (error) {
      next = AGAIN_MS;
      this.#log.error('local certificate not made', {
        names: this.#options.names.join(' '),
        fault: (error as Error).message,
      });
    }
    this.#timer = setTimeout(() => this.start(issued), next);
    this.#timer.unref();
  }

  async stop(): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  /** One leaf for all names: whoever trusts the authority trusts it for each of them. */
  #make(): Identity {
    const authority = openAuthority(this.#options.folder);
    const { cert, key } = issueLeaf(authority, this.#options.names);
    const identity = readIdentity(cert, key);
    if ('fault' in identity) throw new Error(identity.fault);
    return identity;
  }
}
