/**
 * What the shells ask of the machine besides network and disk: time, turns of the event loop, random bytes. Given to
 * them, so that the simulation runs them unchanged on a clock, and with a chance, of its own.
 *
 * Nothing in scheduler/shell, worker/shell or the frame plane uses Node's timers and clocks directly: tidy.test.ts
 * holds that.
 */
import { randomBytes } from "node:crypto";
import { Timer } from "./timer.js";

/** Ends what was begun; nothing once it is over. */
export type Stop = () => void;

export interface Runtime {
  /** Milliseconds that pass as time does, whatever is done to the machine's clock. */
  nowMs(): number;
  /** Milliseconds since 1970 by the clock as it was when the process started, passing as `nowMs` does. */
  wallMs(): number;
  /** Runs once after `ms`, of any length; never, if that is Infinity. */
  after(ms: number, run: () => void): Stop;
  /** Runs every `ms`, until it is stopped. */
  every(ms: number, run: () => void): Stop;
  /** Runs in the next turn of the event loop. */
  soon(run: () => void): void;
  /** Runs when this turn's code and all that its promises give rise to have run. */
  atTickEnd(run: () => void): void;
  randomBytes(bytes: number): Uint8Array;
}

export const realRuntime: Runtime = {
  nowMs: () => performance.now(),
  wallMs: () => performance.timeOrigin + performance.now(),
  after: (ms, run) => {
    const timer = new Timer(run, ms);
    return () => timer.stop();
  },
  every: (ms, run) => {
    const timer = setInterval(run, ms);
    return () => clearInterval(timer);
  },
  soon: (run) => {
    setImmediate(run);
  },
  atTickEnd: (run) => process.nextTick(run),
  randomBytes: (bytes) => new Uint8Array(randomBytes(bytes)),
};

/** Resolves in the next turn of the event loop. */
export const nextTurn = (runtime: Runtime): Promise<void> => new Promise((resolve) => runtime.soon(resolve));

/** Resolves after `ms`; rejects with the signal's reason when that comes first. */
export function pause(runtime: Runtime, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason as Error);
      return;
    }
    const onAbort = (): void => {
      stop();
      reject(signal?.reason as Error);
    };
    const stop = runtime.after(ms, () => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    });
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}
