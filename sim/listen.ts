/** The real shell's hearing, on the model of the network: for how much of the time a scheduler could have heard. */
import { limits } from "../proto/limits.js";
import { askEveryMs, Hearing } from "../scheduler/shell/hearing.js";
import type { Process } from "./process.js";
import type { World } from "./world.js";

export function listen(world: World, process: Process): Hearing {
  const hearing = new Hearing({
    transport: { flush: () => world.network.flush(process.address) },
    nowMs: () => world.clock.nowMs,
    graceMsMax: limits.heartbeatTimeoutMs,
  });
  const ask = (): void => {
    hearing.ask();
    process.later((world.resting ? 3 : 1) * askEveryMs, ask);
  };
  ask();
  return hearing;
}
