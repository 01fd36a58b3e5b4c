// The whole proxy inside the test's process, from a configuration document to sockets on free ports.

import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { createLog } from '../../lib/base/log.ts';
import { buildSnapshot } from '../../lib/config/build.ts';
import { keepersOf } from '../../lib/config/keepers.ts';
import { readConfiguration } from '../../lib/config/read.ts';
import { Server } from '../../lib/server/server.ts';
import type { Snapshot } from '../../lib/server/snapshot.ts';

export interface TestProxy {
  readonly server: Server;
  readonly snapshot: Snapshot;
  /** Lines of the log so far, parsed. */
  readonly log: Record<string, unknown>[];
  /** The port that a listener got, its first address by default. */
  port(listener: string): number;
}

/** Starts the proxy from a YAML document; bind to `127.0.0.1:0`. Closed when the test ends. */
export async function startProxy(t: TestContext, document: string): Promise<TestProxy> {
  const read = await readConfiguration(document, 'test.yaml');
  assert.ok('configuration' in read, JSON.stringify(read));
  const log: Record<string, unknown>[] = [];
  const writer = createLog({
    level: 'debug',
    format: 'json',
    colours: false,
    write: (line) => log.push(JSON.parse(line)),
    now: Date.now,
  });
  const snapshot = buildSnapshot(read.configuration, writer, { keepers: keepersOf });
  const server = await Server.start(snapshot, writer);
  assert.ok(server instanceof Server, JSON.stringify(server));
  t.after(() => server.close());
  return {
    server,
    snapshot,
    log,
    port(listener) {
      const found = server.addresses.find((entry) => entry.listener === listener);
      assert.ok(found !== undefined, `no listener ${listener}`);
      return Number(found.address.slice(found.address.lastIndexOf(':') + 1));
    },
  };
}

/** A document with one HTTP listener `web` and one cluster `api` of these endpoints; `more` goes into the cluster. */
export function httpTo(endpoints: readonly string[], listener = '', cluster = ''): string {
  return `
log: { level: debug }
listeners:
  web:
    bind: 127.0.0.1:0
    routes: [{ cluster: api }]
${indent(listener)}
clusters:
  api:
    endpoints: [${endpoints.map((endpoint) => JSON.stringify(endpoint)).join(', ')}]
${indent(cluster)}
`;
}

/** A document with one TCP listener `raw` and one cluster `api`. */
export function tcpTo(endpoints: readonly string[], listener = '', cluster = ''): string {
  return `
listeners:
  raw:
    bind: 127.0.0.1:0
    protocol: tcp
    cluster: api
${indent(listener)}
clusters:
  api:
    endpoints: [${endpoints.map((endpoint) => JSON.stringify(endpoint)).join(', ')}]
${indent(cluster)}
`;
}

function indent(lines: string): string {
  return lines.replace(/^/gm, '    ');
}
