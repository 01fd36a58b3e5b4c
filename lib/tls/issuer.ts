// What makes certificates by itself, as the rest of the house sees it: the local authority is one, ACME another.

import type { Identity } from './identity.ts';

export interface Issuer {
  /**
   * Begins. `issued` is told all identities that are good now, whenever they change: before this returns if some are
   * there already. Once. Failures are logged and tried again; they never end the process.
   */
  start(issued: (identities: readonly Identity[]) => void): void;
  /** Ends timers and what is under way; nothing is told any more. */
  stop(): void;
  /**
   * A client asks for a name that nothing is there for. Answers whether it is worth waiting: then `done` is called once,
   * later, after `issued`. Not there: names are never made on demand.
   */
  demand?(name: string, done: (found: boolean) => void): boolean;
  /** What an authority that comes with `acme-tls/1` (RFC 8737) is shown for this name, null for nothing. */
  proof?(name: string): Identity | null;
}
