/** Random stages: every form of argument, every edge, functions of every temper. */

import { EachRuns } from "../proto/each.js";
import type { BundleId, ObjectId } from "../proto/ids.js";
import type { ArgSpec, StageSpec } from "../proto/messages/stage.js";
import { PackWriter } from "../proto/values/pack.js";
import type { WorkRates } from "./fault-rates.js";
import { encodeTraits, type Traits, traitsOf } from "./model-function.js";
import type { Random } from "./random.js";

export const bundle = "b".repeat(64) as BundleId;

export interface GraphContext {
  readonly random: Random;
  /** Stages before this one that may be read; those with `objectOf` also by object id. */
  readonly stages: readonly { spec: StageSpec; objectOf?: ((task: number) => ObjectId) | undefined }[];
  /** Objects that were put; `items`: of packs, with their counts. */
  readonly objects: readonly ObjectId[];
  readonly packs: readonly { id: ObjectId; count: number }[];
  readonly work: WorkRates;
}

const allEdgeMax = 64;

function randomCount(random: Random): number {
  if (random.chance(0.45)) return 1;
  if (random.chance(0.9)) return random.between(2, 24);
  return random.between(100, 400);
}

/** A stage's work is bounded, so that every run can end in time. */
const stageMsMax = 8_000;

function randomTraits(random: Random, retries: number, count: number, restless: number): Traits {
  const durationMs = random.chance(0.1) ? random.between(200, 3_000) : random.between(0, 40);
  return {
    name: `f${random.between(0, 40)}`,
    durationMs: Math.min(durationMs, Math.ceil(stageMsMax / count)),
    failFirst: random.chance(0.15) ? random.between(0, retries) : 0,
    failEvery: random.chance(0.05) ? random.between(1, 12) : 0,
    largeEvery: random.chance(0.3) ? random.between(1, 4) : 0,
    mood: random.chance(restless) ? "restless" : "steady",
  };
}

/** Functions that are not what they say: one that is declared pure and is not, one that its workers die of. */
function badStage(random: Random, index: number): StageSpec {
  const poison = random.chance(0.4);
  const traits: Traits = {
    name: `bad${random.between(0, 3)}`,
    durationMs: poison ? random.between(2_300, 3_000) : random.between(0, 40),
    failFirst: 0,
    failEvery: 0,
    largeEvery: poison ? 0 : 1,
    mood: poison ? "poison" : "liar",
  };
  return {
    index,
    fn: { bundle, export: encodeTraits(traits) },
    count: poison ? 1 : random.between(1, 6),
    args: [{ a: "index" }],
    options: { retries: random.between(0, 1), timeoutMs: 600_000, pure: !poison, priority: 0 },
  };
}

const payload = (random: Random): Uint8Array => Uint8Array.of(random.between(0, 255), random.between(0, 255));

function edge(context: GraphContext, count: number): ArgSpec | undefined {
  const { random, stages } = context;
  const usable = stages.filter(({ spec }) => traitsOf(spec.fn).mood !== "poison");
  if (usable.length === 0) return undefined;
  const upstream = random.pick(usable.slice(-6));
  const stage = upstream.spec.index;
  const task = random.between(0, upstream.spec.count - 1);
  if (upstream.objectOf && random.chance(0.2)) return { a: "object", id: upstream.objectOf(task) };
  if (upstream.spec.count === count && random.chance(0.6)) return { a: "stage", stage, edge: "one-to-one" };
  if (upstream.spec.count === 1 && random.chance(0.6)) return { a: "stage", stage, edge: "broadcast" };
  if (upstream.spec.count <= allEdgeMax && random.chance(0.6)) return { a: "stage", stage, edge: "all" };
  return { a: "task", stage, task };
}

