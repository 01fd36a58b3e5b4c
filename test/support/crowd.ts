// Clients that ask steadily over connections that they keep, and count what goes wrong.

import { Agent, request } from 'node:http';
import type { TestContext } from 'node:test';
import { PATIENCE_MS } from './wait.ts';

export interface CrowdOptions {
  readonly clients: number;
  /** What the i-th request is. */
  readonly ask?: (i: number) => { readonly method?: string; readonly path?: string; readonly body?: string };
}

export class Crowd {
  /** Requests that were answered as they should be, by the body of the answer. */
  readonly answers = new Map<string, number>();
  /** What went wrong, in words. */
  readonly faults: string[] = [];
  #asked = 0;
  #stopped = false;
  readonly #agent: Agent;
  readonly #running: Promise<unknown>;

  /** Ends with the test, if not before. */
  constructor(t: TestContext, port: number, { clients, ask = () => ({}) }: CrowdOptions) {
    this.#agent = new Agent({ keepAlive: true, maxSockets: clients });
    t.after(() => {
      this.#stopped = true;
      this.#agent.destroy();
    });
    this.#running = Promise.all(Array.from({ length: clients }, () => this.#client(port, ask)));
  }

  get asked(): number {
    return this.#asked;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
    this.#agent.destroy();
  }

  async #client(port: number, ask: NonNullable<CrowdOptions['ask']>): Promise<void> {
    while (!this.#stopped) {
      const { method = 'GET', path = '/', body = '' } = ask(this.#asked++);
      const answer = await this.#ask(port, method, path, body);
      if (answer.startsWith('fault')) this.faults.push(`${method} ${path}: ${answer}`);
      else this.answers.set(answer, (this.answers.get(answer) ?? 0) + 1);
      // Not as fast as can be: tests run beside each other.
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  #ask(port: number, method: string, path: string, body: string): Promise<string> {
    return new Promise((resolve) => {
      const sent = request(
        { port, host: '127.0.0.1', method, path, agent: this.#agent, timeout: PATIENCE_MS },
        (reply) => {
          let text = '';
          reply.on('data', (piece) => (text += piece));
          reply.on('error', (error) => resolve(`fault ${error.message}`));
          reply.on('end', () => resolve(reply.statusCode === 200 ? text : `fault ${reply.statusCode} ${text}`));
        },
      );
      sent.on('timeout', () => sent.destroy(new Error('no answer')));
      sent.on('error', (error) => resolve(`fault ${error.message}`));
      sent.end(body);
    });
  }
}
