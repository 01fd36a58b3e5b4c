// Certificates of an authority by ACME for one listener: which there are, when each is due, and what happens when the
// authority fails. What was issued before goes on serving meanwhile. The order itself is order.ts's.

import type { Log } from '../../base/log.ts';
import type { Identity } from '../identity.ts';
import { ALONE, type CertificateNews, type Issuer, type Ordering } from '../issuer.ts';
import type { AcmeCertificate } from '../options.ts';
import { Refusal } from './client.ts';
import { AcmeFolder } from './folder.ts';
import { orderCertificate } from './order.ts';

/** How long failures wait. Authorities allow few of them: Let's Encrypt five per hour and name. */
export interface Pace {
  /** After the first failure; doubled by each, up to `longestMs`. */
  readonly againMs: number;
  readonly longestMs: number;
  /** While another process orders. */
  readonly lockedMs: number;
}

const PACE: Pace = { againMs: 2 * 60_000, longestMs: 12 * 60 * 60_000, lockedMs: 5000 };

/** Orders under way at once. */
const AT_ONCE = 4;
/** Names beyond those configured, and how many of them may be begun per hour: clients choose them. */
const MOST_ON_DEMAND = 1000;
const ON_DEMAND_PER_HOUR = 60;
const HOUR_MS = 60 * 60_000;
/** Connections that wait for one certificate. */
const MOST_WAITING = 64;
/** The longest that a timer of Node's can be set. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** One certificate, there or wanted. */
interface Managed {
  readonly names: readonly string[];
  readonly onDemand: boolean;
  identity: Identity | null;
  /** When something is to be done next; infinite for what waits for a client that asks. */
  dueMs: number;
  /** Until when clients are not listened to, after a failure. */
  blockedMs: number;
  failures: number;
  /** Until when nothing is ordered, after a failure. */
  againMs: number;
  busy: boolean;
  /** Told whether there is a certificate now. */
  waiting: ((found: boolean) => void)[];
}

export class AcmeIssuer implements Issuer {
  readonly stats = { issued: 0, failed: 0 };
  readonly #options: AcmeCertificate;
  readonly #log: Log;
  readonly #pace: Pace;
  readonly #ordering: Ordering;
  readonly #folder: AcmeFolder;
  readonly #managed = new Map<string, Managed>();
  readonly #stopping = new AbortController();
  readonly #underWay = new Set<Promise<void>>();
  /** When names that clients asked for were begun, within the last hour. */
  #begunMs: number[] = [];
  #issued: (identities: readonly Identity[]) => void = () => {};
  #timer: NodeJS.Timeout | null = null;

  constructor(options: AcmeCertificate, log: Log, pace: Pace = PACE, ordering: Ordering = ALONE) {
    this.#options = options;
    this.#log = log;
    this.#pace = pace;
    this.#ordering = ordering;
    this.#folder = new AcmeFolder(options.folder, options.directory);
  }

