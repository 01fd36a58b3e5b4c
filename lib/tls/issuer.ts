// What makes certificates by itself, as the rest of the house sees it: the local authority is such.

import type { Identity } from './identity.ts';

export interface Issuer {
  /**
   * Begins. `issued` is told all identities that are good now, whenever they change: before this returns if some are
   * there already. Once. Failures are logged and tried again; they never end the process.
   */
  start(issued: (identities: readonly Identity[]) => void): void;
  /** Ends timers and what is under way; nothing is told any more. */
  stop(): void;
}
