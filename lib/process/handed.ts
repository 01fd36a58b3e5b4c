// Which descriptors a configuration may name (`bind: fd:N`): sockets that this process was started with, and none that came
// later. By then a number may be anything: a listening socket of our own, which two would accept from, or a client.

import { fstatSync } from 'node:fs';
import type { Configuration } from '../config/configuration.ts';
import type { Owner } from './inheritance.ts';

export class HandedSockets {
  /** Numbers that may be named, and by whom: two who have the same socket would take from each other, and close it. */
  readonly #owners: Map<number, Owner>;
  /** Numbers that event loops, or the admin listener, have been told of, and which sockets those were. */
  readonly #told = new Map<number, number>();

  /** `announced`: what a predecessor or a service manager says. `first`: a configuration that names what a shell has opened, null for none. */
  constructor(announced: ReadonlyMap<number, Owner>, first: Configuration | null) {
    this.#owners = new Map(announced);
    for (const { fd } of first === null ? [] : numbersOf(first))
      if (!this.#owners.has(fd) && inodeOf(fd) > 0) this.#owners.set(fd, 'nobody');
  }

  /** '' or which are not to be had. */
  judge(configuration: Configuration): string {
    const faults = numbersOf(configuration).flatMap(({ who, fd, owner }) => {
      const known = this.#owners.get(fd);
      if (known === undefined) return [`${who}: fd:${fd}: ${NOT_HANDED}`];
      return known === 'nobody' || known === owner ? [] : [`${who}: fd:${fd}: ${OTHERS[known]}`];
    });
    return faults.join('; ');
  }

  /** Whoever is to listen is told to take what this one names. */
  give(configuration: Configuration): void {
    for (const { fd } of numbersOf(configuration)) this.#told.set(fd, inodeOf(fd));
  }

  /** `configuration` still holds; of what was given besides, all is as it was that nobody had begun to listen at, and closed. */
  giveUp(configuration: Configuration): void {
    for (const [fd, inode] of this.#told) if (inode > 0 && inodeOf(fd) === inode) this.#told.delete(fd);
    this.settle(configuration);
  }

  /** Only what this one names is still open of what was given: the rest is closed, and may be somebody else's number soon. */
  settle(configuration: Configuration): void {
    const named = numbersOf(configuration);
    const kept = new Set(named.map(({ fd }) => fd));
    for (const fd of this.#told.keys()) if (!kept.has(fd)) this.#owners.delete(fd);
    for (const { fd, owner } of named) {
      this.#owners.set(fd, owner);
      this.#told.set(fd, inodeOf(fd));
    }
  }

  /** Only what this one names is still open at all. */
  retain(configuration: Configuration): void {
    for (const fd of this.#owners.keys()) this.#told.set(fd, 0);
    this.settle(configuration);
  }
}

const NOT_HANDED =
  'no such socket was handed over when this process started, or it was let go since; a socket unit of systemd hands sockets over';

const OTHERS = {
  listener: 'a listener has this socket; the admin listener can only have it from the next start on',
  admin: 'the admin listener has this socket; a listener can only have it from the next start on',
} as const;

function numbersOf({ listeners, admin }: Configuration): { who: string; fd: number; owner: Owner }[] {
  const bound = Object.entries(listeners).flatMap(([name, { bind }]) =>
    bind.map((address) => ({ who: `listener ${name}`, address, owner: 'listener' as Owner })),
  );
  if (admin !== null) bound.push({ who: 'admin', address: admin.bind, owner: 'admin' });
  return bound.flatMap(({ who, address: { kind, fd }, owner }) => (kind === 'fd' ? [{ who, fd, owner }] : []));
}

/** Of a socket; 0 for what is none. */
function inodeOf(fd: number): number {
  try {
    const found = fstatSync(fd);
    return found.isSocket() ? found.ino : 0;
  } catch {
    return 0;
  }
}