/** Task i takes ref i: runs of outputs, single ones and objects in any order, some of them more than once. */
function each(context: GraphContext, count: number): ArgSpec | undefined {
  const { random, stages, objects } = context;
  const usable = stages.filter(({ spec }) => traitsOf(spec.fn).mood !== "poison").slice(-6);
  if (usable.length === 0 && objects.length === 0) return undefined;
  const runs = new EachRuns();
  for (let left = count; left > 0; ) {
    if (usable.length === 0 || (objects.length > 0 && random.chance(0.2))) {
      runs.object(random.pick(objects));
      left--;
      continue;
    }
    const { spec, objectOf } = random.pick(usable);
    const task = random.between(0, spec.count - 1);
    const length = Math.min(left, random.chance(0.5) ? 1 : random.between(1, spec.count - task));
    if (objectOf && length === 1 && random.chance(0.2)) runs.object(objectOf(task));
    else runs.tasks(spec.index, task, length);
    left -= length;
  }
  return { a: "each", of: runs.of };
}

function randomArg(context: GraphContext, count: number, depth: number): ArgSpec {
  const { random, objects, packs } = context;
  if (random.chance(0.5)) {
    const found = random.chance(0.25) ? each(context, count) : edge(context, count);
    if (found) return found;
  }
  if (objects.length > 0 && random.chance(0.3)) return { a: "object", id: random.pick(objects) };
  const pack = packs.find((one) => one.count === count);
  if (pack && random.chance(0.5)) return { a: "items", object: pack.id };
  if (depth === 0 && random.chance(0.1))
    return { a: "list", of: Array.from({ length: random.between(0, 3) }, () => randomArg(context, count, 1)) };
  if (depth === 0 && random.chance(0.4)) {
    const items = new PackWriter();
    for (let i = 0; i < count; i++) items.add({ kind: 3, data: payload(random) });
    return { a: "item", pack: items.finish() };
  }
  return random.chance(0.5) ? { a: "index" } : { a: "value", kind: 3, data: payload(random) };
}

/** Stages that many graphs have in common: their results are reused between jobs. */
function menuStage(random: Random, index: number): StageSpec {
  const dish = random.between(0, 7);
  const traits: Traits = {
    name: `menu${dish}`,
    durationMs: 5 * dish,
    failFirst: 0,
    failEvery: 0,
    largeEvery: dish % 3,
    mood: "steady",
  };
  const count = [1, 4, 9, 30][dish % 4] as number;
  const options = { retries: 1, timeoutMs: 600_000, pure: true, priority: 0 };
  return { index, fn: { kernel: encodeTraits(traits), version: 1 }, count, args: [{ a: "index" }], options };
}

export function randomStage(context: GraphContext, index: number): StageSpec {
  const { random, stages } = context;
  const { badWork, slowWork, commonWork, restlessWork } = context.work;
  if (random.chance(commonWork)) return menuStage(random, index);
  if (random.chance(badWork)) return badStage(random, index);
  const retries = random.chance(0.5) ? random.between(1, 4) : 0;
  const like = stages.length > 0 && random.chance(0.4) ? random.pick(stages.slice(-4)) : undefined;
  const count = like ? like.spec.count : randomCount(random);
  const traits = randomTraits(random, retries, count, restlessWork);
  const slow =
    slowWork > 0 && random.chance(slowWork) ? { durationMs: Math.ceil(stageMsMax / Math.min(count, 3)) } : {};
  const args = Array.from({ length: random.between(0, 3) }, () => randomArg(context, count, 0));
  const kernel = random.chance(0.2) && traits.mood === "steady";
  const name = encodeTraits({ ...traits, ...(count <= 6 ? slow : {}) });
  return {
    index,
    fn: kernel ? { kernel: name, version: 1 } : { bundle, export: name },
    count,
    args,
    options: {
      retries,
      timeoutMs: 600_000,
      pure: kernel || (traits.mood === "steady" && random.chance(0.5)),
      priority: random.chance(0.1) ? random.between(-2, 2) : 0,
    },
  };
}
