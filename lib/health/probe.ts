// One check of one endpoint: over the same connections as traffic, with its TLS, its PROXY header and its version of HTTP,
// so that what is well for the one is well for the other.

import { dialError, type ProxyError, proxyError } from '../base/errors.ts';
import { UpstreamConnection } from '../http/h1/upstream.ts';
import type { Upstream, UpstreamUser } from '../http/upstream.ts';
import type { Connection, Receiver } from '../io/connection.ts';
import { dial } from '../io/dial.ts';
import { flush } from '../io/send.ts';
import type { Cluster } from '../upstream/cluster.ts';
import type { Endpoint } from '../upstream/endpoint.ts';
import type { HealthOptions } from '../upstream/options.ts';
import type { Fields } from '../wire/fields.ts';
import type { ResponseHead } from '../wire/http1/head.ts';
import { grpcAnswer, grpcQuestion } from './grpc.ts';

/** What a check has found: '' when all is well, else what is wrong in a few words; `ours`: the endpoint was not even asked. */
export type Found = (fault: string, ours: boolean) => void;

/** Most of a body that is looked at. */
const BODY_BYTES = 64 * 1024;

/** Checks; `found` is called once, within the timeout and some. Answers how to give it up: then `found` is never called. */
export function probe(cluster: Cluster, endpoint: Endpoint, options: HealthOptions, found: Found): () => void {
  const check =
    options.kind === 'tcp' || options.kind === 'tls'
      ? new DialProbe(cluster, endpoint, options, found)
      : new HttpProbe(cluster, endpoint, options, found);
  return () => check.cancel();
}

/** Ends once, by itself or by time. */
class Once {
  readonly #found: Found;
  readonly #timer: NodeJS.Timeout;
  over = false;

  constructor(found: Found, timeoutMs: number, late: () => void) {
    this.#found = found;
    this.#timer = setTimeout(() => {
      if (this.over) return;
      late();
      this.end('no answer in time');
      flush();
    }, timeoutMs);
    this.#timer.unref();
  }

  end(fault: string | null, ours = false): void {
    if (this.over) return;
    this.over = true;
    clearTimeout(this.#timer);
    if (fault !== null) this.#found(fault, ours);
  }
}

/** Whether a connection can be made, and secured. */
class DialProbe implements Receiver {
  readonly #cluster: Cluster;
  readonly #endpoint: Endpoint;
  readonly #secured: boolean;
  readonly #connection: Connection;
  readonly #once: Once;

  constructor(cluster: Cluster, endpoint: Endpoint, options: HealthOptions, found: Found) {
    this.#cluster = cluster;
    this.#endpoint = endpoint;
    this.#secured = options.kind === 'tls';
    this.#once = new Once(found, options.timeoutMs, () => this.#connection.destroy());
    this.#connection = dial(endpoint.address, this, cluster.options.dial);
  }

  cancel(): void {
    this.#once.end(null);
    this.#connection.destroy();
  }

  connected(): void {
    const { tls } = this.#cluster;
    if (!this.#secured || tls === null) return this.#end('');
    tls.begin(this.#connection, this.#endpoint.name, this.#endpoint.host, false, {
      secured: () => {
        this.#connection.receiver = this;
        this.#end('');
      },
      insecure: (cause) => this.#end(cause),
    });
  }

  received(): void {}
  finished(): void {}
  drained(): void {}

  closed(error: NodeJS.ErrnoException | null): void {
    this.#end(error?.code ?? 'closed', error !== null && dialError(error).kind.side === 'proxy');
  }

  expired(): void {}

  crashed(error: unknown): void {
    this.#end('internal', true);
    throw error;
  }

  #end(fault: string, ours = false): void {
    this.#once.end(fault, ours);
    this.#connection.destroy();
  }
}

/** Whether a request is answered as it should be. */
class HttpProbe implements UpstreamUser {
  readonly #options: HealthOptions;
  readonly #cluster: Cluster;
  readonly #endpoint: Endpoint;
  readonly #once: Once;
  #upstream: Upstream;
  #status = 0;
  #message = '';
  readonly #body: Buffer[] = [];
  #bodyBytes = 0;

  constructor(cluster: Cluster, endpoint: Endpoint, options: HealthOptions, found: Found) {
    this.#cluster = cluster;
    this.#endpoint = endpoint;
    this.#options = options;
    this.#once = new Once(found, options.timeoutMs, () => this.#upstream.abandon(this));
    this.#upstream = new UpstreamConnection(cluster, endpoint, this, false, null, true);
  }

  cancel(): void {
    if (this.#once.over) return;
    this.#once.end(null);
    this.#upstream.abandon(this);
  }

  connected(upstream: Upstream): void {
    this.#upstream = upstream;
    const { kind, method, path, service } = this.#options;
    const grpc = kind === 'grpc';
    upstream.begin(this, method === 'HEAD', false, grpc);
    const { host } = this.#cluster.options;
    const named = this.#options.host || (host === 'preserve' || host === 'endpoint' ? this.#endpoint.authority : host);
    const lines = grpc
      ? 'Content-Type: application/grpc\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\n'
      : // A connection of its own: whether one can be made is part of the question.
        'Connection: close\r\n';
    const head = Buffer.from(
      `${method} ${path} HTTP/1.1\r\nHost: ${named}\r\nUser-Agent: millrace-health\r\n${lines}\r\n`,
      'latin1',
    );
    upstream.sendHead(head, 0, head.length, !grpc);
    if (grpc) {
      const question = grpcQuestion(service);
      upstream.send(question, 0, question.length);
      upstream.sendEnd(Buffer.alloc(0));
    }
    upstream.requestComplete = true;
  }

  replyHead(head: ResponseHead): void {
    if (head.status < 200) return;
    this.#status = head.status;
    const field = head.fields.find(GRPC_STATUS);
    if (field >= 0) this.#message = head.fields.value(field);
  }

  replyData(bytes: Uint8Array, start: number, end: number): void {
    const length = Math.min(end - start, BODY_BYTES - this.#bodyBytes);
    if (length <= 0) return;
    this.#body.push(Buffer.from(bytes.subarray(start, start + length)));
    this.#bodyBytes += length;
  }

  replied(trailers: Fields | null): void {
    const field = trailers?.find(GRPC_STATUS) ?? -1;
    if (field >= 0) this.#message = trailers!.value(field);
    this.#once.end(this.#judge());
  }

  switched(connection: Connection): void {
    connection.destroy();
    this.#once.end('it changes to another protocol');
  }

  drained(): void {}

  failed(error: ProxyError): void {
    const fault = error.detail === '' ? error.code : `${error.code} ${error.detail}`;
    this.#once.end(fault, error.kind.side === 'proxy');
  }

  expired(): ProxyError | null {
    return proxyError('response_timeout');
  }

  #judge(): string {
    const { kind, statuses, body } = this.#options;
    if (kind === 'grpc') return grpcAnswer(this.#status, this.#message, Buffer.concat(this.#body).toString('latin1'));
    if (!statuses.some(([from, to]) => this.#status >= from && this.#status <= to)) return `status ${this.#status}`;
    return body === null || body.test(Buffer.concat(this.#body).toString()) ? '' : 'the body does not match';
  }
}

const GRPC_STATUS = Buffer.from('grpc-status');
