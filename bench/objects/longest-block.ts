/** How long this process' event loop stood still at the longest, milliseconds. */

const intervalMs = 1;

/** Watches while `run` is under way. What a busy machine takes from the process counts, too. */
export async function longestBlock<T>(run: () => Promise<T>): Promise<{ value: T; blockedMs: number }> {
  let longest = 0;
  let last = performance.now();
  const look = (): void => {
    const now = performance.now();
    longest = Math.max(longest, now - last - intervalMs);
    last = now;
  };
  const timer = setInterval(look, intervalMs);
  try {
    const value = await run();
    // What ran last, before the timer could.
    look();
    return { value, blockedMs: longest };
  } finally {
    clearInterval(timer);
  }
}
