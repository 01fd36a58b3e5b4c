// What is tried again when an endpoint fails: a cluster says it, and a route may say otherwise.

export type RetryCause = 'connect' | 'reset' | 'refused' | 'timeout';

export interface RetryOptions {
  /** Tries after the first; 0: none. */
  readonly attempts: number;
  readonly on: ReadonlySet<RetryCause>;
  readonly statuses: ReadonlySet<number>;
  /** Also requests that may change something each time they are sent. */
  readonly unsafe: boolean;
  /** Retries that each request allows on average, 0 to 1. */
  readonly budget: number;
  /** How long one try may take until the head of its reply, 0 for the response timeout alone. */
  readonly eachMs: number;
  /** After this time without an answer a read is sent to another endpoint as well; 0: never. */
  readonly hedgeMs: number;
  readonly backoffMs: number;
  readonly longestBackoffMs: number;
}
