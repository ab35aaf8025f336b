import { vi } from "vitest";

/** Waits until the assertion holds. The time bounds a hang and nothing else: a busy machine may take its part. */
export const eventually = <T>(assertion: () => T | Promise<T>): Promise<T> =>
  vi.waitFor(assertion, { timeout: 120_000, interval: 10 });
