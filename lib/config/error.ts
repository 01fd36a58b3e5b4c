// What is wrong with a configuration and where: the one form in which every check of this room reports.

import { escapeControls } from '../base/log.ts';

export interface ConfigError {
  readonly file: string;
  /** From 1; 0 when the place is not known (a configuration that is a module has no lines of its own). */
  readonly line: number;
  /** From 1, in UTF-16 units; 0 when not known. */
  readonly column: number;
  /** As in `listeners.web.routes[0].cluster`; '' for the whole document. */
  readonly path: string;
  /** What is wrong and what would be right. */
  readonly message: string;
}

/** Keys and list positions from the top of the document. */
export type DocumentPath = readonly (string | number)[];

/** A fault before its path has been turned into a place. */
export interface Finding {
  readonly path: DocumentPath;
  readonly message: string;
  /** Whether the place is the key (an unknown or ill-named one) rather than its value. */
  readonly atKey?: boolean;
  /** Where it stands in the text, when the path does not tell. */
  readonly offset?: number;
}

/** `FILE:LINE:COLUMN: path.in.document: message`, without the parts that are not known; one line. */
export function formatConfigError(error: ConfigError): string {
  const place = error.line > 0 ? `${error.file}:${error.line}:${error.column}` : error.file;
  return escapeControls(`${place}: ${error.path === '' ? '' : `${error.path}: `}${error.message}`);
}

/** A path as people write it; keys that are not plain words are quoted. */
export function formatPath(path: DocumentPath): string {
  let text = '';
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`;
    else if (/^[A-Za-z0-9_-]+$/.test(part)) text += text === '' ? part : `.${part}`;
    else text += `[${JSON.stringify(part)}]`;
  }
  return text;
}

/** Sorts by place in the document and drops repetitions. */
export function orderErrors(errors: readonly ConfigError[]): ConfigError[] {
  const seen = new Set<string>();
  return errors
    .filter((error) => {
      const text = formatConfigError(error);
      return !seen.has(text) && seen.add(text);
    })
    .sort((a, b) => a.line - b.line || a.column - b.column);
}
