// What an answer, or the lack of one, says about trying again: causes as policies name them, Retry-After, and the methods
// that do no harm when they are repeated.

import { type ProxyError, proxyError } from '../base/errors.ts';
import type { RetryCause } from '../base/retries.ts';
import { parseHttpDate } from '../wire/date.ts';
import type { ResponseHead } from '../wire/http1/head.ts';
import { Method } from '../wire/http1/method.ts';

/** A status that is to be tried again, as if it had been a failure. */
export function badStatus(status: number): ProxyError {
  return proxyError('bad_response', String(status));
}

/** As what a failure counts for the policy. */
export function causeOf({ code }: ProxyError): RetryCause | null {
  switch (code) {
    case 'origin_closed':
    case 'response_cut':
      return 'reset';
    case 'stream_refused':
      return 'refused';
    case 'response_timeout':
      return 'timeout';
    case 'connect_refused':
    case 'connect_failed':
    case 'connect_timeout':
    case 'tls_failed':
      return 'connect';
    default:
      return null;
  }
}

const RETRY_AFTER = Buffer.from('retry-after');

/** Retry-After, seconds or a date (RFC 9110 10.2.3), as ms from `nowMs`, which counts from 1970; 0 without one. */
export function retryAfterMs({ fields }: ResponseHead, nowMs: number): number {
  const field = fields.find(RETRY_AFTER);
  const value = field < 0 ? '' : fields.value(field);
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1000;
  const untilMs = value === '' ? Number.NaN : parseHttpDate(value, nowMs);
  return untilMs > nowMs ? untilMs - nowMs : 0;
}

/** Methods that may be repeated (RFC 9110 9.2.2), as far as we know them. */
export function isIdempotent(method: number): boolean {
  return (
    method === Method.GET ||
    method === Method.HEAD ||
    method === Method.PUT ||
    method === Method.DELETE ||
    method === Method.OPTIONS ||
    method === Method.TRACE
  );
}
