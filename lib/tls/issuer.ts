// What makes certificates by itself, as the rest of the house sees it: the local authority and ACME are such.

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
   * A client asks for a name (lower case) that none of the identities holds for. False: it never gets one. True: one
   * may come; the promise ends when the identities have been told, or when it has become clear that it does not come.
   */
  demand(serverName: string): false | Promise<void>;
  /** The identity that answers a TLS-ALPN-01 validation (RFC 8737) of this name now, null where there is none. */
  challenge(serverName: string): Identity | null;
  /** The key authorization that answers an HTTP-01 validation (RFC 8555 8.3) of this token now, null where none is. */
  authorization(token: string): string | null;
}
