// From a file (YAML, JSON, or a module) to a configuration, or to everything that is wrong with it at once.

import { open } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { assembleConfiguration } from './assemble.ts';
import { checkDocument } from './check.ts';
import type { Configuration } from './configuration.ts';
import { LONGEST_DOCUMENT_BYTES, readDocument } from './document.ts';
import type { Environment } from './environment.ts';
import { type ConfigError, type DocumentPath, type Finding, formatPath, orderErrors } from './error.ts';
import { importDocument } from './module.ts';
import { documentSchema } from './schema.ts';
import { describeIssue, wordFindings } from './wording.ts';

/** A configuration with what is odd about it, or all its faults in the order of the document. */
export type ReadResult =
  | { readonly configuration: Configuration; readonly warnings: readonly ConfigError[] }
  | { readonly errors: readonly ConfigError[] };

/**
 * Reads a configuration file. Files named .ts, .mts, .js or .mjs are imported, and their default export is the document;
 * everything else is YAML or JSON of at most 8 MiB. Never rejects.
 */
export async function loadConfiguration(file: string, environment: Environment = process.env): Promise<ReadResult> {
  if (/\.m?[jt]s$/.test(file)) return loadModule(file);
  const text = await readText(file);
  return typeof text === 'string'
    ? readConfiguration(text, file, environment)
    : { errors: [unplaced(file, text.fault)] };
}

/** Reads the text of a YAML or JSON document; files that it names are looked for from the folder of `file`. Never throws. */
export function readConfiguration(text: string, file: string, environment: Environment = process.env): ReadResult {
  const document = readDocument(text, file, environment);
  if ('errors' in document) return document;
  const place = (finding: Finding): ConfigError => ({
    file,
    ...document.locate(finding),
    path: formatPath(finding.path),
    message: document.mask(finding.message),
  });
  return interpret(document.value, document.findings, place, dirname(resolve(file)));
}

/** Checks a document that is already a value, as `defineConfig` returns it; `file` as above. Never throws. */
export function checkConfiguration(value: unknown, file: string): ReadResult {
  return interpret(value, [], ({ path, message }) => unplaced(file, message, path), dirname(resolve(file)));
}

function interpret(
  value: unknown,
  found: readonly Finding[],
  place: (finding: Finding) => ConfigError,
  folder: string,
): ReadResult {
  const parsed = documentSchema.safeParse(value, { error: describeIssue });
  const checked = checkDocument(value, folder);
  // What could not be substituted or was given twice is one fault, whatever else is then wrong with the same value.
  const known = new Set(found.map((finding) => formatPath(finding.path)));
  const issues = parsed.success ? [] : wordFindings(parsed.error.issues);
  const later = [...issues, ...checked.errors].filter((finding) => !known.has(formatPath(finding.path)));
  const findings = [...found, ...later];
  if (findings.length > 0) return { errors: orderErrors(findings.slice(0, MOST_ERRORS).map(place)) };
  if (!parsed.success) return { errors: [place({ path: [], message: 'is not valid' })] };
  return {
    configuration: assembleConfiguration(parsed.data, folder),
    warnings: orderErrors(checked.warnings.map(place)),
  };
}

/** Nobody reads further, and finding each place takes time. */
const MOST_ERRORS = 1000;

async function loadModule(file: string): Promise<ReadResult> {
  let exported: unknown;
  try {
    exported = await importDocument(file);
  } catch (error) {
    const fault = error instanceof Error ? error.message : String(error);
    return { errors: [unplaced(file, `cannot be loaded: ${fault.split('\n')[0]}`)] };
  }
  if (exported === undefined)
    return { errors: [unplaced(file, 'has no default export; write: export default defineConfig({ ... })')] };
  return checkConfiguration(exported, file);
}

async function readText(file: string): Promise<string | { fault: string }> {
  try {
    const handle = await open(file, 'r');
    try {
      // One byte more than allowed tells a document that is too large, also when it is a pipe or grows while being read.
      const bytes = Buffer.allocUnsafe(LONGEST_DOCUMENT_BYTES + 1);
      let length = 0;
      while (length < bytes.length) {
        const { bytesRead } = await handle.read(bytes, length, bytes.length - length);
        if (bytesRead === 0) break;
        length += bytesRead;
      }
      return new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(0, length));
    } finally {
      await handle.close();
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return { fault: READ_FAULTS[code ?? ''] ?? `cannot be read: ${(error as Error).message}` };
  }
}

const READ_FAULTS: Record<string, string> = {
  ENOENT: 'there is no such file',
  EACCES: 'may not be read by this user',
  EISDIR: 'is a directory; name a file',
  ERR_ENCODING_INVALID_ENCODED_DATA: 'is not UTF-8 text',
};

function unplaced(file: string, message: string, path: DocumentPath = []): ConfigError {
  return { file, line: 0, column: 0, path: formatPath(path), message };
}
