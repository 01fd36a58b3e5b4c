// Who looks after the endpoints of a cluster for all event loops: checks, and discovery. They are kept out of the event loops,
// which are told what was found, and load none of this.

import type { Log } from '../base/log.ts';
import { Discovery } from '../discovery/discovery.ts';
import { isName, NameKeeper } from '../discovery/names.ts';
import { HealthChecker } from '../health/checker.ts';
import type { Cluster, Keeper } from '../upstream/cluster.ts';
import type { ClusterOptions } from '../upstream/options.ts';
import { readEndpoints } from './endpoint-list.ts';

export function keepersOf(cluster: Cluster, options: ClusterOptions, log: Log): readonly Keeper[] {
  const { health, discovery } = options;
  const keepers: Keeper[] = [];
  if (health !== null) keepers.push(new HealthChecker(cluster, health));
  // Lists that others write may hold names as well.
  const named =
    discovery !== null || options.endpoints.some(({ address: { kind, host } }) => kind === 'tcp' && isName(host));
  if (named) keepers.push(new NameKeeper(cluster, log));
  if (discovery !== null) keepers.push(new Discovery(cluster, discovery, readEndpoints, log));
  return keepers;
}
