// Every figure that a round may have: what it is called, how it is shown, and which way is better. Procedures measure
// them, summaries compare them, reports draw them; nobody else needs to know a figure by name.

/** How a figure is scaled and written: `value * scale` with `decimals`, below `heading`. */
export interface Figure {
  /** Column heading, with the unit that the scaled value has. */
  readonly heading: string;
  readonly scale: number;
  readonly decimals: number;
  readonly better: 'lower' | 'higher';
  /** What it means, in one sentence for a reader who does not know the harness. */
  readonly meaning: string;
}

/** Base units of the values are microseconds, bytes, counts, and shares from 0 to 1. */
export const FIGURES = {
  cpuMicros: {
    heading: 'CPU µs/request',
    scale: 1,
    decimals: 1,
    better: 'lower',
    meaning:
      'CPU time that the kernel charged to all threads and children of the proxy, divided by the requests answered',
  },
  userMicros: {
    heading: 'user',
    scale: 1,
    decimals: 1,
    better: 'lower',
    meaning: 'the part of it spent in the program',
  },
  kernelMicros: {
    heading: 'kernel',
    scale: 1,
    decimals: 1,
    better: 'lower',
    meaning: 'the part of it spent in the kernel',
  },
  proxyShare: {
    heading: 'core %',
    scale: 100,
    decimals: 0,
    better: 'lower',
    meaning: 'how busy the proxy kept its cores; well below 100, the origin or the load generator was the limit',
  },
  requestsPerSecond: {
    heading: 'requests/s',
    scale: 1,
    decimals: 0,
    better: 'higher',
    meaning: 'requests answered in a second',
  },
  p50Micros: {
    heading: 'p50 ms',
    scale: 1e-3,
    decimals: 2,
    better: 'lower',
    meaning: 'half of the requests took at most this long',
  },
  p90Micros: { heading: 'p90 ms', scale: 1e-3, decimals: 2, better: 'lower', meaning: 'nine in ten took at most this' },
  p99Micros: { heading: 'p99 ms', scale: 1e-3, decimals: 2, better: 'lower', meaning: '99 in 100 took at most this' },
  p999Micros: {
    heading: 'p99.9 ms',
    scale: 1e-3,
    decimals: 2,
    better: 'lower',
    meaning: '999 in 1000 took at most this',
  },
  maxMicros: { heading: 'max ms', scale: 1e-3, decimals: 1, better: 'lower', meaning: 'the slowest of all' },
  residentBytes: {
    heading: 'RSS MiB',
    scale: 2 ** -20,
    decimals: 0,
    better: 'lower',
    meaning: 'resident memory of the proxy under load',
  },
  peakResidentBytes: {
    heading: 'peak MiB',
    scale: 2 ** -20,
    decimals: 0,
    better: 'lower',
    meaning: 'the most resident memory that it ever had',
  },
  switches: {
    heading: 'switches/request',
    scale: 1,
    decimals: 2,
    better: 'lower',
    meaning: 'context switches of the proxy, voluntary and not, divided by the requests answered',
  },
  allocatedBytes: {
    heading: 'alloc B/request',
    scale: 1,
    decimals: 0,
    better: 'lower',
    meaning: 'bytes of JavaScript heap allocated for each request (proxies on Node only)',
  },
  gcPauseMicros: {
    heading: 'longest GC ms',
    scale: 1e-3,
    decimals: 2,
    better: 'lower',
    meaning: 'the longest pause of the garbage collector (proxies on Node only)',
  },
  gcShare: {
    heading: 'GC %',
    scale: 100,
    decimals: 2,
    better: 'lower',
    meaning: 'time in the garbage collector (proxies on Node only)',
  },
  idleBytes: {
    heading: 'KiB/idle connection',
    scale: 2 ** -10,
    decimals: 1,
    better: 'lower',
    meaning: 'resident memory that an idle connection adds',
  },
  startMicros: {
    heading: 'first client ms',
    scale: 1e-3,
    decimals: 0,
    better: 'lower',
    meaning: 'from the start of the program until a client is accepted, asked every few milliseconds',
  },
  workerBytes: {
    heading: 'MiB/worker',
    scale: 2 ** -20,
    decimals: 1,
    better: 'lower',
    meaning: 'resident memory that a second worker adds, idle',
  },
  workersCost: {
    heading: 'two ÷ one worker',
    scale: 1,
    decimals: 2,
    better: 'lower',
    meaning: 'CPU time per request with two workers, divided by that with one on the same cores',
  },
  oneWorkerMicros: {
    heading: 'CPU µs, one',
    scale: 1,
    decimals: 1,
    better: 'lower',
    meaning: 'CPU time per request with one worker',
  },
  programBytes: {
    heading: 'program MB',
    scale: 1e-6,
    decimals: 1,
    better: 'lower',
    meaning: 'the file of the program that runs; of proxies on Node that is Node alone, and of the binary all of it',
  },
  slowdown: {
    heading: 'p99 with ÷ without slow',
    scale: 1,
    decimals: 2,
    better: 'lower',
    meaning: 'p99 of quick clients while slow ones are connected, divided by their p99 without them',
  },
  quietP99Micros: {
    heading: 'p99 ms without slow',
    scale: 1e-3,
    decimals: 2,
    better: 'lower',
    meaning: 'p99 of quick clients while no slow ones are connected',
  },
  goodputShare: {
    heading: 'goodput %',
    scale: 100,
    decimals: 0,
    better: 'higher',
    meaning: 'answers in time under overload as a share of what the same proxy can do without',
  },
  peakPerSecond: {
    heading: 'peak requests/s',
    scale: 1,
    decimals: 0,
    better: 'higher',
    meaning: 'requests a second in a closed loop, just before the overload',
  },
  offeredPerSecond: {
    heading: 'offered/s',
    scale: 1,
    decimals: 0,
    better: 'higher',
    meaning: 'requests a second that were offered in an open loop, answered or not',
  },
} as const satisfies Readonly<Record<string, Figure>>;

export type FigureName = keyof typeof FIGURES;

/** The figures of one round; those that the procedure or the proxy cannot give are left out. */
export type Figures = { readonly [Name in FigureName]?: number };
