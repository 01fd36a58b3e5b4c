// What happens to origins.

import { pause } from '../host/trials.ts';
import type { Fleet } from './fleet.ts';

export interface Fault {
  readonly name: string;
  /** What comes before it, under load, and is part of what clients may notice. */
  before?(fleet: Fleet): Promise<void>;
  /** Begins. */
  strike(fleet: Fleet): Promise<void> | void;
  /** Ends. */
  heal(fleet: Fleet): Promise<void> | void;
  /** The fault strikes and heals by itself within `strike`, so nothing can be timed. */
  readonly whole?: boolean;
  /** Seconds in which an origin that is back is to get its share again, by and by. */
  readonly slowStartS?: number;
  /** Origins are found by name. */
  readonly named?: boolean;
}

export const FAULTS: readonly Fault[] = [
  { name: 'killed', strike: (fleet) => fleet.kill(0, 'SIGKILL'), heal: (fleet) => fleet.revive(0) },
  { name: 'stopped', strike: (fleet) => fleet.kill(0, 'SIGSTOP'), heal: (fleet) => fleet.kill(0, 'SIGCONT') },
  { name: 'refused', strike: (fleet) => fleet.tell(0, 'closed'), heal: (fleet) => fleet.tell(0, 'well') },
  { name: 'silent', strike: (fleet) => fleet.tell(0, 'silent'), heal: (fleet) => fleet.tell(0, 'well') },
  { name: 'cut-heads', strike: (fleet) => fleet.tell(0, 'cut'), heal: (fleet) => fleet.tell(0, 'well') },
  { name: 'tenth-503', strike: (fleet) => fleet.tell(0, 'errors'), heal: (fleet) => fleet.tell(0, 'well') },
  {
    name: 'slow-start',
    slowStartS: 5,
    strike: (fleet) => fleet.kill(0, 'SIGKILL'),
    heal: (fleet) => fleet.revive(0),
  },
  {
    name: 'dns',
    named: true,
    async before(fleet) {
      for (const places of [[0, 1], [1, 2], [2, 0], [0], [1], [0, 1, 2]]) {
        fleet.list(...places);
        await pause(1000);
      }
    },
    strike: (fleet) => fleet.list(1, 2),
    heal: (fleet) => fleet.list(0, 1, 2),
  },
  {
    name: 'rolling',
    whole: true,
    async strike(fleet) {
      for (let place = 0; place < fleet.ports.length; place++) {
        await fleet.kill(place, 'SIGTERM');
        await pause(300);
        await fleet.revive(place);
        await pause(4000);
      }
    },
    heal: () => {},
  },
  {
    name: 'all-dead',
    async strike(fleet) {
      await Promise.all(fleet.ports.map((_, place) => fleet.kill(place, 'SIGKILL')));
    },
    async heal(fleet) {
      await Promise.all(fleet.ports.map((_, place) => fleet.revive(place)));
    },
  },
];
