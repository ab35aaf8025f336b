/**
 * The engines of the workers. Kernels give the same bits on each (a test pins them); code of users is promised so within one family only
 * (proto/engine.ts), so that a mix must not go unnoticed.
 */
import { engineFamily } from "../../proto/engine.js";
import type { Context, State, WorkerRecord } from "./state.js";

/** Workers by family, in the order in which the first of each joined. */
export function enginesOf(state: State): Map<string, number> {
  const families = new Map<string, number>();
  for (const worker of state.workers.values()) {
    const family = engineFamily(worker.engine);
    families.set(family, (families.get(family) ?? 0) + 1);
  }
  return families;
}

/** To be called when a worker has joined. */
export function noteJoin(ctx: Context, worker: WorkerRecord): void {
  const families = enginesOf(ctx.state);
  const family = engineFamily(worker.engine);
  if (families.size > 1 && families.get(family) === 1) {
    ctx.out.push({ c: "count", metric: "engine_mixes", by: 1 });
    ctx.out.push({
      c: "log",
      level: "warn",
      text: "workers of different engines: functions of users may give other bits on each",
      fields: { worker: worker.id, engine: family || "unknown", engines: [...families].map(([name, count]) => `${name || "unknown"}: ${count}`).join(", ") },
    });
  }
  const releases = new Set([...ctx.state.workers.values()].map(({ volley }) => volley ?? "unknown"));
  if (releases.size > 1) {
    ctx.out.push({
      c: "log",
      level: "warn",
      text: "workers of different versions of Volley",
      fields: { worker: worker.id, volley: worker.volley ?? "unknown", versions: [...releases].join(", ") },
    });
  }
}
