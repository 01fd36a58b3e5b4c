// The document that people write, as one schema: what is known, of which type, with which default and meaning. The reference
// pages, the JSON Schema for editors and the type of `defineConfig` all come from here. References between parts: check.ts.

import * as z from 'zod';
import { LOG_LEVELS } from '../base/log.ts';
import { MOST_LOOPS } from '../server/crowd.ts';
import { cluster } from './schema/cluster.ts';
import { listener } from './schema/listener.ts';
import { address, choice, duration, section, size, text } from './schema/values.ts';

const log = section(
  {
    level: choice(LOG_LEVELS)
      .prefault('info')
      .describe('The least that is written: `debug`, `info`, `warn` or `error`.'),
  },
  ['access'],
);

const admin = section({
  bind: address(false)
    .prefault('127.0.0.1:9901')
    .describe('Where it listens. Elsewhere than on a loopback address or a unix socket it needs a token.'),
  token: text('secret', (value) =>
    /^[\x21-\x7e]{16,256}$/.test(value) ? '' : 'must have 16 to 256 characters, no spaces',
  )
    .optional()
    .describe(
      'What callers must show (`Authorization: Bearer TOKEN`); better taken from the environment than written here.',
    ),
});

/** Of either alternative the same words, since nobody can tell which was meant. */
const countFault = { error: () => `must be auto or a whole number from 0 to ${MOST_LOOPS}` };

export const documentSchema = section(
  {
    workers: z
      .union([z.literal('auto', countFault), z.int(countFault).min(0, countFault).max(MOST_LOOPS, countFault)])
      .prefault('auto')
      .describe('Event loops, each in a thread of its own: `auto` for one per core, 0 for none but the main thread.'),
    workerMemory: size({ min: 64 * 1024 * 1024 })
      .prefault('1GiB')
      .describe('How large the heap of JavaScript of one event loop gets before it is replaced.'),
    log: log.prefault({}).describe('What is written to standard error.'),
    drainTimeout: duration()
      .prefault('30s')
      .describe('How long open connections get to finish when the proxy is asked to stop.'),
    drainDelay: duration()
      .prefault('0s')
      .describe(
        'How long the proxy is not ready, and accepts all the same, before it drains: what others need to notice.',
      ),
    admin: admin.optional().describe('The admin API: status, drain and changes of endpoints while it runs.'),
    listeners: z.record(z.string(), listener).describe('Where connections are accepted, by name.'),
    clusters: z.record(z.string(), cluster).prefault({}).describe('Where they are sent, by name.'),
  },
  [],
);

/** What people write. */
export type ConfigurationDocument = z.input<typeof documentSchema>;

/** The same with defaults filled in and units gone. */
export type CheckedDocument = z.output<typeof documentSchema>;

/** Gives the document of a `millrace.config.ts` its types; returns it unchanged. */
export function defineConfig(document: ConfigurationDocument): ConfigurationDocument {
  return document;
}
