// Who waits for a dial that another began hears of what became of it, whatever the others do.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { proxyError } from '../../lib/base/errors.ts';
import { Gathering, type Guest } from '../../lib/http/gathering.ts';
import { Pool } from '../../lib/upstream/pool.ts';

/** Four that wait, of whom the second and the third throw at what they are told, and the third at hearing of that. */
function gather() {
  const heard: string[] = [];
  const gathering = new Gathering(new Pool(1, 0));
  for (const name of ['a', 'b', 'c', 'd']) {
    const hear = (what: string) => {
      heard.push(`${name} ${what}`);
      if ((name === 'b' && what !== 'internal') || name === 'c') throw new Error(name);
    };
    const guest = { anew: () => hear('anew'), failed: ({ code }: { code: string }) => hear(code) };
    gathering.join(guest as Partial<Guest> as Guest);
  }
  return { gathering, heard };
}

test('one that throws keeps the news of a failure from nobody, and is told of its own', () => {
  const { gathering, heard } = gather();
  assert.throws(() => gathering.failed(proxyError('connect_refused')), /^Error: c$/);
  assert.deepEqual(heard, [
    ...['a connect_refused', 'b connect_refused', 'b internal'],
    ...['c connect_refused', 'c internal', 'd connect_refused'],
  ]);
  assert.equal(gathering.next(), null);
});

test('nor the news that another connection is needed', () => {
  const { gathering, heard } = gather();
  assert.throws(() => gathering.dissolve(), /^Error: c$/);
  assert.deepEqual(heard, ['a anew', 'b anew', 'b internal', 'c anew', 'c internal', 'd anew']);
});
