// `millrace run` of a document that a test replaces, for reloads and upgrades.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { type Millrace, startMillrace, temporaryFolder } from './process.ts';

export interface Configured {
  readonly proxy: Millrace;
  /** Writes another document, which holds with the next reload. */
  configure(document: string): void;
}

/** Ends with the test. `args` go behind the document. */
export function startConfigured(t: TestContext, document: string, args: readonly string[] = []): Configured {
  const file = join(temporaryFolder(t), 'millrace.yaml');
  const configure = (text: string): void => writeFileSync(file, text);
  configure(document);
  return { proxy: startMillrace(t, ['run', '-c', file, ...args]), configure };
}
