// How failures look to clients that speak gRPC: a reply that consists of its head alone, with the status in a field
// (gRPC over HTTP/2, "Responses"; HTTP to gRPC status code mapping).

import { STATUS_CODES } from 'node:http';
import type { ProxyError } from '../../base/errors.ts';
import type { RequestHead } from '../../wire/http1/head.ts';
import { Method } from '../../wire/http1/method.ts';
import { composeReply, type LocalReply } from '../local-reply.ts';

const CONTENT_TYPE = Buffer.from('content-type');
const GRPC = 'application/grpc';

const INTERNAL = 13;
const UNKNOWN = 2;
/** By HTTP status; what is not listed is unknown. */
const CODES: Readonly<Record<number, number>> = {
  400: INTERNAL,
  401: 16,
  403: 7,
  404: 12,
  408: 4,
  413: 8,
  421: 14,
  429: 14,
  431: 8,
  502: 14,
  503: 14,
  504: 14,
};

/** Whether a request is a call of gRPC. */
export function asksForGrpc(head: RequestHead): boolean {
  if (head.method !== Method.POST || !head.takesTrailers) return false;
  const field = head.fields.find(CONTENT_TYPE);
  if (field < 0) return false;
  const start = head.fields.valueStart(field);
  return head.fields.bytes.toString('latin1', start, start + GRPC.length) === GRPC;
}

/** What a client of gRPC is told about a failure. */
export function grpcReply(error: ProxyError, id: string): LocalReply {
  const { status, text } = error.kind;
  const { head, body } = composeReply(
    200,
    {
      'Content-Type': GRPC,
      'grpc-status': String(CODES[status] ?? UNKNOWN),
      // Percent-encoding is for what is not printable ASCII; these are.
      'grpc-message': `${status} ${STATUS_CODES[status] ?? ''}: ${text}`,
      'X-Request-Id': id,
    },
    '',
  );
  return { head, body };
}