  start(issued: (identities: readonly Identity[]) => void): void {
    this.#issued = issued;
    const { names } = this.#options;
    if (names.length > 0) this.#manage(names, false);
    this.#tell();
    this.#schedule();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    if (this.#timer !== null) clearTimeout(this.#timer);
    for (const managed of this.#managed.values()) this.#answer(managed);
    await Promise.all(this.#underWay);
  }

  demand(name: string, done: (found: boolean) => void): boolean {
    if (this.#stopping.signal.aborted || !allows(this.#options.onDemand, name)) return false;
    const managed = this.#managed.get(name) ?? this.#begin(name);
    if (managed === null || managed.waiting.length >= MOST_WAITING) return false;
    if (managed.identity !== null) {
      queueMicrotask(() => done(true));
      return true;
    }
    if (managed.blockedMs > Date.now()) return false;
    managed.waiting.push(done);
    if (managed.dueMs === Number.POSITIVE_INFINITY) managed.dueMs = 0;
    if (!this.#ordering.orders) this.#ordering.say({ kind: 'certificate', word: 'wanted', names: [name], forMs: 0 });
    this.#schedule();
    return true;
  }

  hear({ word, names, forMs }: CertificateNews): void {
    const [name = ''] = names;
    if (word === 'wanted') {
      // Whoever asked hears of it with everybody else.
      if (this.#ordering.orders) this.demand(name, () => {});
      return;
    }
    const managed = this.#managed.get(names.join(' '));
    if (managed === undefined) return;
    if (word === 'refused') managed.blockedMs = Date.now() + forMs;
    else if (this.#adopt(managed)) managed.dueMs = renewalMs(managed.identity!);
    this.#answer(managed);
    this.#schedule();
  }

  proof(name: string): Identity | null {
    const { challenge, names, onDemand } = this.#options;
    if (challenge !== 'tls-alpn-01' || !(names.includes(name) || allows(onDemand, name))) return null;
    return this.#folder.proof(name);
  }

  /** A name that a client asks for first; null when there are too many. */
  #begin(name: string): Managed | null {
    const now = Date.now();
    this.#begunMs = this.#begunMs.filter((ms) => now - ms < HOUR_MS);
    if (this.#managed.size >= MOST_ON_DEMAND) this.#forgetFailed();
    if (this.#managed.size >= MOST_ON_DEMAND || this.#begunMs.length >= ON_DEMAND_PER_HOUR) {
      this.#log.limited('on demand', 60_000).warn('too many certificates on demand', {
        held: this.#managed.size,
        lastHour: this.#begunMs.length,
      });
      return null;
    }
    const managed = this.#manage([name], true);
    // What is on disk already was ordered before.
    if (managed.identity === null) this.#begunMs.push(now);
    else this.#tell();
    return managed;
  }

  #forgetFailed(): void {
    for (const [key, { identity, busy }] of this.#managed) {
      if (identity === null && !busy) return void this.#managed.delete(key);
    }
  }

  #manage(names: readonly string[], onDemand: boolean): Managed {
    const identity = this.#read(names);
    const managed: Managed = {
      names,
      onDemand,
      identity,
      dueMs: 0,
      blockedMs: 0,
      failures: 0,
      againMs: 0,
      busy: false,
      waiting: [],
    };
    if (identity !== null) managed.dueMs = renewalMs(identity);
    this.#managed.set(names.join(' '), managed);
    return managed;
  }

  #read(names: readonly string[]): Identity | null {
    try {
      return this.#folder.read(names);
    } catch (error) {
      this.#log.error('kept certificate not read', { names: told(names), fault: (error as Error).message });
      return null;
    }
  }

  #tell(): void {
    this.#issued([...this.#managed.values()].flatMap(({ identity }) => identity ?? []));
  }

  /** Begins what is due and waits for what is next. */
  #schedule(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    if (this.#stopping.signal.aborted) return;
    const now = Date.now();
    let busy = 0;
    for (const managed of this.#managed.values()) if (managed.busy) busy++;
    let next = now + LONGEST_TIMER_MS;
    for (const managed of this.#managed.values()) {
      if (managed.busy) continue;
      if (managed.dueMs > now) next = Math.min(next, managed.dueMs);
      else if (busy < AT_ONCE) {
        busy++;
        managed.busy = true;
        const renewing = this.#renew(managed).finally(() => this.#underWay.delete(renewing));
        this.#underWay.add(renewing);
      }
    }
    this.#timer = setTimeout(() => this.#schedule(), next - now);
    this.#timer.unref();
  }

