// The admin API: which path and method means what, as values in and out. What an endpoint looks like is said by the
// configuration's own schema, which whoever makes the API hands in.

import { formatAddress } from '../base/address.ts';
import type { EndpointOptions } from '../upstream/options.ts';
import type { Control, Refusal } from './control.ts';

export interface Reply {
  readonly status: number;
  readonly body: unknown;
}

/** Reads an endpoint as a configuration has it. */
export type ReadEndpoint = (value: unknown) => { readonly endpoint: EndpointOptions } | { readonly fault: string };

type Handler = (body: unknown, names: readonly string[]) => Promise<Reply>;

interface Resource {
  readonly path: RegExp;
  readonly methods: Readonly<Record<string, Handler>>;
}

export class Api {
  readonly #control: Control;
  readonly #readEndpoint: ReadEndpoint;
  readonly #resources: readonly Resource[];

  constructor(control: Control, readEndpoint: ReadEndpoint) {
    this.#control = control;
    this.#readEndpoint = readEndpoint;
    this.#resources = [
      { path: /^\/v1\/status$/, methods: { GET: async () => fine(await control.status()) } },
      { path: /^\/v1\/ready$/, methods: { GET: async () => this.#ready() } },
      { path: /^\/v1\/reload$/, methods: { POST: (body) => this.#reload(body) } },
      { path: /^\/v1\/upgrade$/, methods: { POST: () => this.#upgrade() } },
      { path: /^\/v1\/drain$/, methods: { POST: async () => this.#drain() } },
      { path: /^\/v1\/clusters$/, methods: { GET: async () => fine(await control.clusters()) } },
      { path: /^\/v1\/clusters\/([^/]+)$/, methods: { GET: (_, [name = '']) => this.#cluster(name) } },
      {
        path: /^\/v1\/clusters\/([^/]+)\/endpoints$/,
        methods: { POST: (body, [cluster = '']) => this.#add(cluster, body) },
      },
      {
        path: /^\/v1\/clusters\/([^/]+)\/endpoints\/([^/]+)$/,
        methods: {
          PATCH: (body, [cluster = '', name = '']) => this.#set(cluster, name, body),
          DELETE: (_, [cluster = '', name = '']) => this.#remove(cluster, name),
        },
      },
    ];
  }

  /** Answers a request for `path`, without its query; `body` as parsed. */
  async answer(method: string, path: string, body: unknown): Promise<Reply> {
    for (const resource of this.#resources) {
      const found = resource.path.exec(path);
      if (found === null) continue;
      const handler = Object.hasOwn(resource.methods, method) ? resource.methods[method] : undefined;
      if (handler === undefined) {
        return refused(405, `${method} means nothing here; ${Object.keys(resource.methods).join(' and ')} do`);
      }
      try {
        return await handler(body, found.slice(1).map(decodeURIComponent));
      } catch (error) {
        if (error instanceof URIError) return refused(400, 'the path is not well encoded');
        throw error;
      }
    }
    return refused(404, 'there is nothing of this path; see /v1/status and /v1/clusters');
  }

  #ready(): Reply {
    return this.#control.ready ? fine({ ready: true }) : { status: 503, body: { ready: false } };
  }

  async #reload(body: unknown): Promise<Reply> {
    const { plan = false, ...rest } = (body ?? {}) as { plan?: unknown };
    if (typeof plan !== 'boolean' || Object.keys(rest).length > 0) return refused(422, 'may have plan, true or false');
    const result = await this.#control.reload(plan);
    if ('fault' in result) return told(result);
    return { status: result.errors.length > 0 ? 422 : 200, body: result };
  }

  async #upgrade(): Promise<Reply> {
    const result = await this.#control.upgrade();
    return 'fault' in result ? told(result) : fine(result);
  }

  #drain(): Reply {
    return this.#control.drain()
      ? { status: 202, body: { state: 'draining' } }
      : refused(409, 'it is draining already');
  }

  async #cluster(name: string): Promise<Reply> {
    const clusters = await this.#control.clusters();
    const found = clusters.find((cluster) => cluster.name === name);
    return found === undefined ? refused(404, `there is no cluster "${name}"`) : fine(found);
  }

  async #add(cluster: string, body: unknown): Promise<Reply> {
    const read = this.#readEndpoint(body);
    if ('fault' in read) return refused(422, read.fault);
    const refusal = await this.#control.change(cluster, { kind: 'add', endpoint: read.endpoint });
    return refusal === null ? this.#endpoint(cluster, formatAddress(read.endpoint.address), 201) : told(refusal);
  }

  async #set(cluster: string, name: string, body: unknown): Promise<Reply> {
    const fault = faultOf(body);
    if (fault !== '') return refused(422, fault);
    const { weight, draining } = body as { weight?: number; draining?: boolean };
    const change = { ...(weight !== undefined && { weight }), ...(draining !== undefined && { draining }) };
    const refusal = await this.#control.change(cluster, { kind: 'set', name, ...change });
    return refusal === null ? this.#endpoint(cluster, name, 200) : told(refusal);
  }

  async #remove(cluster: string, name: string): Promise<Reply> {
    const refusal = await this.#control.change(cluster, { kind: 'remove', name });
    return refusal === null ? { status: 200, body: { removed: name } } : told(refusal);
  }

  async #endpoint(cluster: string, name: string, status: number): Promise<Reply> {
    const found = (await this.#control.clusters()).find((one) => one.name === cluster);
    return { status, body: found?.endpoints.find(({ address }) => address === name) ?? {} };
  }
}

/** What is wrong with a change of an endpoint, '' for nothing. */
function faultOf(body: unknown): string {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return 'must be an object';
  const unknown = Object.keys(body).find((key) => key !== 'weight' && key !== 'draining');
  if (unknown !== undefined) return `"${unknown}" cannot be changed; weight and draining can`;
  const { weight, draining } = body as Record<string, unknown>;
  if (weight === undefined && draining === undefined) return 'must have weight or draining';
  if (weight !== undefined && !(Number.isInteger(weight) && Number(weight) >= 1 && Number(weight) <= 256)) {
    return 'weight must be a whole number from 1 to 256';
  }
  return draining === undefined || typeof draining === 'boolean' ? '' : 'draining must be true or false';
}

function fine(body: unknown): Reply {
  return { status: 200, body };
}

function told({ status, fault }: Refusal): Reply {
  return refused(status, fault);
}

/** An answer that says why not. */
export function refused(status: number, fault: string): Reply {
  return { status, body: { error: fault } };
}
