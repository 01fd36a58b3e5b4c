// Where endpoints come from, whatever it is: DNS, a file, a service that is asked.

import type { EndpointOptions } from '../upstream/options.ts';

/** Reads a list of endpoints as somebody wrote it; `fault` says what is wrong, and then nothing of it counts. */
export type EndpointReader = (
  text: string,
) => { readonly endpoints: readonly EndpointOptions[] } | { readonly fault: string };

export interface Source {
  /**
   * Begins; `found` is told the whole list whenever it may have changed, with what could not be found out of it, and `failed`
   * why there is none now.
   */
  start(found: (endpoints: readonly EndpointOptions[], fault?: string) => void, failed: (fault: string) => void): void;
  /** Ends timers and questions under way. */
  stop(): void;
}
