// Fields that a route sets and removes, as data ready to be applied. Applying them to a head is left to http.

import { FieldId, identifyField } from '../wire/field-id.ts';

/**
 * Edits of one head: drop every line whose name is in `drop`, then append `lines`. Setting replaces, so names that
 * are set are dropped too.
 */
export interface FieldEdits {
  /** Lower-case names, without repetition. */
  readonly drop: readonly Uint8Array[];
  /** Whole lines, each with its CRLF. */
  readonly lines: Buffer;
}

/** Compiles edits that passed `checkFieldEdits`; null if there are none, so that nothing has to be run for them. */
export function compileFieldEdits(
  set: Readonly<Record<string, string>> | undefined,
  remove: readonly string[] | undefined,
): FieldEdits | null {
  const names = new Set([...Object.keys(set ?? {}), ...(remove ?? [])].map((name) => name.toLowerCase()));
  if (names.size === 0) return null;
  return { drop: Array.from(names, (name) => Buffer.from(name)), lines: compileFieldLines(set ?? {}) };
}

/** The fields as lines of a head, each with its CRLF. Values are sent as UTF-8. */
export function compileFieldLines(fields: Readonly<Record<string, string>>): Buffer {
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.from(lines.join(''));
}

/** Everything that is wrong with the fields a route sets and removes, as `KEY "NAME": what is wrong`. */
export function checkFieldEdits(
  setKey: string,
  set: Readonly<Record<string, string>> | undefined,
  removeKey: string,
  remove: readonly string[] | undefined,
): string[] {
  const faults = checkFieldLines(setKey, set ?? {});
  const names = new Set(Object.keys(set ?? {}).map((name) => name.toLowerCase()));
  for (const name of remove ?? []) {
    const fault = fieldNameFault(name) || reservedFault(name, 'removed');
    if (fault !== '') faults.push(`${removeKey} "${name}": ${fault}`);
    if (names.has(name.toLowerCase())) {
      faults.push(`${removeKey} "${name}": ${setKey} sets it, which replaces what was there; leave it out here`);
    }
  }
  return faults;
}

/** Everything that is wrong with fields that a route makes (`setRequest`, `setResponse`, the `headers` of a reply). */
export function checkFieldLines(key: string, fields: Readonly<Record<string, string>>): string[] {
  const faults: string[] = [];
  const seen = new Set<string>();
  for (const [name, value] of Object.entries(fields)) {
    const fault = fieldNameFault(name) || reservedFault(name, 'set') || fieldValueFault(value);
    if (fault !== '') faults.push(`${key} "${name}": ${fault}`);
    if (seen.has(name.toLowerCase()))
      faults.push(`${key} "${name}": names compare without case, so this is there twice`);
    seen.add(name.toLowerCase());
  }
  return faults;
}

/** What is wrong with a field name, or '': names are tokens (RFC 9110 5.1, 5.6.2). */
export function fieldNameFault(name: string): string {
  if (name === '') return 'a field has a name';
  if (/^[!#$%&'*+.^_`|~0-9a-z-]+$/i.test(name)) return '';
  if (name.startsWith(':')) return 'this is HTTP/2 notation; host, path and method have keys of their own';
  if (name.includes(':')) return 'write the name without ":"';
  return "a field name has letters, digits and !#$%&'*+-.^_`|~ only";
}

/** What is wrong with a field value, or '': CR, LF and NUL would end the line (RFC 9110 5.5). */
export function fieldValueFault(value: string): string {
  if (/[\0-\x08\x0a-\x1f\x7f]/.test(value)) return 'a value holds no line break or other control character';
  if (/^[ \t]|[ \t]$/.test(value)) return 'white space around a value is not part of it; leave it out';
  return '';
}

/** Fields that say how this connection and this body are framed; a route that edits them breaks the exchange. */
const RESERVED: ReadonlyMap<number, string> = new Map([
  [FieldId.CONNECTION, 'it belongs to one connection and the proxy writes its own'],
  [FieldId.KEEP_ALIVE, 'it belongs to one connection and the proxy writes its own'],
  [FieldId.PROXY_CONNECTION, 'it belongs to one connection and the proxy writes its own'],
  [FieldId.TE, 'it belongs to one connection and the proxy writes its own'],
  [FieldId.UPGRADE, 'it belongs to one connection and the proxy writes its own'],
  [FieldId.TRANSFER_ENCODING, 'it says where the body ends, which is decided by what is sent'],
  [FieldId.CONTENT_LENGTH, 'it says where the body ends, which is decided by what is sent'],
  [FieldId.HOST, 'use rewrite.host to send another one'],
]);

function reservedFault(name: string, verb: 'set' | 'removed'): string {
  // Underscores count as dashes here too: `transfer_encoding` is what some origins would take for the real one.
  const bytes = Buffer.from(name);
  const reason = RESERVED.get(identifyField(bytes, 0, bytes.length));
  return reason === undefined ? '' : `this field cannot be ${verb}: ${reason}`;
}
