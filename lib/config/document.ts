// YAML (and so JSON) text as plain values whose places can be looked up. Knows nothing of what the keys mean.
// Bounds: size of the text, depth, and the number of values after anchors have been expanded. Everything is linear.

import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  type Scalar,
} from 'yaml';
import { type Environment, substitute } from './environment.ts';
import type { ConfigError, DocumentPath, Finding } from './error.ts';

export const LONGEST_DOCUMENT_BYTES = 8 * 1024 * 1024;

export interface Place {
  readonly line: number;
  readonly column: number;
}

/** Text that could be read: its values and where they stand. */
export interface PlacedDocument {
  /** Objects have no prototype, so no key can reach one. */
  readonly value: unknown;
  /** Faults that leave the rest of the document readable: repeated keys, unset variables. */
  readonly findings: readonly Finding[];
  /** Where its value or key stands; for what is missing, where the nearest enclosing value begins. */
  locate(finding: Finding): Place;
  /** A message without what came from the environment, which may be secret: the names of variables stand instead. */
  mask(message: string): string;
}

/** Reads a document; syntax errors make the rest unreadable, so they come alone. Never throws. */
export function readDocument(
  text: string,
  file: string,
  environment: Environment,
): PlacedDocument | { errors: ConfigError[] } {
  const whole = (message: string): { errors: ConfigError[] } => ({
    errors: [{ file, line: 1, column: 1, path: '', message }],
  });
  if (Buffer.byteLength(text) > LONGEST_DOCUMENT_BYTES) return whole('is larger than 8 MiB; split the configuration');
  const lines = new LineCounter();
  let parsed: Document.Parsed;
  try {
    // Repeated keys are found below: the library compares every pair of keys, which is quadratic.
    parsed = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: false, stringKeys: false });
  } catch (error) {
    return whole(error instanceof RangeError ? TOO_DEEP : `cannot be read: ${(error as Error).message}`);
  }
  const broken = syntaxErrors(parsed, text, file, lines);
  if (broken.length > 0) return { errors: broken };
  const reader = new NodeReader(environment);
  const value = reader.read(parsed.contents, [], 0);
  return {
    value,
    findings: reader.findings,
    locate(finding) {
      const { line, col } = lines.linePos(reader.offset(parsed.contents, finding));
      return { line: Math.max(1, line), column: Math.max(1, col) };
    },
    mask(message) {
      for (const [text, name] of reader.substituted) message = message.replaceAll(text, `\${${name}}`);
      return message;
    },
  };
}

/** Shorter values are ports and flags rather than secrets, and too likely to stand elsewhere in a message. */
const SECRET_LENGTH = 6;
const DEEPEST = 64;
const MOST_VALUES = 500_000;
const TOO_DEEP = `is nested more than ${DEEPEST} levels deep`;

/** Values out of nodes. Remembers what aliases stand for, so that places can be looked up through them. */
class NodeReader {
  readonly findings: Finding[] = [];
  /** Values that came from the environment, to the names of their variables. */
  readonly substituted = new Map<string, string>();
  readonly #environment: Environment;
  readonly #anchors = new Map<string, Node>();
  readonly #targets = new Map<Node, Node>();
  #values = 0;

  constructor(environment: Environment) {
    this.#environment = environment;
  }

