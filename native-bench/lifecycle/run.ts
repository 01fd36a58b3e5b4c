// Operating a proxy under load, the same for each: reloads in a row, a stop, an upgrade in place, the loss of a worker, and
// tunnels over reloads; and for Millrace what a thousand reloads leave behind. Prints tables; some minutes.
// `node run.ts [TRIAL...]`.

import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { memoryOf, processTree } from '../host/accounting.ts';
import { formatTable, pause, presentOf, wantedOf } from '../host/trials.ts';
import { Crowd } from './crowd.ts';
import { OPERATED, type Operated } from './proxies.ts';
import { mebibytes, Running } from './running.ts';

const RELOADS = 200;
const MANY_RELOADS = 1000;
const WARM_RELOADS = 500;
const UPGRADES = 10;
const CLIENTS = { kept: 32, fresh: 8 };
const TUNNELS = 20;

interface Trial {
  readonly name: string;
  readonly columns: readonly string[];
  /** Whether it is of this proxy. */
  concerns(proxy: Operated): boolean;
  run(running: Running): Promise<readonly string[]>;
  /** Seconds that old tunnels may go on after a reload; each makes a row. */
  readonly limitsS?: readonly number[];
}

const LOSSES = ['answered', 'lost', 'of these'];

const TRIALS: readonly Trial[] = [
  {
    name: 'reloads',
    columns: [...LOSSES, 'p99 before ms', 'p99 during ms', 'ms per reload', 'longest ms', 'MiB', 'processes after'],
    concerns: () => true,
    async run(running) {
      const crowd = new Crowd({ port: running.port, ...CLIENTS });
      await pause(2000);
      const before = crowd.percentileMs(0.99);
      crowd.mark();
      const took: number[] = [];
      for (let n = 1; n <= RELOADS; n++) took.push(await running.reload(n));
      const during = crowd.percentileMs(0.99);
      await crowd.stop();
      const { residentBytes } = memoryOf(running.pid);
      const processes = processTree(running.pid).length;
      took.sort((a, b) => a - b);
      const ms = [before, during, took[RELOADS >> 1]!, took.at(-1)!].map((value) => value.toFixed(1));
      return [...losses(crowd), ...ms, mebibytes(residentBytes), String(processes)];
    },
  },
  {
    name: 'stop',
    columns: [...LOSSES, 'exit', 'took ms'],
    concerns: () => true,
    async run(running) {
      const crowd = new Crowd({ port: running.port, ...CLIENTS });
      await pause(1500);
      crowd.ending = true;
      const fromMs = performance.now();
      running.proxy.stop(running.pid);
      const code = await running.exited();
      const tookMs = performance.now() - fromMs;
      await crowd.stop();
      return [...losses(crowd), code, tookMs.toFixed(0)];
    },
  },
  {
    name: 'upgrades',
    columns: [...LOSSES, 'p99 ms'],
    concerns: () => true,
    async run(running) {
      const crowd = new Crowd({ port: running.port, ...CLIENTS });
      await pause(1000);
      for (let n = 0; n < UPGRADES; n++) {
        await running.upgrade();
        await pause(700);
      }
      const p99 = crowd.percentileMs(0.99).toFixed(1);
      await crowd.stop();
      return [...losses(crowd), p99];
    },
  },
  {
    name: 'killed',
    columns: [...LOSSES, 'last loss after ms', 'open when killed'],
    concerns: ({ killWorker }) => killWorker !== null,
    async run(running) {
      const crowd = new Crowd({ port: running.port, ...CLIENTS });
      await pause(1500);
      const open = await running.openOfFirst();
      const fromMs = performance.now();
      running.proxy.killWorker!(running.pid, (line) => running.child.stdin!.write(`${line}\n`));
      await pause(3000);
      await crowd.stop();
      const after = crowd.lost === 0 ? '-' : (crowd.lastLossMs - fromMs).toFixed(0);
      return [...losses(crowd), after, open];
    },
  },
  {
    name: 'tunnels',
    columns: ['limit', 'tunnels', 'left after 10 reloads', '4 s later', 'processes then', 'MiB then'],
    limitsS: [0, 2],
    concerns: () => true,
    async run(running) {
      const tunnels = await Promise.all(Array.from({ length: TUNNELS }, () => dialTunnel(running.port)));
      for (let n = 1; n <= 10; n++) {
        await running.reload(n);
        await pause(100);
      }
      const soon = await countAlive(tunnels);
      await pause(4000);
      const later = await countAlive(tunnels);
      const processes = processTree(running.pid).length;
      const { residentBytes } = memoryOf(running.pid);
      for (const tunnel of tunnels) tunnel.destroy();
      const limit = running.limitS === 0 ? 'none' : `${running.limitS} s`;
      return [limit, String(TUNNELS), String(soon), String(later), String(processes), mebibytes(residentBytes)];
    },
  },
  {
    name: 'leftovers',
    columns: ['reloads', 'heap MiB', 'resident MiB', 'descriptors', 'threads', 'timers', 'handles'],
    concerns: ({ name }) => name === 'millrace',
    async run(running) {
      // The first ones warm everything up: code is compiled, and heaps find their size.
      for (let n = 1; n <= WARM_RELOADS; n++) await running.reload(n);
      const seen = [await running.figures()];
      for (let n = 1; n <= MANY_RELOADS * 2; n++) {
        await running.reload(WARM_RELOADS + n);
        if (n % MANY_RELOADS > 0) continue;
        // What lets go of things does so within its grace.
        await pause(3000);
        seen.push(await running.figures());
      }
      const [first] = seen;
      return [`${MANY_RELOADS} twice`, ...first!.map((_, place) => seen.map((figures) => figures[place]).join(' > '))];
    },
  },
  {
    name: 'spread',
    columns: ['connections', 'each event loop'],
    concerns: ({ name }) => name === 'millrace',
    async run(running) {
      const sockets = await Promise.all(
        Array.from({ length: 2000 }, async () => {
          const socket = connect(running.port, '127.0.0.1');
          socket.on('error', () => {});
          await once(socket, 'connect');
          return socket;
        }),
      );
      await pause(500);
      const each = await running.connections();
      for (const socket of sockets) socket.destroy();
      return [String(sockets.length), each.join(' and ')];
    },
  },
];

