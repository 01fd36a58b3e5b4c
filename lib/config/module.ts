// Imports a configuration that is a module. It may import 'millrace' for the types of `defineConfig` wherever it stands, also
// where no such package is installed: beside the executable, or below /etc.

import { registerHooks } from 'node:module';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

/** Imports so far: each is of another address, since a module is read but once. */
let imports = 0;

/**
 * The default export of a module, read anew each time; what it imports itself is read once. Undefined when it has none.
 * Rejects with what the module throws.
 */
export async function importDocument(file: string): Promise<unknown> {
  const hooks = registerHooks({
    resolve(specifier, context, next) {
      if (specifier !== PACKAGE) return next(specifier, context);
      try {
        return next(specifier, context);
      } catch {
        return { url: STAND_IN, format: 'module', shortCircuit: true };
      }
    },
    load: (url, context, next) =>
      url === STAND_IN ? { format: 'module', source: STAND_IN_SOURCE, shortCircuit: true } : next(url, context),
  });
  try {
    const url = pathToFileURL(resolve(file));
    if (imports++ > 0) url.search = `${imports}`;
    const module: { default?: unknown } = await import(url.href);
    return module.default;
  } finally {
    hooks.deregister();
  }
}

const PACKAGE = 'millrace';
/** For this name where it cannot be found: what a configuration can use of it is `defineConfig`, which returns what it gets. */
const STAND_IN = 'millrace:configuration';
const STAND_IN_SOURCE = 'export const defineConfig = (document) => document;\n';
