// Makes the single executable: bundles of the command line and of every program that runs in a thread or process of its own, with
// the files they read, inside a copy of the pinned Node. docs/decisions/single-executable.md tells why this way.
//
//   node packaging/binary.ts [FILE]      dist/millrace by default; the same bytes from the same sources every time

import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { ASSETS, PROGRAMS } from './contents.ts';

const ROOT = join(import.meta.dirname, '..');
const NODE = join(ROOT, 'node_modules/node/bin/node');
const ESBUILD = join(ROOT, 'node_modules/@esbuild/linux-x64/bin/esbuild');
const POSTJECT = join(ROOT, 'node_modules/postject/dist/cli.js');
/** By which Node finds out that something has been put into it (nodejs.org/api/single-executable-applications.html). */
const FUSE = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2';

const target = resolve(process.argv[2] ?? join(ROOT, 'dist/millrace'));
mkdirSync(dirname(target), { recursive: true });
// Beside the target, so that it can be put in its place at once, even while the old one runs.
const folder = mkdtempSync(`${target}-`);
try {
  const startedMs = performance.now();
  build(folder);
  renameSync(join(folder, 'millrace'), target);
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
  process.stdout.write(`${target}: ${(statSync(target).size / 1e6).toFixed(1)} MB, made in ${seconds} s\n`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function build(folder: string): void {
  // The supervisor's threads come from here as soon as there is one.
  const programs = PROGRAMS.filter((program) => existsSync(join(ROOT, `${program}.ts`)));
  bundle(folder, ['lib/cli/main', ...programs]);
  const assets: Record<string, string> = {};
  for (const program of programs) assets[`${program}.cjs`] = `${program}.cjs`;
  for (const file of globSync(ASSETS, { cwd: ROOT }).sort()) assets[file] = join(ROOT, file);
  const configuration = {
    main: 'lib/cli/main.cjs',
    output: 'blob',
    disableExperimentalSEAWarning: true,
    useCodeCache: true,
    assets,
  };
  writeFileSync(join(folder, 'sea.json'), JSON.stringify(configuration));
  // V8 puts what it compiles into an order by chance, unless it is told which.
  run(folder, NODE, ['--random-seed=1', '--experimental-sea-config', 'sea.json']);
  const made = join(folder, 'millrace');
  copyFileSync(NODE, made);
  strip(made);
  run(folder, NODE, [POSTJECT, made, 'NODE_SEA_BLOB', 'blob', '--sentinel-fuse', FUSE]);
}

/** CommonJS, since the main program of an executable can be nothing else in Node 24. */
function bundle(folder: string, programs: readonly string[]): void {
  run(ROOT, ESBUILD, [
    ...programs.map((program) => `${program}.ts`),
    ...[
      '--bundle',
      '--platform=node',
      '--format=cjs',
      '--target=node24',
      '--minify-whitespace',
      '--legal-comments=none',
    ],
    ...[`--outdir=${folder}`, `--outbase=${ROOT}`, '--out-extension:.js=.cjs', '--log-level=warning'],
    '--alias:undici/lib/llhttp/llhttp_simd-wasm.js=./packaging/llhttp-bytes.ts',
    // In place of tsconfig.json, which need not be there.
    '--tsconfig-raw={"compilerOptions":{"verbatimModuleSyntax":true}}',
    // Where import.meta is looked at, it has been found out before that this is no executable.
    '--log-override:empty-import-meta=silent',
  ]);
}

/** Symbols are 18 of 127 MB, and nothing that runs needs them. */
function strip(file: string): void {
  try {
    execFileSync('strip', [file], { stdio: 'pipe' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    process.stderr.write('strip is not installed (Debian package binutils): the executable keeps its symbols\n');
  }
}

/** Says what the program said only when it fails: postject warns of sections that are of no concern here. */
function run(cwd: string, command: string, args: readonly string[]): void {
  try {
    execFileSync(command, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  } catch (error) {
    const { stdout, stderr } = error as { stdout?: Buffer; stderr?: Buffer };
    process.stderr.write(`${stdout ?? ''}${stderr ?? ''}`);
    throw error;
  }
}