const present = presentOf(OPERATED);
for (const trial of wantedOf('trial', TRIALS)) {
  const rows: string[][] = [[trial.name, ...trial.columns]];
  for (const proxy of present) {
    if (!trial.concerns(proxy)) continue;
    for (const limitS of trial.limitsS ?? [0]) {
      // It never cuts what a reload leaves: there is nothing to limit.
      if (limitS > 0 && proxy.name === 'millrace') continue;
      rows.push([proxy.name, ...(await attempt(trial, proxy, limitS))]);
      console.error(rows.at(-1)!.join('  '));
    }
  }
  console.log(`${formatTable(rows)}\n`);
}
process.exit(0);

async function attempt(trial: Trial, proxy: Operated, limitS: number): Promise<readonly string[]> {
  const running = await Running.start(proxy, limitS);
  try {
    return await trial.run(running);
  } catch (error) {
    return [`failed: ${(error as Error).message.split('\n')[0]}`];
  } finally {
    await running.end();
  }
}

/** A connection that was upgraded and echoes. */
async function dialTunnel(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  socket.setEncoding('latin1');
  socket.write(
    'GET /socket HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
      'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
  );
  const [head] = (await once(socket, 'data')) as [string];
  if (!head.startsWith('HTTP/1.1 101 ')) throw new Error(`no tunnel: ${head}`);
  return socket;
}

/** How many echo what they are sent. */
async function countAlive(tunnels: readonly Socket[]): Promise<number> {
  const alive = await Promise.all(
    tunnels.map(async (tunnel) => {
      if (tunnel.destroyed || !tunnel.writable) return false;
      const answered = Promise.race([
        once(tunnel, 'data').then(
          () => true,
          () => false,
        ),
        once(tunnel, 'close').then(() => false),
        pause(2000).then(() => false),
      ]);
      tunnel.write('still there');
      return answered;
    }),
  );
  return alive.filter(Boolean).length;
}

function losses(crowd: Crowd): string[] {
  const kinds = [...crowd.losses].map(([loss, count]) => `${count} ${loss}`).join(', ');
  return [String(crowd.answered), String(crowd.lost), kinds || '-'];
}
