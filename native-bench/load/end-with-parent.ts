// For processes that the harness starts: none outlives it, even where the kernel was not asked to see to that.

/** Exits soon after the process `parentPid`, which started this one, is gone. Keeps nothing alive by itself. */
export function endWithParent(parentPid: number): void {
  setInterval(() => {
    if (process.ppid !== parentPid) process.exit(1);
  }, LOOK_MS).unref();
}

const LOOK_MS = 500;
