// Leasing an upstream connection and giving it back: our pool beside a bare array (what it cannot be quicker than),
// beside how node:http's Agent finds a socket, and beside undici's Pool. Connections are stand-ins that do nothing.

import { EventEmitter } from 'node:events';
import { Agent } from 'node:http';
import { type Dispatcher, Pool as UndiciPool } from 'undici';
import { Pool, type Poolable } from '../../lib/upstream/pool.ts';
import type { Case, Subject, Trial } from './subject.ts';

export const pool: Subject = {
  name: 'pool',
  about: 'give one connection back and lease one, of 64 to an endpoint',
  prepare: () => [
    lease('one exchange at a time', 1),
    lease('16 exchanges under way', 16),
    lease('60 exchanges under way', 60),
    deaths(),
  ],
};

const PER_RUN = 512;
const CONNECTIONS = 64;
const ORIGIN = 'http://10.0.0.1:8080';
const OPTIONS = { host: '10.0.0.1', port: 8080 };

/** A connection that is only counted. */
class StandIn implements Poolable {
  readonly id: number;
  destroyed = false;

  constructor(id: number) {
    this.id = id;
  }

  retire(): void {
    throw new Error('nothing is to be retired here');
  }
}

/** The exchange that began first ends, another begins; `inFlight` are under way all the time. */
function lease(name: string, inFlight: number): Trial {
  return { name, cases: [ours(inFlight), array(inFlight), agent(inFlight), undici(inFlight)] };
}

function ours(inFlight: number): Case {
  const idle = new Pool(CONNECTIONS, 0);
  for (const connection of standIns()) idle.give(connection);
  const ring = Array.from({ length: inFlight }, () => idle.take()!);
  let at = 0;
  return {
    name: 'millrace',
    ours: true,
    note: '',
    perRun: PER_RUN,
    run() {
      let sum = 0;
      for (let i = 0; i < PER_RUN; i++) {
        idle.give(ring[at]!);
        const leased = idle.take()!;
        ring[at] = leased;
        sum += (leased as StandIn).id;
        at = at + 1 < inFlight ? at + 1 : 0;
      }
      return sum;
    },
    answer: () => tally(ring as StandIn[], idle.idle),
  };
}

function array(inFlight: number): Case {
  const idle = standIns();
  const ring = Array.from({ length: inFlight }, () => idle.pop()!);
  let at = 0;
  return {
    name: 'push and pop',
    ours: false,
    note: 'less: no caps, no draining',
    perRun: PER_RUN,
    run() {
      let sum = 0;
      for (let i = 0; i < PER_RUN; i++) {
        idle.push(ring[at]!);
        const leased = idle.pop()!;
        ring[at] = leased;
        sum += leased.id;
        at = at + 1 < inFlight ? at + 1 : 0;
      }
      return sum;
    },
    answer: () => tally(ring, idle.length),
  };
}

/** The Agent's book-keeping alone: its own name for the endpoint, its record of free sockets, the two lists. */
function agent(inFlight: number): Case {
  const naming = new Agent();
  const free: Record<string, StandIn[] | undefined> = Object.create(null);
  const used: Record<string, StandIn[]> = Object.create(null);
  const name = naming.getName(OPTIONS);
  free[name] = standIns();
  used[name] = [];
  const take = (): StandIn => {
    const key = naming.getName(OPTIONS);
    const idle = free[key]!;
    while (idle.length > 0 && idle[0]!.destroyed) idle.shift();
    const socket = idle.pop()!;
    if (idle.length === 0) delete free[key];
    used[key]!.push(socket);
    return socket;
  };
  const give = (socket: StandIn): void => {
    const key = naming.getName(OPTIONS);
    const busy = used[key]!;
    busy.splice(busy.indexOf(socket), 1);
    const idle = free[key];
    if (idle === undefined) free[key] = [socket];
    else if (idle.length < naming.maxFreeSockets) idle.push(socket);
  };
  const ring = Array.from({ length: inFlight }, take);
  let at = 0;
  return {
    name: "as node:http's Agent",
    ours: false,
    note: 'less: no listeners moved, no timer set; more: finds the endpoint by name',
    perRun: PER_RUN,
    run() {
      let sum = 0;
      for (let i = 0; i < PER_RUN; i++) {
        give(ring[at]!);
        const leased = take();
        ring[at] = leased;
        sum += leased.id;
        at = at + 1 < inFlight ? at + 1 : 0;
      }
      return sum;
    },
    answer: () => tally(ring, free[name]?.length ?? 0),
  };
}

