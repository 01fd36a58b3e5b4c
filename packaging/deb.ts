// Makes a Debian package of the executable, its units, a first configuration and the user of the service.
//
//   node packaging/deb.ts [EXECUTABLE [FOLDER]]      dist/millrace, into dist/, by default

import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import about from '../package.json' with { type: 'json' };

const ROOT = join(import.meta.dirname, '..');
const executable = resolve(process.argv[2] ?? join(ROOT, 'dist/millrace'));
const out = resolve(process.argv[3] ?? join(ROOT, 'dist'));
const target = join(out, `millrace_${about.version}_amd64.deb`);

/** From the checkout; each script of the package manager is executable, nothing else. */
const FILES: readonly (readonly [to: string, from: string, mode: number])[] = [
  ['usr/bin/millrace', executable, 0o755],
  ['usr/lib/systemd/system/millrace.service', 'examples/systemd/millrace.service', 0o644],
  ['usr/lib/systemd/system/millrace.socket', 'examples/systemd/millrace.socket', 0o644],
  ['usr/lib/sysusers.d/millrace.conf', 'packaging/debian/sysusers.conf', 0o644],
  ['etc/millrace/millrace.yaml', 'packaging/millrace.yaml', 0o644],
  ['DEBIAN/postinst', 'packaging/debian/postinst', 0o755],
  ['DEBIAN/prerm', 'packaging/debian/prerm', 0o755],
  ['DEBIAN/postrm', 'packaging/debian/postrm', 0o755],
];
/** The date of all files, so that the same executable makes the same package: when this format was decided on. */
const EPOCH_S = '1764288000';

// dpkg-deb judges modes: no folder may come from a tighter umask.
process.umask(0o022);
const folder = mkdtempSync(join(tmpdir(), 'millrace-deb-'));
try {
  for (const [to, from, mode] of FILES) place(to, readFileSync(resolve(ROOT, from)), mode);
  place('usr/share/doc/millrace/copyright', execFileSync(process.execPath, [join(ROOT, 'packaging/notices.ts')]));
  place('usr/share/doc/millrace/changelog.md', readFileSync(join(ROOT, 'CHANGELOG.md')));
  place('DEBIAN/conffiles', '/etc/millrace/millrace.yaml\n');
  place('DEBIAN/control', control());
  mkdirSync(out, { recursive: true });
  // At level 3 of zstd it takes a second; by the default, xz, most of a minute for a third less.
  execFileSync('dpkg-deb', ['--root-owner-group', '-Zzstd', '-z3', '--build', join(folder, 'root'), target], {
    env: { ...process.env, SOURCE_DATE_EPOCH: EPOCH_S },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  process.stdout.write(`${target}: ${(statSync(target).size / 1e6).toFixed(1)} MB\n`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function place(to: string, content: string | Uint8Array, mode = 0o644): void {
  const file = join(folder, 'root', to);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, content, { mode });
}

function control(): string {
  const fields = {
    Package: about.name,
    Version: about.version,
    Architecture: 'amd64',
    Maintainer: 'The Millrace authors <millrace@localhost>',
    Section: 'net',
    Priority: 'optional',
    // What Node itself asks of the system.
    Depends: 'libc6 (>= 2.28), libgcc-s1, libstdc++6 (>= 8), systemd | systemd-standalone-sysusers',
    Recommends: 'systemd',
    'Installed-Size': String(Math.ceil(statSync(executable).size / 1024)),
    Description: `${about.description}\n One executable; Node.js need not be installed.`,
  };
  return Object.entries(fields)
    .map(([name, value]) => `${name}: ${value}\n`)
    .join('');
}
