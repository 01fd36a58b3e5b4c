// Of a name's addresses the one that answers first: attempts begin one after the other, families in turn, and go on beside
// each other until one succeeds (RFC 8305, Happy Eyeballs).

import dns from 'node:dns';
import { isIP, type Socket } from 'node:net';

/** How long an attempt stays the only one (RFC 8305 5 and 8). */
const ATTEMPT_DELAY_MS = 250;

export interface Race {
  /** To be looked up by the system. */
  readonly host: string;
  /** 4 or 6: addresses of this family alone; 0: of both. */
  readonly family: 0 | 4 | 6;
  /** Begins to connect to one address; must not throw. */
  readonly open: (address: string) => Socket;
  /** It stands, and has not read anything yet. Called once at most, and never beside `lost`. */
  readonly won: (socket: Socket) => void;
  /** No address answers; the error is that of the last one that failed. */
  readonly lost: (error: NodeJS.ErrnoException) => void;
  readonly lookup?: typeof dns.lookup;
}

/** Begins; answers what breaks it off, which may be called at any time. */
export function race({ host, family, open, won, lost, lookup = dns.lookup }: Race): () => void {
  const running = new Set<Socket>();
  let waiting: string[] = [];
  let timer: NodeJS.Timeout | undefined;
  let over = false;

  const end = (): void => {
    over = true;
    clearTimeout(timer);
    for (const socket of running) socket.destroy();
    running.clear();
  };
  const next = (): void => {
    clearTimeout(timer);
    const address = waiting.shift();
    if (address === undefined) return;
    const socket = open(address);
    running.add(socket);
    const failed = (error: NodeJS.ErrnoException): void => {
      running.delete(socket);
      if (over) return;
      if (waiting.length > 0) next();
      else if (running.size === 0) {
        end();
        lost(error);
      }
    };
    socket.once('error', failed);
    socket.once('connect', () => {
      running.delete(socket);
      if (over) return;
      socket.off('error', failed);
      end();
      won(socket);
    });
    if (waiting.length > 0) timer = setTimeout(next, ATTEMPT_DELAY_MS);
  };
  lookup(host, { all: true, family }, (error, found) => {
    if (over) return;
    waiting = inTurn(error === null ? found.map(({ address }) => address) : []);
    if (waiting.length > 0) return next();
    end();
    lost(error ?? Object.assign(new Error(`${host} has no address`), { code: 'ENOTFOUND' }));
  });
  return end;
}

/** Families in turn, beginning with that of the first; each in its own order (RFC 8305 4). */
export function inTurn(addresses: readonly string[]): string[] {
  const first = isIP(addresses[0] ?? '');
  const [ours, others] = [
    addresses.filter((one) => isIP(one) === first),
    addresses.filter((one) => isIP(one) !== first),
  ];
  return ours.flatMap((one, at) => [one, ...others.slice(at, at + 1)]).concat(others.slice(ours.length));
}
