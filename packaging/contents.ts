// What belongs to the product besides the modules that import each other from the command line on. Whoever adds a program or a
// file that lib/base/asset.ts is to find enters it here.

/** What `startThread` and `callProgram` start; without ending. */
export const PROGRAMS: readonly string[] = [
  'lib/process/worker',
  'native-bench/origin/own/main',
  'native-bench/load/generator/main',
  'native-bench/load/crowd/main',
  'native-bench/host/gc-probe',
];

/** What `readAsset` reads: configurations of the benchmark's peers, and what wrk is told. Patterns. */
export const ASSETS: readonly string[] = [
  'native-bench/origin/*.conf',
  'native-bench/peers/*/*.{conf,cfg,vcl,yaml}',
  'native-bench/peers/*/Caddyfile',
  'native-bench/load/wrk/*.lua',
];
