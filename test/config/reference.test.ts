import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { referencePage, schemaText } from '../../lib/config/reference.ts';

const page = (name: string): string => readFileSync(new URL(`../../docs/reference/${name}`, import.meta.url), 'utf8');

test('the configuration reference says what the schema says', () => {
  assert.equal(page('configuration.md'), referencePage(), 'stale; run: make docs');
});

test('the JSON Schema for editors says what the schema says', () => {
  assert.equal(page('schema.json'), schemaText(), 'stale; run: make docs');
});

test('every key has a meaning, and a default unless it is required or an absence that means something', () => {
  for (const row of referencePage().split('\n')) {
    if (!row.startsWith('| `')) continue;
    const [, key, type, , meaning] = row.split(/(?<!\\)\|/).map((cell) => cell.trim());
    assert.ok(type !== '' && meaning !== '' && meaning !== undefined, `${key} lacks its type or meaning`);
  }
});
