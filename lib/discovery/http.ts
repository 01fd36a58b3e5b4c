// Endpoints from a service that is asked over HTTP, with its ETag so that nothing is sent that has not changed.

import { get } from 'node:http';
import { get as secureGet } from 'node:https';
import type { EndpointOptions, HttpDiscovery } from '../upstream/options.ts';
import type { EndpointReader, Source } from './source.ts';

const TIMEOUT_MS = 5000;
const MOST_BYTES = 16 * 1024 * 1024;

export class HttpSource implements Source {
  readonly #options: HttpDiscovery;
  readonly #read: EndpointReader;
  readonly #stopping = new AbortController();
  #timer: NodeJS.Timeout | null = null;
  #etag = '';

  constructor(options: HttpDiscovery, read: EndpointReader) {
    this.#options = options;
    this.#read = read;
  }

  start(found: (endpoints: readonly EndpointOptions[]) => void, failed: (fault: string) => void): void {
    const ask = async (): Promise<void> => {
      let fault = '';
      try {
        const text = await this.#fetch();
        if (text !== null) {
          const read = this.#read(text);
          if ('fault' in read) fault = read.fault;
          else found(read.endpoints);
        }
      } catch (error) {
        fault = (error as NodeJS.ErrnoException).code ?? (error as Error).message;
      }
      if (this.#stopping.signal.aborted) return;
      if (fault !== '') failed(fault);
      this.#timer = setTimeout(ask, this.#options.everyMs);
      this.#timer.unref();
    };
    void ask();
  }

  stop(): void {
    this.#stopping.abort();
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  /** The document, null when it is the one of before. */
  #fetch(): Promise<string | null> {
    const { url } = this.#options;
    const signal = AbortSignal.any([this.#stopping.signal, AbortSignal.timeout(TIMEOUT_MS)]);
    const headers = {
      Accept: 'application/json, application/yaml',
      ...(this.#etag !== '' && { 'If-None-Match': this.#etag }),
    };
    return new Promise((resolve, reject) => {
      const sent = (url.startsWith('https:') ? secureGet : get)(url, { headers, signal, agent: false }, (reply) => {
        const parts: Buffer[] = [];
        let size = 0;
        reply.on('error', reject);
        reply.on('data', (part: Buffer) => {
          size += part.length;
          if (size > MOST_BYTES) sent.destroy(new Error(`a document of more than ${MOST_BYTES} bytes`));
          else parts.push(part);
        });
        reply.on('end', () => {
          if (reply.statusCode === 304) return resolve(null);
          if (reply.statusCode !== 200) return reject(new Error(`status ${reply.statusCode}`));
          this.#etag = reply.headers.etag ?? '';
          resolve(Buffer.concat(parts).toString());
        });
      });
      sent.on('error', reject);
    });
  }
}
