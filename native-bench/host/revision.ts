// Revisions of Millrace itself: which one stands in this checkout, and how another one is laid beside it to be compared.

import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, realpathSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { BUNDLED, ROOT } from '../../lib/base/asset.ts';

/** Whether there are sources here, with documents beside them to publish into. */
export function inCheckout(): boolean {
  return ROOT !== '' && existsSync(join(ROOT, 'lib/cli/main.ts'));
}

/** The commit of the checkout, shortened, with `+` behind it when its files have been changed; null without git. */
export function currentRevision(): string | null {
  const commit = ownRepository() ? git('rev-parse', '--short', 'HEAD') : null;
  if (commit === null) return null;
  return git('status', '--porcelain', '--', 'lib', 'native-bench', 'package-lock.json') === '' ? commit : `${commit}+`;
}

/** The commit that `reference` (a branch, tag or commit) names, shortened; or a sentence that says why it does not. */
export function findRevision(reference: string): { readonly commit: string } | string {
  if (BUNDLED) return 'an executable holds no other revisions; compare them in a checkout with git';
  if (!ownRepository()) return 'revisions can only be compared in a checkout with git';
  // A dash in front would be read as an option.
  const commit = reference.startsWith('-') ? null : git('rev-parse', '--short', '--verify', `${reference}^{commit}`);
  return commit === null ? `no revision is named ${reference}; name a branch, a tag or a commit` : { commit };
}

/**
 * Writes the source of `commit` below `folder`, which is empty, to be run with the packages that are installed here.
 * Returns a sentence when that may distort the comparison, else null. Throws when git cannot give it out.
 */
export function layOut(commit: string, folder: string): string | null {
  const archive = join(folder, 'source.tar');
  execFileSync('git', ['-C', ROOT, 'archive', '--format=tar', '-o', archive, commit, 'lib', ...MANIFESTS]);
  const tree = join(folder, 'tree');
  mkdirSync(tree);
  execFileSync('tar', ['-xf', archive, '-C', tree]);
  symlinkSync(join(ROOT, 'node_modules'), join(tree, 'node_modules'));
  return dependencies(tree) === dependencies(ROOT)
    ? null
    : `${commit} names other packages than the ones installed here, with which it is run.`;
}

/** The source tree that `layOut` made below `folder`. */
export function treeIn(folder: string): string {
  return join(folder, 'tree');
}

const MANIFESTS = ['package.json'];

/** What the product runs on, as text. */
function dependencies(tree: string): string {
  const file = join(tree, 'package.json');
  if (!existsSync(file)) return '';
  const { dependencies = {} } = JSON.parse(readFileSync(file, 'utf8')) as { dependencies?: Record<string, string> };
  return JSON.stringify(Object.entries(dependencies).sort());
}

/** Whether git knows this very tree, and not one that it was unpacked into. */
function ownRepository(): boolean {
  if (!inCheckout()) return false;
  const top = git('rev-parse', '--show-toplevel');
  return top !== null && realpathSync(top) === realpathSync(ROOT);
}

/** What git says, trimmed; null when it fails or is not there. */
function git(...args: string[]): string | null {
  try {
    return execFileSync('git', ['-C', ROOT, ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return null;
  }
}
