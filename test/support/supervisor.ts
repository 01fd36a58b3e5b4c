// A supervised proxy inside the test's process, whose document a test changes and reloads.

import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import type { ReloadResult } from '../../lib/admin/control.ts';
import { createLog } from '../../lib/base/log.ts';
import { readConfiguration } from '../../lib/config/read.ts';
import { Supervisor } from '../../lib/process/supervisor.ts';

export interface Supervised {
  readonly supervisor: Supervisor;
  readonly log: Record<string, unknown>[];
  port(listener: string): number;
  /** Goes over to another document, which must succeed. */
  reload(document: string): Promise<ReloadResult>;
  /** Tries to. */
  tryReload(document: string, plan?: boolean): ReturnType<Supervisor['reload']>;
}

/** Starts from a YAML document, with event loops in threads only where it says so; stopped when the test ends. */
export async function supervise(t: TestContext, document: string): Promise<Supervised> {
  let text = document;
  const read = () => Promise.resolve(readConfiguration(withWorkers(text), 'test.yaml'));
  const log: Record<string, unknown>[] = [];
  const writer = createLog({
    level: 'debug',
    format: 'json',
    colours: false,
    write: (line) => log.push(JSON.parse(line)),
    now: Date.now,
  });
  const first = await read();
  assert.ok('configuration' in first, JSON.stringify(first));
  const supervisor = await Supervisor.start(first.configuration, writer, { read });
  assert.ok(supervisor instanceof Supervisor, JSON.stringify(supervisor));
  t.after(() => {
    supervisor.stop();
    return supervisor.ended;
  });
  const tryReload = (next: string, plan = false): ReturnType<Supervisor['reload']> => {
    text = next;
    return supervisor.reload(plan);
  };
  return {
    supervisor,
    log,
    port(listener) {
      const found = supervisor.addresses.find((entry) => entry.listener === listener);
      assert.ok(found !== undefined, `no listener ${listener}`);
      return Number(found.address.slice(found.address.lastIndexOf(':') + 1));
    },
    async reload(next) {
      const result = await tryReload(next);
      assert.ok('errors' in result && result.errors.length === 0, JSON.stringify(result));
      return result;
    },
    tryReload,
  };
}

function withWorkers(document: string): string {
  return /^workers:/m.test(document) ? document : `workers: 0\n${document}`;
}