  read(node: Node | null, path: DocumentPath, depth: number): unknown {
    if (node === null) return null;
    if (depth > DEEPEST) return this.#fault(path, TOO_DEEP);
    if (++this.#values >= MOST_VALUES) {
      if (this.#values === MOST_VALUES)
        this.#fault(path, `has more than ${MOST_VALUES} values, aliases counted as often as used`);
      return null;
    }
    if (isAlias(node)) {
      const target = this.#anchors.get(node.source);
      if (target === undefined) return this.#fault(path, `there is no anchor "&${node.source}" above this alias`);
      this.#targets.set(node, target);
      return this.read(target, path, depth + 1);
    }
    if ('anchor' in node && typeof node.anchor === 'string') this.#anchors.set(node.anchor, node);
    if (isScalar(node)) return this.#scalar(node, path);
    if (isSeq<Node>(node)) return node.items.map((item, index) => this.read(item, [...path, index], depth + 1));
    if (!isMap<Node, Node>(node)) return null;
    const result: Record<string, unknown> = Object.create(null);
    for (const { key, value } of node.items) {
      const name = keyName(key);
      if (name === undefined) {
        this.#fault(path, 'has a key that is not a plain word; keys are text');
        continue;
      }
      const at = [...path, name];
      if (name === '__proto__') this.#fault(at, 'cannot be used as a key; choose another name', true);
      if (name.includes('${')) this.#fault(at, 'variables are replaced in values, not in keys', true);
      if (Object.hasOwn(result, name)) {
        // Its path names the first of the two, so its own offset goes with it.
        this.findings.push({ path: at, message: 'is given twice; keep one of them', offset: startOf(key, 0) });
        continue;
      }
      result[name] = this.read(value, at, depth + 1);
    }
    return result;
  }

  /** Offset in the text of what a finding is about. */
  offset(root: Node | null, finding: Finding): number {
    if (finding.offset !== undefined) return finding.offset;
    const { path, atKey = false } = finding;
    let node = root;
    let offset = startOf(node, 0);
    for (const [index, part] of path.entries()) {
      while (node !== null && isAlias(node)) node = this.#targets.get(node) ?? null;
      const last = index === path.length - 1;
      if (isMap<Node, Node>(node)) {
        const pair = node.items.find((item) => keyName(item.key) === part);
        if (pair === undefined) return offset;
        offset = startOf(last && atKey ? pair.key : pair.value, startOf(pair.key, offset));
        node = pair.value;
      } else if (isSeq<Node>(node) && typeof part === 'number') {
        node = node.items[part] ?? null;
        offset = startOf(node, offset);
      } else return offset;
    }
    return offset;
  }

  #scalar(node: Scalar, path: DocumentPath): unknown {
    if (typeof node.value !== 'string') return node.value;
    const { text, changed, used, faults } = substitute(node.value, this.#environment);
    for (const [name, value] of used) if (value.length >= SECRET_LENGTH) this.substituted.set(value, name);
    for (const fault of faults) this.#fault(path, fault);
    // An unquoted scalar takes the type that its text would have had: `weight: ${WEIGHT}` is a number.
    if (!changed || node.type !== 'PLAIN') return text;
    if (/^-?(0|[1-9]\d{0,14})(\.\d+)?$/.test(text)) return Number(text);
    return text === 'true' ? true : text === 'false' ? false : text;
  }

  #fault(path: DocumentPath, message: string, atKey = false): null {
    this.findings.push({ path, message, atKey });
    return null;
  }
}

function keyName(key: unknown): string | undefined {
  if (!isScalar(key)) return undefined;
  return typeof key.value === 'string' ? key.value : (key.source ?? String(key.value));
}

function startOf(node: Node | null | undefined, otherwise: number): number {
  return node?.range?.[0] ?? otherwise;
}

/** Faults of the syntax; once the parser has lost its way every further token is unexpected, so the first of a line counts. */
function syntaxErrors(parsed: Document.Parsed, text: string, file: string, lines: LineCounter): ConfigError[] {
  const errors: ConfigError[] = [];
  for (const fault of [...parsed.errors, ...parsed.warnings]) {
    const { line, col } = lines.linePos(fault.pos[0]);
    if (errors.some((error) => error.line === line)) continue;
    if (errors.length > 0 && fault.message.includes('token in YAML stream')) continue;
    const variable = text.slice(fault.pos[0] - 1, fault.pos[0] + 1) === '${';
    const remedy = variable ? `between { } or [ ], put quotes around a value with \${...}` : plainWords(fault.message);
    errors.push({ file, line, column: col, path: '', message: `is not valid YAML: ${remedy}` });
    if (errors.length === MOST_SYNTAX_ERRORS) break;
  }
  return errors;
}

const MOST_SYNTAX_ERRORS = 20;

/** The first sentence of what the YAML library says, with what usually is the remedy. */
function plainWords(message: string): string {
  const first = message.split('\n')[0]!.replace(/[.:]$/, '');
  return /flow|indicator|plain value|implicit key|reserved/i.test(first)
    ? `${first}; quote text that begins with or holds any of [ ] { } , # & * ! | > ' " % @`
    : first;
}
