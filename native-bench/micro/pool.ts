// Leasing an upstream connection and giving it back: our pool beside a bare array (what it cannot be quicker than),
// beside how node:http's Agent finds a socket, and beside undici's Pool. Connections are stand-ins that do nothing.

import { EventEmitter } from 'node:events';
import { Agent } from 'node:http';
import { type Dispatcher, Pool as UndiciPool } from 'undici';
import { Pool, type Poolable } from '../../lib/upstream/pool.ts';
import { type Case, ours, type Subject, type Trial, theirs } from './subject.ts';

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

/** Those that are leased, in the order in which they were. */
class Ring<Connection> {
  readonly leased: Connection[];
  #at = 0;

  constructor(leased: Connection[]) {
    this.leased = leased;
  }

  /** Whose exchange began first; it makes room for the one that is put next. */
  oldest(): Connection {
    return this.leased[this.#at]!;
  }

  put(connection: Connection): Connection {
    this.leased[this.#at] = connection;
    this.#at = this.#at + 1 < this.leased.length ? this.#at + 1 : 0;
    return connection;
  }

  /** No connection is leased twice, none is lost. */
  tally(idle: number): unknown {
    return { leased: new Set(this.leased).size, idle };
  }
}

/** The exchange that began first ends, another begins; `inFlight` are under way all the time. */
function lease(name: string, inFlight: number): Trial {
  return { name, cases: [ourPool(inFlight), array(inFlight), agent(inFlight), undici(inFlight)] };
}

function ourPool(inFlight: number): Case {
  const idle = new Pool(CONNECTIONS, 0);
  for (const connection of standIns()) idle.give(connection);
  const ring = new Ring(Array.from({ length: inFlight }, () => idle.take() as StandIn));
  return ours(PER_RUN, {
    operate() {
      idle.give(ring.oldest());
      return ring.put(idle.take() as StandIn).id;
    },
    answer: () => ring.tally(idle.idle),
  });
}

function array(inFlight: number): Case {
  const idle = standIns();
  const ring = new Ring(Array.from({ length: inFlight }, () => idle.pop()!));
  return theirs(PER_RUN, 'push and pop', 'less: no caps, no draining', {
    operate() {
      idle.push(ring.oldest());
      return ring.put(idle.pop()!).id;
    },
    answer: () => ring.tally(idle.length),
  });
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
  const ring = new Ring(Array.from({ length: inFlight }, take));
  const note = 'less: no listeners moved, no timer set; more: finds the endpoint by name';
  return theirs(PER_RUN, "as node:http's Agent", note, {
    operate() {
      give(ring.oldest());
      return ring.put(take()).id;
    },
    answer: () => ring.tally(free[name]?.length ?? 0),
  });
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
  const ring = new Ring(Array.from({ length: inFlight }, take));
  const note = 'more: a handler is checked and wrapped, waiting requests are looked for';
  return theirs(PER_RUN, "undici's Pool", note, {
    operate() {
      give(ring.oldest());
      return ring.put(take()).connection.id;
    },
    answer: () => ring.tally(CONNECTIONS - new Set(ring.leased).size),
  });
}

/** Idle connections close, the oldest first, and others come for them. */
function deaths(): Trial {
  return { name: `the oldest of ${CONNECTIONS} idle ones closes`, cases: [ourDeaths(), setDeaths()] };
}

function ourDeaths(): Case {
  const idle = new Pool(CONNECTIONS, 0);
  const ring = new Ring(standIns());
  for (const connection of ring.leased) idle.give(connection);
  idle.open = CONNECTIONS;
  return ours(PER_RUN, {
    operate() {
      const connection = ring.oldest();
      idle.closed(connection);
      idle.opened();
      idle.give(connection);
      return ring.put(connection).id;
    },
    answer: () => idle.idle,
  });
}

function setDeaths(): Case {
  const idle = new Set<StandIn>();
  const ring = new Ring(standIns());
  for (const connection of ring.leased) idle.add(connection);
  return theirs(PER_RUN, 'a Set', 'less: cannot give the one that was used last', {
    operate() {
      const connection = ring.oldest();
      idle.delete(connection);
      idle.add(connection);
      return ring.put(connection).id;
    },
    answer: () => idle.size,
  });
}

function standIns(): StandIn[] {
  return Array.from({ length: CONNECTIONS }, (_, id) => new StandIn(id));
}
