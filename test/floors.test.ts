// The house's order: imports run downwards only, and rooms on one floor do not know each other.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { test } from 'node:test';

/** From the top to the ground. */
const FLOORS = [
  ['cli'],
  ['process'],
  ['admin'],
  ['config'],
  ['observe'],
  ['server'],
  ['cache', 'discovery', 'filter', 'forward', 'gslb', 'guard', 'health'],
  ['http', 'tcp'],
  ['upstream', 'route'],
  ['tls'],
  ['io'],
  ['wire'],
  ['base'],
];
/** The one place that starts the harness, which stands beside lib/ and may use all of it. */
const HARNESS = { from: 'cli/bench.ts', to: '../../native-bench/bench.ts' };
const LIB = join(import.meta.dirname, '../lib');

interface Import {
  readonly from: string;
  readonly to: string;
  /** Only types: nothing of it is left when the program runs. */
  readonly typed: boolean;
}

const FILES = readdirSync(LIB, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));

/** Every import and re-export, types included, and the dynamic ones: they tie files together just the same. */
const IMPORTS: readonly Import[] = FILES.flatMap((from) => {
  const text = readFileSync(join(LIB, from), 'utf8');
  const found = text.matchAll(
    /(?:^|\n)(?:import|export)\s[^;]*?from\s+'([^']+)'|\bimport\(\s*'([^']+)'|\nimport '([^']+)'/g,
  );
  return [...found].map((match) => ({
    from,
    to: match[1] ?? match[2] ?? match[3]!,
    typed: /^\n?(?:import|export) type\s/.test(match[0]),
  }));
});

function roomOf(file: string): string {
  return file.split('/')[0]!;
}

function floorOf(room: string): number {
  return FLOORS.findIndex((rooms) => rooms.includes(room));
}

test('every room stands on a floor', () => {
  const rooms = new Set(FILES.filter((file) => file.includes('/')).map(roomOf));
  assert.deepEqual(
    [...rooms].filter((room) => floorOf(room) < 0),
    [],
  );
});

test('imports run downwards only, and rooms on one floor do not know each other', () => {
  const wrong = IMPORTS.flatMap(({ from, to }) => {
    if (!to.startsWith('.') || !from.includes('/')) return [];
    if (from === HARNESS.from && to === HARNESS.to) return [];
    const target = normalize(join(dirname(from), to));
    // package.json, which tells the version.
    if (target.startsWith('..')) return relative('..', target).includes('/') ? [`${from} leaves lib/: ${to}`] : [];
    const [upper, lower] = [roomOf(from), roomOf(target)];
    const downwards = upper === lower || floorOf(lower) > floorOf(upper);
    return downwards && target.includes('/') ? [] : [`${from} (${upper}) imports ${target} (${lower})`];
  });
  assert.deepEqual(wrong, []);
  assert.ok(IMPORTS.length > 100, 'too few imports were found to mean anything');
});

test('imports name files with their ending, never folders', () => {
  const wrong = IMPORTS.filter(({ to }) => to.startsWith('.') && !/\.(ts|json)$/.test(to));
  assert.deepEqual(wrong, []);
});

test('no file imports itself by way of others, types aside', () => {
  const next = new Map<string, string[]>();
  for (const { from, to, typed } of IMPORTS) {
    if (typed || !to.startsWith('.')) continue;
    next.set(from, [...(next.get(from) ?? []), normalize(join(dirname(from), to))]);
  }
  const circles: string[] = [];
  const done = new Set<string>();
  const walk = (file: string, path: readonly string[]): void => {
    const seen = path.indexOf(file);
    if (seen >= 0) circles.push([...path.slice(seen), file].join(' > '));
    if (seen >= 0 || done.has(file)) return;
    for (const to of next.get(file) ?? []) walk(to, [...path, file]);
    done.add(file);
  };
  for (const file of FILES) walk(file, []);
  assert.deepEqual(circles, []);
});

test('a room has no file that only hands on the others', () => {
  assert.deepEqual(
    FILES.filter((file) => /\/index\.ts$/.test(file)),
    [],
  );
});

test('parsers know nothing of sockets, clocks or files', () => {
  const allowed = ['node:module', 'node:buffer'];
  const wrong = IMPORTS.filter(
    ({ from, to }) => from.startsWith('wire/') && to.startsWith('node:') && !allowed.includes(to),
  );
  assert.deepEqual(wrong, []);
  for (const file of FILES.filter((one) => one.startsWith('wire/'))) {
    const code = readFileSync(join(LIB, file), 'utf8').replaceAll(/\/\/.*$|\/\*[\s\S]*?\*\//gm, '');
    assert.doesNotMatch(code, /\b(Date\.now|performance\.now|Math\.random|setTimeout|setInterval)\b/, file);
  }
});

test('only two files touch the private interface of sockets', () => {
  const touching = FILES.filter((file) => /\._handle\b|useUserBuffer/.test(readFileSync(join(LIB, file), 'utf8')));
  assert.deepEqual(touching, ['io/receive.ts', 'io/secure.ts']);
});