  async #renew(managed: Managed): Promise<void> {
    try {
      const before = managed.identity;
      managed.dueMs = await this.#get(managed);
      if (managed.identity !== before) managed.failures = managed.againMs = 0;
    } catch (error) {
      this.#failed(managed, error as Error);
    }
    managed.busy = false;
    if (managed.identity !== null || managed.failures > 0) this.#answer(managed);
    this.#schedule();
  }

  /** Gets a certificate, from the authority or from another process that was quicker; answers when to see to it next. */
  async #get(managed: Managed): Promise<number> {
    const { names } = managed;
    this.#folder.prepare();
    const lock = this.#ordering.orders ? this.#folder.lock(names) : null;
    if (this.#adopt(managed)) {
      lock?.release();
      return renewalMs(managed.identity!);
    }
    // Others may be luckier, so what they get is looked for also while we are to wait.
    if (lock === null || managed.againMs > Date.now()) {
      lock?.release();
      return Date.now() + this.#pace.lockedMs;
    }
    try {
      const pair = await orderCertificate(names, this.#options, this.#folder, this.#stopping.signal);
      this.#folder.keep(names, pair);
      if (!this.#adopt(managed)) throw new Error('what was issued cannot be read again');
      this.stats.issued++;
      this.#ordering.say({ kind: 'certificate', word: 'issued', names, forMs: 0 });
      const until = new Date(managed.identity!.notAfterMs).toISOString();
      this.#log.info('certificate issued', { names: told(names), authority: this.#options.directory, until });
      return renewalMs(managed.identity!);
    } finally {
      lock.release();
    }
  }

  /** Takes what is on disk if it holds longer than what is served. */
  #adopt(managed: Managed): boolean {
    const kept = this.#read(managed.names);
    if (kept === null || kept.notAfterMs <= (managed.identity?.notAfterMs ?? Date.now())) return false;
    managed.identity = kept;
    this.#tell();
    return true;
  }

  #failed(managed: Managed, error: Error): void {
    if (this.#stopping.signal.aborted) return;
    managed.failures++;
    this.stats.failed++;
    const { againMs, longestMs } = this.#pace;
    const doubled = Math.min(againMs * 2 ** Math.min(managed.failures - 1, 30), longestMs);
    const asked = error instanceof Refusal ? error.retryAfterMs : 0;
    const waitMs = Math.max(asked, doubled * (0.75 + Math.random() / 2));
    managed.againMs = Date.now() + waitMs;
    if (managed.onDemand) {
      this.#ordering.say({ kind: 'certificate', word: 'refused', names: managed.names, forMs: waitMs });
    }
    managed.dueMs = Date.now() + Math.min(waitMs, this.#pace.lockedMs);
    this.#log.error(managed.identity === null ? 'certificate not issued' : 'certificate not renewed', {
      names: told(managed.names),
      authority: this.#options.directory,
      fault: error.message,
      againInS: Math.round(waitMs / 1000),
    });
    // Names that clients asked for and that lead here no longer.
    if (!managed.onDemand) return;
    if (managed.identity !== null && managed.identity.notAfterMs < Date.now()) {
      this.#managed.delete(managed.names.join(' '));
      this.#tell();
    } else if (managed.identity === null) {
      managed.blockedMs = managed.againMs;
      managed.dueMs = Number.POSITIVE_INFINITY;
    }
  }

  #answer(managed: Managed): void {
    const { identity, waiting } = managed;
    managed.waiting = [];
    for (const done of waiting) done(identity !== null);
  }
}

/** When a certificate is renewed: with a third of its life left, or up to a thirtieth earlier, so that many do not come at once. */
export function renewalMs({ notBeforeMs, notAfterMs }: Identity): number {
  const life = notAfterMs - notBeforeMs;
  return notAfterMs - life / 3 - (Math.random() * life) / 30;
}

/** Whether a list of names and `*.` patterns, which stand for all names below, has this one. */
function allows(patterns: readonly string[], name: string): boolean {
  return patterns.some((pattern) =>
    pattern.startsWith('*.') ? name.endsWith(pattern.slice(1)) && name.length > pattern.length - 1 : pattern === name,
  );
}

function told(names: readonly string[]): string {
  return names.slice(0, 5).join(' ');
}
