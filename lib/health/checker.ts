// Active checks of a cluster: each endpoint at its own time, more often while the answer changes, and told only when it
// has been the same often enough.

import type { Cluster } from '../upstream/cluster.ts';
import type { Endpoint } from '../upstream/endpoint.ts';
import type { HealthOptions } from '../upstream/options.ts';
import { probe } from './probe.ts';

/** Part of an interval that checks are spread by, so that they do not come to all endpoints at once for ever. */
const JITTER = 0.1;

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
  readonly #checked = new Map<Endpoint, Checked>();
  #running = false;

  constructor(cluster: Cluster, options: HealthOptions) {
    this.#cluster = cluster;
    this.#options = options;
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
    for (const endpoint of members) {
      if (this.#checked.has(endpoint)) continue;
      const checked: Checked = { endpoint, contrary: 0, timer: null, cancel: null };
      this.#checked.set(endpoint, checked);
      this.#check(checked);
    }
  }

  #check(checked: Checked): void {
    checked.timer = null;
    checked.endpoint.stats.checks++;
    checked.cancel = probe(this.#cluster, checked.endpoint, this.#options, (fault) => {
      checked.cancel = null;
      this.#judge(checked, fault);
      this.#wait(checked);
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

  #wait(checked: Checked): void {
    if (!this.#running || this.#checked.get(checked.endpoint) !== checked) return;
    const { intervalMs, fastMs } = this.#options;
    const ms = checked.contrary > 0 ? Math.min(fastMs, intervalMs) : intervalMs;
    checked.timer = setTimeout(() => this.#check(checked), ms * (1 - JITTER + 2 * JITTER * Math.random()));
    checked.timer.unref();
  }
}

function end(checked: Checked): void {
  if (checked.timer !== null) clearTimeout(checked.timer);
  checked.cancel?.();
}
