/**
 * Waits of any length. Node's own timers take at most 2^31 - 1 ms and fire at once beyond that (and for NaN); these
 * wait as long as they are told, Infinity included, and count time that the machine's clock was stepped over as little
 * as Node does.
 */
import { VolleyError } from "./errors.js";

/** What one timer of Node's can wait. */
export const timerMsMax = 2 ** 31 - 1;

/**
 * A timeout as callers give it: milliseconds from 0 to Infinity. Throws INVALID_ARGUMENT for anything else, naming it.
 */
export function checkTimeoutMs(timeoutMs: number | undefined, name = "timeoutMs"): void {
  if (timeoutMs === undefined || (typeof timeoutMs === "number" && timeoutMs >= 0)) return;
  throw new VolleyError(
    "INVALID_ARGUMENT",
    `${name} is ${String(timeoutMs)}; expected milliseconds from 0 to Infinity`,
  );
}

export class Timer {
  readonly #run: () => void;
  #untilMs: number;
  #timer: NodeJS.Timeout | undefined;
  #held = true;

  /** Calls `run` once after `ms`; never, if that is Infinity. */
  constructor(run: () => void, ms: number) {
    this.#run = run;
    this.#untilMs = performance.now() + ms;
    this.#arm(ms);
  }

  #arm(ms: number): void {
    if (ms === Number.POSITIVE_INFINITY) return;
    this.#timer =
      ms <= timerMsMax
        ? setTimeout(this.#run, ms)
        : setTimeout(() => this.#arm(Math.max(0, this.#untilMs - performance.now())), timerMsMax);
    if (!this.#held) this.#timer.unref();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  /** It does not keep the process alive. */
  unref(): this {
    this.#held = false;
    this.#timer?.unref();
    return this;
  }
}

/** Resolves after `ms`; rejects with the signal's reason when that comes first. */
export function sleep<T = void>(
  ms: number,
  value?: T,
  options: { signal?: AbortSignal; ref?: boolean } = {},
): Promise<T> {
  const { signal } = options;
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason as Error);
      return;
    }
    const onAbort = (): void => {
      timer.stop();
      reject(signal?.reason as Error);
    };
    const timer = new Timer(() => {
      signal?.removeEventListener("abort", onAbort);
      resolve(value as T);
    }, ms);
    if (options.ref === false) timer.unref();
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}
