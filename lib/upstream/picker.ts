// What every balancing policy is: a choice among the endpoints that a cluster publishes. Made when the cluster is built,
// asked once per exchange or tunnel, allocating nothing.

import type { Endpoint } from './endpoint.ts';
import type { ClusterOptions } from './options.ts';
import { LeastConnections } from './picker/least-connections.ts';
import { RoundRobin } from './picker/round-robin.ts';
import { SmoothRoundRobin } from './picker/smooth-round-robin.ts';

export interface Picker {
  /** An endpoint, other than `avoid` if there is another. Null only without endpoints. */
  pick(avoid: Endpoint | null): Endpoint | null;
}

/** The picker for a policy. */
export function createPicker(balance: ClusterOptions['balance'], endpoints: readonly Endpoint[]): Picker {
  switch (balance) {
    case 'least-connections':
      return new LeastConnections(endpoints);
    case 'round-robin': {
      const equal = endpoints.every((endpoint) => endpoint.weight === endpoints[0]!.weight);
      return equal ? new RoundRobin(endpoints) : new SmoothRoundRobin(endpoints);
    }
  }
}
