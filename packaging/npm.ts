// What `npm pack` runs before and after it packs. The checkout runs its sources, but Node refuses to strip types below
// node_modules: a package holds compiled files, and its package.json must name those. So the sources are compiled into
// dist/npm, and for as long as npm packs, a package.json made from the checkout's stands in its place.
//
//   node packaging/npm.ts build | prepack | postpack

import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  globSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { ASSETS } from './contents.ts';

const ROOT = join(import.meta.dirname, '..');
const BUILT = 'dist/npm';
const MANIFEST = join(ROOT, 'package.json');
/** The checkout's own, while another one stands in its place. */
const KEPT = join(ROOT, 'dist/package.json.checkout');

const step = process.argv[2];
if (step === 'build') build();
else if (step === 'prepack') {
  restore();
  build();
  // Last of all, so that nothing but npm itself can fail in between.
  copyFileSync(MANIFEST, KEPT);
  writeFileSync(MANIFEST, manifest());
} else if (step === 'postpack') restore();
else {
  process.stderr.write('write: node packaging/npm.ts build | prepack | postpack\n');
  process.exitCode = 2;
}

function build(): void {
  rmSync(join(ROOT, BUILT), { recursive: true, force: true });
  const tsc = join(ROOT, 'node_modules/typescript/lib/tsc.js');
  execFileSync(process.execPath, [tsc, '-p', join(ROOT, 'packaging/tsconfig.npm.json')], { stdio: 'inherit' });
  // Nobody imports the benchmark.
  for (const file of globSync(`${BUILT}/native-bench/**/*.d.ts`, { cwd: ROOT })) rmSync(join(ROOT, file));
  // Relative imports in declarations keep the endings of the sources, which not every compiler follows to a .d.ts.
  for (const file of globSync(`${BUILT}/**/*.d.ts`, { cwd: ROOT })) {
    const text = readFileSync(join(ROOT, file), 'utf8');
    writeFileSync(join(ROOT, file), text.replaceAll(/(['"]\.\.?\/[^'"]*)\.ts(['"])/g, '$1.js$2'));
  }
  for (const file of globSync([...ASSETS, 'docs/reference/schema.json'], { cwd: ROOT })) {
    const to = join(ROOT, BUILT, file);
    mkdirSync(dirname(to), { recursive: true });
    copyFileSync(join(ROOT, file), to);
  }
  // The compiler puts a copy of the checkout's here; the programs ask it for no more than this.
  const { version, type } = read();
  writeFileSync(join(ROOT, BUILT, 'package.json'), `${JSON.stringify({ version, type })}\n`);
}

/** The package.json of the package: nothing in it is about the checkout. */
function manifest(): string {
  const { name, version, description, keywords, license, type, engines, dependencies } = read();
  const packed = {
    name,
    version,
    description,
    keywords,
    license,
    type,
    engines,
    bin: { millrace: `${BUILT}/lib/cli/main.js` },
    exports: {
      '.': { types: `./${BUILT}/lib/index.d.ts`, default: `./${BUILT}/lib/index.js` },
      './schema.json': `./${BUILT}/docs/reference/schema.json`,
      './package.json': './package.json',
    },
    files: [BUILT, 'CHANGELOG.md'],
    dependencies,
    // For types alone: events and streams of what embeds it.
    peerDependencies: { '@types/node': '>=24' },
    peerDependenciesMeta: { '@types/node': { optional: true } },
  };
  return `${JSON.stringify(packed, null, 2)}\n`;
}

function read(): Record<string, unknown> {
  return JSON.parse(readFileSync(MANIFEST, 'utf8')) as Record<string, unknown>;
}

/** Also what an earlier packing left behind that was broken off. */
function restore(): void {
  if (existsSync(KEPT)) renameSync(KEPT, MANIFEST);
}
