// Which descriptors a configuration may name (`bind: fd:N`): sockets that this process was started with, and none that came
// later. By then a number may be anything: a listening socket of our own, which two would accept from, or a client.

import { fstatSync } from 'node:fs';
import type { Configuration } from '../config/configuration.ts';

export class HandedSockets {
  readonly #numbers: Set<number>;
  /** Numbers that event loops have been told of. */
  readonly #told = new Set<number>();

  /** `announced`: what a predecessor or a service manager says. `first`: a configuration that names what a shell has opened, null for none. */
  constructor(announced: ReadonlySet<number>, first: Configuration | null) {
    const named = first === null ? [] : numbersOf(first);
    this.#numbers = new Set([...announced, ...named.flatMap(({ fd }) => (isSocket(fd) ? [fd] : []))]);
  }

  /** '' or which are not to be had. */
  judge(configuration: Configuration): string {
    const missing = numbersOf(configuration).filter(({ fd }) => !this.#numbers.has(fd));
    return missing.map(({ who, fd }) => `${who}: fd:${fd}: ${NOT_HANDED}`).join('; ');
  }

  /** Event loops are to take what this one names. */
  give(configuration: Configuration): void {
    for (const { fd } of numbersOf(configuration)) this.#told.add(fd);
  }

  /** Only what this one names is still open of what was given: the rest is closed, and may be somebody else's number soon. */
  settle(configuration: Configuration): void {
    const kept = new Set(numbersOf(configuration).map(({ fd }) => fd));
    for (const fd of this.#told) if (!kept.has(fd)) this.#numbers.delete(fd);
  }
}

const NOT_HANDED =
  'no such socket was handed over when this process started, or it was let go since; a socket unit of systemd hands sockets over';

function numbersOf({ listeners, admin }: Configuration): { who: string; fd: number }[] {
  const bound = Object.entries(listeners).flatMap(([name, { bind }]) =>
    bind.map((address) => ({ who: `listener ${name}`, address })),
  );
  if (admin !== null) bound.push({ who: 'admin', address: admin.bind });
  return bound.flatMap(({ who, address: { kind, fd } }) => (kind === 'fd' ? [{ who, fd }] : []));
}

function isSocket(fd: number): boolean {
  try {
    return fstatSync(fd).isSocket();
  } catch {
    return false;
  }
}
