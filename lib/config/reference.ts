// The reference page and the JSON Schema for editors, both made from the schema, so that they cannot tell another story.

import * as z from 'zod';
import { documentSchema } from './schema.ts';

/** JSON Schema (draft 2020-12) of what people write. */
export function jsonSchema(): Record<string, unknown> {
  const schema = z.toJSONSchema(documentSchema, {
    io: 'input',
    unrepresentable: 'any',
    override: ({ jsonSchema: node }) => {
      // The pattern belongs to the text alternative of a quantity; beside `anyOf` it reads as if it were for all.
      if (node.pattern !== undefined && node.anyOf !== undefined) {
        node.anyOf = [{ type: 'string', pattern: node.pattern }, { const: 0 }];
        delete node.pattern;
      }
    },
  });
  return { $schema: schema.$schema, title: 'Millrace configuration', ...withoutMarks(schema) };
}

/** `docs/reference/schema.json`: the JSON Schema as text, lists of words on one line as the formatter would leave them. */
export function schemaText(): string {
  const text = JSON.stringify(jsonSchema(), null, 2);
  return `${text.replace(/\[\n\s+([^[\]{}]*?)\n\s+\]/g, (_, words: string) => `[${words.replace(/\n\s+/g, ' ')}]`)}\n`;
}

/** `docs/reference/configuration.md`. */
export function referencePage(): string {
  const root = z.toJSONSchema(documentSchema, { io: 'input', unrepresentable: 'any' }) as Node;
  const sections: string[] = [];
  describeSection('', root, sections);
  return `${PREAMBLE}\n${sections.join('\n')}`;
}

interface Node {
  readonly title?: string;
  readonly description?: string;
  readonly type?: string;
  readonly enum?: readonly string[];
  readonly default?: unknown;
  readonly anyOf?: readonly Node[];
  readonly items?: Node;
  readonly properties?: Readonly<Record<string, Node>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: Node | boolean;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly 'x-default'?: string;
}

const PREAMBLE = `# Configuration

<!-- Made from the schema by \`make docs\`. Change lib/config/schema/ instead. -->

A configuration is YAML or JSON, or a TypeScript module whose default export is made with \`defineConfig\`. Editors check and
complete YAML with [schema.json](schema.json): \`# yaml-language-server: $schema=...\` on the first line.

- **Durations** carry a unit: \`300ms\`, \`10s\`, \`1m\`, \`1h\`, \`1d\`. **Sizes** too: \`16KiB\` (1024 each), \`10MB\` (1000 each), \`512B\`.
  \`0\` needs none.
- **Addresses** are \`HOST:PORT\`, \`[v6]:PORT\`, \`:PORT\` or \`unix:PATH\`. Quote those that begin with \`[\` or \`:\` followed by a space.
- **Environment**: \`\${NAME}\` in a value is replaced by that variable (unset is an error), \`\${NAME:-default}\` by the default when it is
  unset or empty, \`$\${\` stands for \`\${\` itself. Keys are not touched, and neither are TypeScript modules.
- **Names** of listeners and clusters are letters, digits, \`-\`, \`_\` and \`.\`, at most 64.
- Unknown keys are errors. \`millrace check\` tells every error at once, with its place.
`;

function describeSection(path: string, node: Node, sections: string[]): void {
  const rows = [['key', 'type', 'default', 'meaning']];
  const inner: [string, Node][] = [];
  for (const [key, value] of Object.entries(node.properties ?? {})) {
    const required = node.required?.includes(key) === true;
    rows.push([`\`${key}\``, typeName(value), defaultOf(value, required), value.description ?? '']);
    const found = innerSection(value);
    if (found !== undefined)
      inner.push([path === '' ? `${key}${found.suffix}` : `${path}.${key}${found.suffix}`, found.node]);
  }
  const title = path === '' ? '## The document' : `## \`${path}\``;
  sections.push(`${title}\n\n${table(rows)}`);
  for (const [name, child] of inner) describeSection(name, child, sections);
}

/** The section that a value holds: itself, the entries of a map by name, or those of a list. */
function innerSection(node: Node): { suffix: string; node: Node } | undefined {
  if (node.properties !== undefined) return { suffix: '', node };
  if (typeof node.additionalProperties === 'object' && node.additionalProperties.properties !== undefined) {
    return { suffix: '.NAME', node: node.additionalProperties };
  }
  const entry = node.items?.anyOf?.find((one) => one.properties !== undefined) ?? node.items;
  return entry?.properties === undefined ? undefined : { suffix: '[]', node: entry };
}

function typeName(node: Node): string {
  if (node.title !== undefined) return node.title;
  if (node.enum !== undefined) return node.enum.map((word) => `\`${word}\``).join(', ');
  if (node.anyOf !== undefined) return [...new Set(node.anyOf.map(typeName))].join(' or ');
  if (node.type === 'array') return `list of ${node.items === undefined ? 'anything' : typeName(node.items)}`;
  if (node.type === 'integer') return 'whole number';
  if (node.type === 'boolean') return '`true` or `false`';
  if (node.type === 'object' && typeof node.additionalProperties === 'object')
    return `map of name to ${typeName(node.additionalProperties)}`;
  return node.type === 'object' ? 'map' : (node.type ?? 'anything');
}

function defaultOf(node: Node, required: boolean): string {
  if (required) return '**required**';
  if (node['x-default'] !== undefined) return node['x-default'];
  const value = node.default;
  if (value === undefined) return '';
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'none' : '';
  return value === '' ? 'empty' : `\`${String(value)}\``;
}

/** A table whose columns stand below each other, as the formatter would leave it. */
function table(rows: readonly (readonly string[])[]): string {
  const cells = rows.map((row) => row.map((text) => text.replaceAll('|', '\\|')));
  const widths = cells[0]!.map((_, column) => Math.max(...cells.map((row) => row[column]!.length)));
  const lines = cells.map((row) => `| ${row.map((text, column) => text.padEnd(widths[column]!)).join(' | ')} |\n`);
  lines.splice(1, 0, `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |\n`);
  return lines.join('');
}

/** Drops what is meant for the reference page alone. */
function withoutMarks(node: unknown): Record<string, unknown> {
  return JSON.parse(JSON.stringify(node, (key, value) => (key === 'x-default' ? undefined : value)));
}
