// Writes the generated reference pages beside this file; `--check` only says which of them are stale (exit code 1).

import { readFileSync, writeFileSync } from 'node:fs';
import { referencePage, schemaText } from '../../lib/config/reference.ts';

const PAGES: Record<string, () => string> = {
  'configuration.md': referencePage,
  'schema.json': schemaText,
};

for (const [name, make] of Object.entries(PAGES)) {
  const file = new URL(name, import.meta.url);
  const page = make();
  if (!process.argv.includes('--check')) writeFileSync(file, page);
  else if (readFileSync(file, 'utf8') !== page) {
    process.stderr.write(`docs/reference/${name} is stale; run: make docs\n`);
    process.exitCode = 1;
  }
}
