/** What a stage is: its function, its arguments, how it is to be run. */
import { z } from "zod";
import type { EachRun } from "../each.js";
import { isObjectId, type ObjectId } from "../ids.js";
import { limits } from "../limits.js";
import { taskTimeoutMs } from "../task-timeout.js";
import { each } from "./each.js";
import { bundleId, bytes, count, engineName, objectId, u32 } from "./scalars.js";

/** What a stage runs: an export of a deployed bundle, or a built-in kernel. */
export const functionRef = z.union([
  z.object({ bundle: bundleId, export: z.string().min(1).max(128) }),
  z.object({ kernel: z.string().min(1).max(128), version: z.number().int().min(1) }),
]);
export type FunctionRef = z.infer<typeof functionRef>;

/** How a value is encoded (values/value.ts): 0 undefined, 1 msgpack, 2 Arrow IPC stream, 3 raw bytes. */
export const valueKind = z.number().int().min(0).max(3);

/** One positional argument of the function, for all tasks of the stage. */
export type ArgSpec =
  /** The same small value for every task. */
  | { a: "value"; kind: number; data: Uint8Array }
  /** Task i takes item i of this pack (values/pack.ts). Small packs only; a large one is put and named by `items`. */
  | { a: "item"; pack: Uint8Array }
  /** Task i takes item i of the pack in this object. */
  | { a: "items"; object: ObjectId }
  /** The value of an object that is known to the cluster: put, or made by any job of the tenant. */
  | { a: "object"; id: ObjectId }
  /**
   * The output of another stage of the same job. one-to-one: task i takes output i. all: every task takes the list of
   * all. broadcast: the output of that stage's only task.
   */
  | { a: "stage"; stage: number; edge: "one-to-one" | "broadcast" | "all" }
  /** The output of one task of another stage of the same job. */
  | { a: "task"; stage: number; task: number }
  /** Task i takes object i of these runs (each.ts), wherever each comes from. In a lease: of the lease's range. */
  | { a: "each"; of: readonly EachRun[] }
  /** A list of arguments, passed as one array. */
  | { a: "list"; of: ArgSpec[] }
  /** The task's index. */
  | { a: "index" };

const isUpTo = (value: unknown, most: number): value is number =>
  typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= most;
const isCount = (value: unknown): value is number => isUpTo(value, limits.tasksPerStageMax);

/** By hand: a run for each of 100,000 refs is parsed in milliseconds. */
const isEach = (value: unknown): value is EachRun[] =>
  Array.isArray(value) &&
  value.length > 0 &&
  value.every((run: unknown) =>
    Array.isArray(run)
      ? run.length === 3 && isUpTo(run[0], 0xffff_ffff) && isCount(run[1]) && isCount(run[2]) && run[2] > 0
      : typeof run === "string" && isObjectId(run),
  );

export const argSpec: z.ZodType<ArgSpec> = z.lazy(() =>
  z.discriminatedUnion("a", [
    z.object({ a: z.literal("value"), kind: valueKind, data: bytes }),
    z.object({ a: z.literal("item"), pack: bytes }),
    z.object({ a: z.literal("items"), object: objectId }),
    z.object({ a: z.literal("object"), id: objectId }),
    z.object({ a: z.literal("stage"), stage: u32, edge: z.enum(["one-to-one", "broadcast", "all"]) }),
    z.object({ a: z.literal("task"), stage: u32, task: u32 }),
    z.object({
      a: z.literal("each"),
      of: z.custom<EachRun[]>(isEach, { error: "expected runs [stage, task, count] or object ids" }),
    }),
    z.object({ a: z.literal("list"), of: each(argSpec, { max: 100_000 }) }),
    z.object({ a: z.literal("index") }),
  ]),
);

export const stageOptions = z.object({
  /** Tries after a failure of the user's own function; infrastructure failures do not count (I8). */
  retries: z.number().int().min(0).max(1_000),
  timeoutMs: taskTimeoutMs,
  /** Declared by the author: same inputs, same result. Kernels always are. */
  pure: z.boolean(),
  /** Order inside a tenant; higher first. */
  priority: z.number().int().min(-100).max(100),
  seed: z.number().int().min(0).max(Number.MAX_SAFE_INTEGER).optional(),
  seedFrom: count.optional(), // Task i takes place `seedFrom + i` in the seed's sequence (draws.ts). Absent: 0.
  /**
   * Of pure functions of users: the engine whose results these are (engine.ts); "" where none was known. Absent of
   * clients that know of none.
   */
  engine: engineName.optional(),
});
export type StageOptions = z.infer<typeof stageOptions>;

export const stageSpec = z.object({
  index: z.number().int().min(0).max(Number.MAX_SAFE_INTEGER),
  name: z.string().min(1).max(128).optional(),
  fn: functionRef,
  count: z.number().int().min(1).max(limits.tasksPerStageMax),
  args: z.array(argSpec).max(limits.argsPerTaskMax),
  options: stageOptions,
});
export type StageSpec = z.infer<typeof stageSpec>;
