// What is kept on disk for one authority: the key of the account, certificates with their keys, and answers to challenges.
// All processes and threads that share the folder use the same, so whichever of them is asked can answer.

import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type Identity, readIdentity } from '../identity.ts';
import { keepFirst, keepLast, readKept } from '../keep.ts';
import type { Pair } from '../x509.ts';
import { TOKEN } from './client.ts';
import { AccountKey } from './jws.ts';
import { type Held, tryLock } from './lock.ts';
import { makeKey } from './request.ts';

/** Answers that a process left behind when it died. */
const LEFT_OVER_MS = 60 * 60_000;

export class AcmeFolder {
  readonly #folder: string;
  readonly #challenges: string;

  /** Below `folder`, one for each authority, since accounts are the authority's. Nothing is written yet. */
  constructor(folder: string, directory: string) {
    const host = URL.canParse(directory) ? new URL(directory).hostname.replace(/[^A-Za-z0-9.-]/g, '_') : '';
    this.#folder = join(folder, `${host}-${digest(directory)}`);
    this.#challenges = join(this.#folder, 'challenges');
  }

  /** Makes the folders (0700) and removes what earlier processes left behind. Throws when it cannot. */
  prepare(): void {
    mkdirSync(this.#challenges, { recursive: true, mode: 0o700 });
    for (const entry of readdirSync(this.#challenges)) {
      const file = join(this.#challenges, entry);
      if (Date.now() - (statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0) > LEFT_OVER_MS) {
        rmSync(file, { force: true });
      }
    }
  }

  /** The key of the account, made when there is none. */
  accountKey(): AccountKey {
    const file = join(this.#folder, 'account.key');
    return new AccountKey(readKept(file) ?? keepFirst(file, makeKey()));
  }

  /** The certificate for these names, null when there is none or it is not whole. */
  read(names: readonly string[]): Identity | null {
    return readPair(this.#file(names));
  }

  keep(names: readonly string[], { cert, key }: Pair): void {
    keepLast(this.#file(names), key + cert);
  }

  /** The right to order for these names, null when another has it. */
  lock(names: readonly string[]): Held | null {
    return tryLock(`${this.#file(names)}.lock`);
  }

  /** What HTTP-01 is answered with, by token. */
  keepAnswer(token: string, answer: string): void {
    keepLast(join(this.#challenges, `http-${token}`), answer);
  }

  /** '' when there is none. `token` is what a client sent. */
  answer(token: string): string {
    return TOKEN.test(token) ? (readKept(join(this.#challenges, `http-${token}`)) ?? '') : '';
  }

  dropAnswer(token: string): void {
    rmSync(join(this.#challenges, `http-${token}`), { force: true });
  }

  /** What TLS-ALPN-01 is answered with, by server name. */
  keepProof(name: string, { cert, key }: Pair): void {
    keepLast(join(this.#challenges, `tls-${digest(name)}`), key + cert);
  }

  /** `name` is what a client sent. */
  proof(name: string): Identity | null {
    return readPair(join(this.#challenges, `tls-${digest(name)}`));
  }

  dropProof(name: string): void {
    rmSync(join(this.#challenges, `tls-${digest(name)}`), { force: true });
  }

  /** The first name for people, the digest for sets of names that begin with the same. */
  #file(names: readonly string[]): string {
    const first = names[0]!.replace('*', '_').replace(/[^a-z0-9_.-]/g, '-');
    return join(this.#folder, `${first.slice(0, 100)}-${digest(names.join(' '))}.pem`);
  }
}

/** Key and chain, one after the other in one file, so that they always belong together. */
function readPair(file: string): Identity | null {
  const text = readKept(file);
  if (text === null) return null;
  const split = text.indexOf('-----BEGIN CERTIFICATE-----');
  const identity = readIdentity(text.slice(split), text.slice(0, Math.max(split, 0)));
  return 'fault' in identity ? null : identity;
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}
