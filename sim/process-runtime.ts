/** Time, turns and chance of one simulated process: its timers do not fire while it is stopped, and end with it. */
import { nextTick } from "node:process";
import type { Runtime, Stop } from "../proto/runtime.js";
import type { Clock } from "./clock.js";
import type { Process } from "./process.js";
import type { Random } from "./random.js";

/** 2001, in milliseconds: whole and fractional milliseconds are exact there. */
const epochMs = 1e12;
/** When nothing is going on, intervals are longer, as on a machine that has little time for this process. */
const restedMs = 400;

export interface Machine {
  readonly clock: Clock;
  readonly resting: boolean;
  /** How far its wall clock may be off. */
  readonly clockStepMs: number;
}

export function processRuntime(machine: Machine, process: Process, random: Random): Runtime {
  const { clock } = machine;
  const offMs = Math.round(machine.clockStepMs * (2 * random.unit() - 1));
  const after = (ms: number, run: () => void): Stop => {
    if (ms === Number.POSITIVE_INFINITY) return () => undefined;
    let stopped = false;
    process.later(ms, () => {
      if (!stopped) run();
    });
    return () => {
      stopped = true;
    };
  };
  return {
    nowMs: () => clock.nowMs,
    wallMs: () => epochMs + offMs + clock.nowMs,
    after,
    every: (ms, run) => {
      let stop: Stop = () => undefined;
      const again = (): void => {
        stop = after(machine.resting ? Math.max(ms, Math.min(10 * ms, restedMs)) : ms, () => {
          again();
          run();
        });
      };
      again();
      return () => stop();
    },
    // Mostly at once; a turn may be a long one.
    soon: (run) => process.later(random.chance(0.8) ? 0 : random.delay(1), run),
    atTickEnd: (run) => nextTick(() => process.receive(run)),
    randomBytes: (bytes) => Uint8Array.from({ length: bytes }, () => random.between(0, 255)),
  };
}
