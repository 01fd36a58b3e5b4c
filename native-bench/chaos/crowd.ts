// Clients that ask steadily over connections that they keep: two thirds GET, one third PUT, which may be repeated too.

import { Agent, request } from 'node:http';

/** What one request came to. */
export interface Answered {
  readonly atMs: number;
  /** Name of the origin, or '' for a failure. */
  readonly origin: string;
  readonly fault: string;
}

export class Crowd {
  readonly answers: Answered[] = [];
  readonly #agent: Agent;
  readonly #port: number;
  readonly #running: Promise<unknown>;
  #stopped = false;

  constructor(port: number, clients: number) {
    this.#port = port;
    this.#agent = new Agent({ keepAlive: true, maxSockets: clients });
    this.#running = Promise.all(Array.from({ length: clients }, (_, client) => this.#client(client)));
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
    this.#agent.destroy();
  }

  async #client(client: number): Promise<void> {
    for (let turn = client; !this.#stopped; turn++) {
      const { origin, fault } = await this.#ask(turn % 3 === 0);
      this.answers.push({ atMs: performance.now(), origin, fault });
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  #ask(put: boolean): Promise<{ origin: string; fault: string }> {
    return new Promise((resolve) => {
      const fail = (fault: string): void => resolve({ origin: '', fault });
      const options = {
        port: this.#port,
        host: '127.0.0.1',
        method: put ? 'PUT' : 'GET',
        agent: this.#agent,
        timeout: 10_000,
      };
      const sent = request(options, (reply) => {
        let text = '';
        reply.on('data', (piece) => (text += piece));
        reply.on('error', (error: NodeJS.ErrnoException) => fail(error.code ?? error.message));
        reply.on('end', () =>
          reply.statusCode === 200 ? resolve({ origin: text, fault: '' }) : fail(String(reply.statusCode)),
        );
      });
      sent.on('timeout', () => sent.destroy(new Error('timeout')));
      sent.on('error', (error: NodeJS.ErrnoException) => fail(error.code ?? error.message));
      sent.end(put ? 'x'.repeat(500) : undefined);
    });
  }
}
