// Active checks of a cluster: each endpoint at its own time, more often while the answer changes, and told only when it
// has been the same often enough.

import type { Cluster } from '../upstream/cluster.ts';
import type { Endpoint } from '../upstream/endpoint.ts';
import type { HealthOptions } from '../upstream/options.ts';
import { probe } from './probe.ts';

/** Part of an interval that checks are spread by, so that they do not come to all endpoints at once for ever. */
const JITTER = 0.1;

/** First checks that are made at once; so few say soon what is well. */
const AT_ONCE = 16;
/** How far apart the others are, in ms, unless there are so many that they would take longer than an interval. */
const APART_MS = 5;

/** What is known of one endpoint. */
interface Checked {
  readonly endpoint: Endpoint;
  /** Checks in a row that contradict what is believed. */
  contrary: number;
  timer: NodeJS.Timeout | null;
  cancel: (() => void) | null;
}

export class HealthChecker {
  readonly #cluster: Cluster;
  readonly #options: HealthOptions;
  readonly #probe: typeof probe;
  readonly #checked = new Map<Endpoint, Checked>();
  #running = false;

  constructor(cluster: Cluster, options: HealthOptions, check = probe) {
    this.#cluster = cluster;
    this.#options = options;
    this.#probe = check;
    cluster.onMembers = () => this.#follow();
  }

  start(): void {
    this.#running = true;
    this.#follow();
  }

  stop(): void {
    this.#running = false;
    for (const checked of this.#checked.values()) end(checked);
    this.#checked.clear();
  }

  /** Endpoints come and go. */
  #follow(): void {
    if (!this.#running) return;
    const members = new Set(this.#cluster.endpoints);
    for (const [endpoint, checked] of this.#checked) {
      if (members.has(endpoint)) continue;
      end(checked);
      this.#checked.delete(endpoint);
    }
    const fresh: Checked[] = [];
    for (const endpoint of members) {
      if (this.#checked.has(endpoint)) continue;
      const checked: Checked = { endpoint, contrary: 0, timer: null, cancel: null };
      this.#checked.set(endpoint, checked);
      fresh.push(checked);
    }
    const apartMs = Math.min(APART_MS, this.#options.intervalMs / fresh.length);
    for (const [place, checked] of fresh.entries()) {
      if (place < AT_ONCE) this.#check(checked);
      else this.#checkIn(checked, (place - AT_ONCE + 1) * apartMs);
    }
  }

  #checkIn(checked: Checked, ms: number): void {
    checked.timer = setTimeout(() => this.#check(checked), ms);
    checked.timer.unref();
  }

  #check(checked: Checked): void {
    checked.timer = null;
    checked.endpoint.stats.checks++;
    checked.cancel = this.#probe(this.#cluster, checked.endpoint, this.#options, (fault, ours) => {
      checked.cancel = null;
      // When we have no descriptor left, that says nothing of the endpoint; the next check comes soon.
      if (!ours) this.#judge(checked, fault);
      this.#wait(checked, ours);
    });
  }

  #judge(checked: Checked, fault: string): void {
    const { endpoint } = checked;
    const { health } = endpoint.standing;
    const well = fault === '';
    if (health === 'unknown') {
      // The first answer counts at once: nobody knows better.
      return this.#cluster.found(endpoint, well ? 'up' : 'down', fault || 'first check');
    }
    if (well === (health === 'up')) {
      checked.contrary = 0;
      return;
    }
    checked.contrary++;
    const { rise, fall } = this.#options;
    if (checked.contrary < (well ? rise : fall)) return;
    checked.contrary = 0;
    const reason = well ? `${rise} checks went well` : `${fall} checks failed, the last: ${fault}`;
    this.#cluster.found(endpoint, well ? 'up' : 'down', reason);
  }

  #wait(checked: Checked, soon: boolean): void {
    if (!this.#running || this.#checked.get(checked.endpoint) !== checked) return;
    const { intervalMs, fastMs } = this.#options;
    const ms = soon || checked.contrary > 0 ? Math.min(fastMs, intervalMs) : intervalMs;
    this.#checkIn(checked, ms * (1 - JITTER + 2 * JITTER * Math.random()));
  }
}

function end(checked: Checked): void {
  if (checked.timer !== null) clearTimeout(checked.timer);
  checked.cancel?.();
}
