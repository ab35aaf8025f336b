/**
 * Keeps one process running: what dies without being asked is started again, after a pause that doubles while it keeps
 * dying. Knows nothing of what the process is; `start` brings up one instance.
 */
import { sleep as delay } from "../../proto/timer.js";
import type { ProcessEnd } from "./guarded-process.js";

const restartDelayMsFirst = 100;
const restartDelayMsMax = 5_000;
/** One that ran for this long starts with the first delay again. */
const stableAfterMs = 10_000;

export interface Instance {
  readonly pid: number;
  readonly ended: Promise<ProcessEnd>;
  signal(name: NodeJS.Signals): void;
  stop(): Promise<unknown>;
  lastLines(): readonly string[];
}

export type SupervisionEvent =
  | {
      readonly type: "ended";
      readonly pid: number;
      readonly how: string;
      readonly restartInMs: number;
      readonly lastLines: readonly string[];
    }
  | { readonly type: "restarted"; readonly pid: number }
  | { readonly type: "restart-failed"; readonly message: string; readonly restartInMs: number };

export interface Supervised<I extends Instance> {
  /** The running instance; between death and restart the dead one. */
  current(): I;
  isRunning(): boolean;
  stop(): Promise<void>;
}

/**
 * Starts the first instance; a failure of this first start is the caller's. Later ones are tried again until `stop`.
 */
export async function supervise<I extends Instance>(
  start: (signal: AbortSignal) => Promise<I>,
  onEvent: (event: SupervisionEvent) => void,
): Promise<Supervised<I>> {
  const stopping = new AbortController();
  let instance = await start(stopping.signal);
  let running = true;
  let failures = 0;
  const pause = () => Math.min(restartDelayMsFirst * 2 ** Math.min(failures++, 10), restartDelayMsMax);

  const restart = async (waitMs: number): Promise<void> => {
    for (let restartInMs = waitMs; ; ) {
      await delay(restartInMs, undefined, { signal: stopping.signal });
      try {
        instance = await start(stopping.signal);
        if (stopping.signal.aborted) await instance.stop();
        running = !stopping.signal.aborted;
        stopping.signal.throwIfAborted();
        return;
      } catch (error) {
        if (stopping.signal.aborted) throw error;
        restartInMs = pause();
        onEvent({
          type: "restart-failed",
          message: error instanceof Error ? error.message : String(error),
          restartInMs,
        });
      }
    }
  };
  const watch = async (): Promise<void> => {
    for (;;) {
      const startedAtMs = performance.now();
      const end = await instance.ended;
      running = false;
      if (stopping.signal.aborted) return;
      if (performance.now() - startedAtMs > stableAfterMs) failures = 0;
      const restartInMs = pause();
      onEvent({
        type: "ended",
        pid: instance.pid,
        how: end.how,
        restartInMs,
        lastLines: instance.lastLines().slice(-8),
      });
      await restart(restartInMs);
      onEvent({ type: "restarted", pid: instance.pid });
    }
  };
  // Rejects only when `stop` interrupts a pause or a start.
  const watching = watch().catch(() => {});
  return {
    current: () => instance,
    isRunning: () => running,
    async stop() {
      stopping.abort();
      if (running) await instance.stop();
      await watching;
    },
  };
}
