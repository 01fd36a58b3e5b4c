// What files of keys and certificates held when they were last of use. An event loop that begins while they are missing or
// half written, as in the middle of a renewal, has none of before to go on with: it begins with this.

import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type Identity, readIdentity } from './identity.ts';
import type { FileCertificate, TlsOptions, UpstreamTlsOptions } from './options.ts';

/** Files that belong together, '' for one that is not there, and what is in them. Plain values, with keys among them. */
export interface Material {
  readonly kind: 'material';
  readonly files: readonly string[];
  readonly contents: readonly Uint8Array[];
}

/** All that one event loop, or the supervisor for all of them, knows. */
export class Materials {
  readonly #known: Map<string, Material>;
  readonly #say: (material: Material) => void;

  /** `say` is told what is new. */
  constructor(known: readonly Material[] = [], say: (material: Material) => void = () => {}) {
    this.#known = new Map(known.map((material) => [keyOf(material.files), material]));
    this.#say = say;
  }

  get all(): readonly Material[] {
    return [...this.#known.values()];
  }

  /** Of these files alone, for whoever is to stay longer than others: it must not hold keys that are not its own. */
  only(wanted: readonly (readonly string[])[]): Materials {
    const known = wanted.flatMap((files) => this.#known.get(keyOf(files)) ?? []);
    return new Materials(known, this.#say);
  }

  /** These were of use. */
  keep(files: readonly string[], contents: readonly Uint8Array[]): void {
    const key = keyOf(files);
    const before = this.#known.get(key)?.contents;
    if (before?.every((bytes, at) => Buffer.compare(bytes, contents[at]!) === 0)) return;
    const material: Material = { kind: 'material', files, contents };
    this.#known.set(key, material);
    this.#say(material);
  }

  /** What was of use last, null when nothing is known. */
  last(files: readonly string[]): readonly Uint8Array[] | null {
    return this.#known.get(keyOf(files))?.contents ?? null;
  }

  /** Forgets all but what belongs to these. */
  retain(wanted: readonly (readonly string[])[]): void {
    const keys = new Set(wanted.map(keyOf));
    for (const key of this.#known.keys()) if (!keys.has(key)) this.#known.delete(key);
  }
}

/** Reads files that belong together. Faults name the file, never what is in it. */
export function readMaterial(files: readonly string[]): readonly Uint8Array[] | { readonly fault: string } {
  const contents: Uint8Array[] = [];
  for (const file of files) {
    try {
      contents.push(file === '' ? new Uint8Array() : readFileSync(file));
    } catch (error) {
      return { fault: `${file}: ${(error as NodeJS.ErrnoException).code ?? 'cannot be read'}` };
    }
  }
  return contents;
}

/** Reads a certificate from its files. Faults name the file, never what is in it. */
export function readFiles(files: FileCertificate): Identity | { readonly fault: string } {
  const read = readMaterial(certificateFiles(files));
  return 'fault' in read ? read : identityOf(read);
}

/** From what is in its files. */
export function identityOf([cert, key, ocsp]: readonly Uint8Array[]): Identity | { readonly fault: string } {
  return readIdentity(textOf(cert!), textOf(key!), ocsp === undefined || ocsp.length === 0 ? null : Buffer.from(ocsp));
}

/** '' or why this is no file of authorities: from one that is cut short nobody must conclude that all are believed. */
export function authoritiesFault(file: string, bytes: Uint8Array): string {
  try {
    new X509Certificate(bytes);
    return '';
  } catch {
    return `${file} holds no PEM certificate`;
  }
}

export function certificateFiles({ cert, key, ocsp }: Omit<FileCertificate, 'source'>): readonly string[] {
  return [cert, key, ocsp];
}

/** All files that a listener reads. */
export function listenerFiles({ certificates, clientAuth }: TlsOptions): readonly (readonly string[])[] {
  const files = certificates.flatMap((one) => (one.source === 'files' ? [certificateFiles(one)] : []));
  return clientAuth === null ? files : [...files, [clientAuth.ca]];
}

/** All files that a cluster reads: they belong together. */
export function clusterFiles({ ca, certificate }: UpstreamTlsOptions): readonly string[] {
  return [ca, certificate?.cert ?? '', certificate?.key ?? ''];
}

export function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString();
}

function keyOf(files: readonly string[]): string {
  return JSON.stringify(files);
}
