// What makes certificates by itself, as the rest of the house sees it: the local authority is one, ACME another.

import type { Identity } from './identity.ts';

/** What event loops say to each other of certificates that are ordered. Plain values. */
export interface CertificateNews {
  readonly kind: 'certificate';
  /** A client asks for it; it lies in the folder now; it is not to be had for `forMs`. */
  readonly word: 'wanted' | 'issued' | 'refused';
  readonly names: readonly string[];
  readonly forMs: number;
}

/** Of several event loops one orders, and the others tell it what they want and hear what it got. */
export interface Ordering {
  readonly orders: boolean;
  say(news: CertificateNews): void;
}

/** Who is alone orders, and has nobody to tell. */
export const ALONE: Ordering = { orders: true, say() {} };

export interface Issuer {
  /**
   * Begins. `issued` is told all identities that are good now, whenever they change: before this returns if some are
   * there already. Once. Failures are logged and tried again; they never end the process.
   */
  start(issued: (identities: readonly Identity[]) => void): void;
  /**
   * Ends timers and what is under way; nothing is told any more. Resolves once that has tidied up behind it: locks, answers to
   * challenges. Who ends the thread before leaves them behind.
   */
  stop(): Promise<void>;
  /**
   * A client asks for a name that nothing is there for. Answers whether it is worth waiting: then `done` is called once,
   * later, after `issued`. Not there: names are never made on demand.
   */
  demand?(name: string, done: (found: boolean) => void): boolean;
  /** Another event loop has said something. */
  hear?(news: CertificateNews): void;
  /** What an authority that comes with `acme-tls/1` (RFC 8737) is shown for this name, null for nothing. */
  proof?(name: string): Identity | null;
}
