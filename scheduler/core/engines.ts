/**
 * The engines of the workers. Kernels give the same bits on each (a test pins them); code of users is promised so
 * within one family only (proto/engine.ts), so that a mix must not go unnoticed.
 *
 * E1  The address of a user's pure function says its engine: that of most slots when it was submitted, the client's or
 * the scheduler's word (for a
 *     durable job). So results of two engines never stand under one address, and no job is given those of another
 * engine than it asked for. E2  Its tasks go to workers of that engine as long as one is there that takes leases. E3
 * When there is none they go to others, so that nothing hangs. That is warned of, counted, and in the journal (`engine`
 * of a commit): the stage's
 *     results serve its own job then, and nobody else's.
 * E4  A lost result that is made again by another engine must still be the same; otherwise its task ends with
 * ENGINE_CHANGED, for somebody may have
 *     read the first.
 * E5  Where no engine was known at submission (""), nothing is shared, and the worker of the first lease decides.
 */

import { engineFamily } from "../../proto/engine.js";
import type { WireError } from "../../proto/errors.js";
import { hasFreeSlot } from "./places.js";
import { isDraining } from "./standing.js";
import type { Context, StageRecord, State, WorkerRecord } from "./state.js";

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
export function markJoin(ctx: Context, worker: WorkerRecord): void {
  const families = enginesOf(ctx.state);
  const family = engineFamily(worker.engine);
  if (families.size > 1 && families.get(family) === 1) {
    ctx.out.push({ c: "count", metric: "engine_mixes", by: 1 });
    ctx.out.push({
      c: "log",
      level: "warn",
      text: "workers of different engines: functions of users may give other bits on each",
      fields: {
        worker: worker.id,
        engine: family || "unknown",
        engines: [...families].map(([name, count]) => `${name || "unknown"}: ${count}`).join(", "),
      },
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

/** To be called when a worker has come, gone, or begun to leave. */
export function countEngines(state: State): void {
  const slots = new Map<string, number>();
  for (const worker of state.workers.values())
    if (!isDraining(worker)) slots.set(worker.family, (slots.get(worker.family) ?? 0) + worker.slots);
  state.engines = slots;
  // The present one stays when another has as many, and when nobody is there.
  let most = slots.get(state.engine) ?? 0;
  for (const [family, count] of slots) {
    if (count <= most) continue;
    state.engine = family;
    most = count;
  }
}

/** The engine that new pure stages are addressed with. Before a worker has joined: what the newest durable job had. */
export function clusterEngine(state: State): string {
  if (state.engine !== "" || state.engines.size > 0) return state.engine;
  for (const job of [...state.jobs.values()].reverse())
    for (const { engine } of job.stages.values()) if (engine) return engine;
  return "";
}

/** The only engine that may run the stage's tasks now (E2); undefined: any may. */
export function pinOf(state: State, stage: StageRecord): string | undefined {
  if (stage.engine === undefined || state.engines.size < 2) return undefined;
  const engine = stage.engine || stage.pin;
  return engine !== undefined && state.engines.has(engine) ? engine : undefined;
}

/** What the commit's record says of the engine; undefined where the stage's specification says it already. */
export const engineToRecord = (stage: StageRecord, worker: WorkerRecord | undefined): string | undefined =>
  stage.engine === undefined || !worker || worker.family === stage.spec.options.engine ? undefined : worker.family;

/** A commit says that this engine made results of the stage (E3, E5). */
export function markEngine(stage: StageRecord, engine: string): void {
  if (stage.engine === "") stage.engine = engine;
  else if (stage.engine !== engine) markStrayed(stage);
}

export function markStrayed(stage: StageRecord): void {
  stage.strayed = true;
  stage.ownOnly = true;
}

/** Before a commit of results of this engine is written: tells when it is not the one of the stage (E3). */
export function markStray(ctx: Context, stage: StageRecord, engine: string, tasks: number): void {
  if (engine === (stage.engine || engine)) return;
  ctx.out.push({ c: "count", metric: "tasks_strayed", by: tasks, tenant: stage.job.tenant });
  if (stage.strayed) return;
  ctx.out.push({
    c: "log",
    level: "warn",
    text: "no worker has the engine of a pure stage any more: another runs the rest, and its results are not shared",
    fields: {
      job: stage.job.id,
      stage: stage.index,
      function: stage.fnKey,
      engine: stage.engine ?? "",
      runs: engine || "unknown",
    },
  });
}

/** Of a result that was made again and differs: why the two engines may be the reason (E4). */
export function engineChange(
  stage: StageRecord,
  worker: WorkerRecord | undefined,
  task: number,
): WireError | undefined {
  const first = stage.engine || stage.pin;
  if (stage.engine === undefined || (!stage.strayed && (first === undefined || worker?.family === first)))
    return undefined;
  const engines = `${first || "an unknown engine"}, this one by ${worker?.family || "an unknown one"}`;
  return {
    code: "ENGINE_CHANGED",
    message: `a result of ${stage.fnKey} (task ${task} of stage ${stage.index}) was lost, and made again it is another: the first was made by ${engines}. Submit it again.`,
  };
}

/** A worker of another engine could take it. */
export const hasFreeSlotElsewhere = (workers: readonly WorkerRecord[], pin: string): boolean =>
  workers.some((worker) => worker.family !== pin && hasFreeSlot(worker));
