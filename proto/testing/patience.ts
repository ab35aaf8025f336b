/**
 * How long tests wait. A time in a test bounds a hang and nothing else, so there is one, and it is generous: a machine
 * that is busy with four other things passes. What is expected to expire has a time of its own, below a second or so.
 */
import { setTimeout as sleep, setImmediate as turn } from "node:timers/promises";
import { vi } from "vitest";

/** Give this wherever a time-out must not expire. It is below the time of a whole test in vitest.config.mjs. */
export const patienceMs = 120_000;

/** Waits until the assertion holds; fails as the assertion did last. */
export const eventually = <T>(assertion: () => T | Promise<T>): Promise<T> =>
  vi.waitFor(assertion, { timeout: patienceMs, interval: 10 });

/** Waits until the condition holds, for some turns of the loop and then by the clock; fails with what it waited for. */
export async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadlineMs = performance.now() + patienceMs;
  for (let turns = 0; !(await condition()); turns++) {
    if (performance.now() > deadlineMs) throw new Error(`not within ${patienceMs} ms: ${what}`);
    await (turns < 1_000 ? turn() : sleep(10));
  }
}