/** What undici's Pool sees of a connection with one exchange at a time: busy from dispatch until it says `drain`. */
class StandInClient extends EventEmitter {
  readonly connection: StandIn;
  closed = false;
  destroyed = false;

  constructor(connection: StandIn) {
    super();
    this.connection = connection;
  }

  dispatch(): boolean {
    dispatchedTo = this;
    return false;
  }
}

/** The client that undici's Pool chose last. */
let dispatchedTo: StandInClient | null = null;

function undici(inFlight: number): Case {
  const clients = standIns().map((connection) => new StandInClient(connection));
  let made = 0;
  const chooser = new UndiciPool(ORIGIN, {
    connections: CONNECTIONS,
    factory: () => clients[made++] as unknown as Dispatcher,
  });
  const request: Dispatcher.DispatchOptions = { origin: ORIGIN, path: '/', method: 'GET' };
  const handler: Dispatcher.DispatchHandler = { onRequestStart() {}, onResponseError() {} };
  const origin = new URL(ORIGIN);
  const take = (): StandInClient => {
    chooser.dispatch(request, handler);
    return dispatchedTo!;
  };
  const give = (client: StandInClient): void => {
    client.emit('drain', origin, [client]);
  };
  // All connections exist before the first is measured.
  const all = Array.from({ length: CONNECTIONS }, take);
  for (const client of all) give(client);
  const ring = Array.from({ length: inFlight }, take);
  let at = 0;
  return {
    name: "undici's Pool",
    ours: false,
    note: 'more: a handler is checked and wrapped, waiting requests are looked for',
    perRun: PER_RUN,
    run() {
      let sum = 0;
      for (let i = 0; i < PER_RUN; i++) {
        give(ring[at]!);
        const leased = take();
        ring[at] = leased;
        sum += leased.connection.id;
        at = at + 1 < inFlight ? at + 1 : 0;
      }
      return sum;
    },
    answer: () =>
      tally(
        ring.map(({ connection }) => connection),
        CONNECTIONS - new Set(ring).size,
      ),
  };
}

/** Idle connections close, the oldest first, and others come for them. */
function deaths(): Trial {
  return { name: `the oldest of ${CONNECTIONS} idle ones closes`, cases: [ourDeaths(), setDeaths()] };
}

function ourDeaths(): Case {
  const idle = new Pool(CONNECTIONS, 0);
  const connections = standIns();
  for (const connection of connections) idle.give(connection);
  idle.open = connections.length;
  let oldest = 0;
  return {
    name: 'millrace',
    ours: true,
    note: '',
    perRun: PER_RUN,
    run() {
      let sum = 0;
      for (let i = 0; i < PER_RUN; i++) {
        const connection = connections[oldest]!;
        idle.closed(connection);
        idle.opened();
        idle.give(connection);
        sum += connection.id;
        oldest = oldest + 1 < connections.length ? oldest + 1 : 0;
      }
      return sum;
    },
    answer: () => idle.idle,
  };
}

function setDeaths(): Case {
  const idle = new Set<StandIn>();
  const connections = standIns();
  for (const connection of connections) idle.add(connection);
  let oldest = 0;
  return {
    name: 'a Set',
    ours: false,
    note: 'less: cannot give the one that was used last',
    perRun: PER_RUN,
    run() {
      let sum = 0;
      for (let i = 0; i < PER_RUN; i++) {
        const connection = connections[oldest]!;
        idle.delete(connection);
        idle.add(connection);
        sum += connection.id;
        oldest = oldest + 1 < connections.length ? oldest + 1 : 0;
      }
      return sum;
    },
    answer: () => idle.size,
  };
}

function standIns(): StandIn[] {
  return Array.from({ length: CONNECTIONS }, (_, id) => new StandIn(id));
}

/** No connection is leased twice, none is lost. */
function tally(leased: readonly StandIn[], idle: number): unknown {
  return { leased: new Set(leased).size, idle };
}
