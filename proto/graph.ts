/**
 * Graphs: the check that stages fit together (pure, used by scheduler intake and clients), and the JSON form of the
 * gateway and CLI.
 *
 * The JSON form names stages; `compileGraph` turns it into the wire form. Every fault is INVALID_GRAPH with
 * `details.path`; too many tasks are TOO_LARGE.
 */
import { z } from "zod";
import { type ArgLeaf, placedLeaves } from "./args.js";
import { withDraws } from "./draws.js";
import { type EachRun, EachRuns, eachCount } from "./each.js";
import { VolleyError } from "./errors.js";
import { limits } from "./limits.js";
import { bundleId, objectId } from "./messages/scalars.js";
import type { ArgSpec, StageOptions, StageSpec } from "./messages/stage.js";
import { taskTimeoutMs } from "./task-timeout.js";
import { PackReader, PackWriter } from "./values/pack.js";
import { encodeValue } from "./values/value.js";

const fault = (path: string, why: string): VolleyError =>
  new VolleyError("INVALID_GRAPH", `${path}: ${why}`, { details: { path } });

/**
 * Stages must come in order (index 0, 1, 2, … from `firstIndex`) and read only stages before them, so no cycle can be
 * written down.
 */
export function validateStages(
  stages: readonly StageSpec[],
  outputs: readonly number[],
  firstIndex = 0,
  countOf: (stage: number) => number | undefined = () => undefined,
): void {
  checkTasks(stages);
  const counts = new Map<number, number>();
  const known = (stage: number): number | undefined => counts.get(stage) ?? countOf(stage);
  stages.forEach((stage, position) => {
    const path = `stages.${position}`;
    if (stage.index !== firstIndex + position)
      throw fault(`${path}.index`, `expected ${firstIndex + position}, got ${stage.index}`);
    for (const [leaf, at] of placedLeaves(stage.args, `${path}.args`)) validateLeaf(leaf, stage, at, known);
    counts.set(stage.index, stage.count);
  });
  outputs.forEach((output, i) => {
    if (!counts.has(output)) throw fault(`outputs.${i}`, `there is no stage ${output}`);
  });
}

/**
 * TOO_LARGE for more tasks than a job may have: what follows from a count costs space and time, however few bytes name
 * it.
 */
function checkTasks(stages: readonly StageSpec[]): void {
  let tasks = 0;
  for (const [position, { count }] of stages.entries()) {
    tasks += count;
    if (tasks <= limits.tasksPerJobMax) continue;
    throw new VolleyError(
      "TOO_LARGE",
      `stages.${position}: with this one the job has ${tasks} tasks or more, over the limit of ${limits.tasksPerJobMax} tasks in a job (tasksPerJobMax); give each task more of the work, or divide it among several jobs`,
      { details: { path: `stages.${position}.count`, limit: limits.tasksPerJobMax } },
    );
  }
}

function validateLeaf(
  arg: ArgLeaf,
  stage: StageSpec,
  path: string,
  countOf: (stage: number) => number | undefined,
): void {
  switch (arg.a) {
    case "item": {
      const items = new PackReader(arg.pack).count;
      if (items !== stage.count)
        throw fault(path, `a stage of ${stage.count} tasks cannot take its items from a list of ${items}`);
      return;
    }
    case "stage": {
      const upstream = countOf(arg.stage);
      if (upstream === undefined || arg.stage >= stage.index)
        throw fault(`${path}.stage`, `stage ${arg.stage} does not come before stage ${stage.index}`);
      if (arg.edge === "one-to-one" && upstream !== stage.count)
        throw fault(
          `${path}.edge`,
          `one-to-one joins stages of equal length; stage ${arg.stage} has ${upstream} tasks and this one ${stage.count}`,
        );
      if (arg.edge === "broadcast" && upstream !== 1)
        throw fault(
          `${path}.edge`,
          `broadcast takes the output of a stage of one task; stage ${arg.stage} has ${upstream}`,
        );
      return;
    }
    case "task": {
      const upstream = countOf(arg.stage);
      if (upstream === undefined || arg.stage >= stage.index)
        throw fault(`${path}.stage`, `stage ${arg.stage} does not come before stage ${stage.index}`);
      if (arg.task >= upstream)
        throw fault(`${path}.task`, `stage ${arg.stage} has ${upstream} tasks, so there is no task ${arg.task}`);
      return;
    }
    case "each":
      validateEach(arg.of, stage, path, countOf);
      return;
    default:
      return;
  }
}

function validateEach(
  of: readonly EachRun[],
  stage: StageSpec,
  path: string,
  countOf: (stage: number) => number | undefined,
): void {
  const objects = eachCount(of);
  if (objects !== stage.count)
    throw fault(path, `a stage of ${stage.count} tasks cannot take one each of ${objects} objects`);
  for (const [i, run] of of.entries()) {
    if (typeof run === "string") continue;
    const [index, task, count] = run;
    const upstream = countOf(index);
    if (upstream === undefined || index >= stage.index)
      throw fault(`${path}.of.${i}`, `stage ${index} does not come before stage ${stage.index}`);
    if (task + count > upstream)
      throw fault(`${path}.of.${i}`, `stage ${index} has ${upstream} tasks, so there is no task ${task + count - 1}`);
  }
}

// ------------------------------------------------------------------------------------------------ JSON

export const defaultStageOptions: StageOptions = {
  retries: 0,
  timeoutMs: limits.taskTimeoutMsDefault,
  pure: false,
  priority: 0,
};

export type JsonArg =
  | { value: unknown }
  | { items: unknown[] }
  | { object: string }
  | { stage: string; edge: "one-to-one" | "broadcast" | "all" }
  | { stage: string; task: number }
  | { each: ({ object: string } | { stage: string; task?: number | undefined })[] }
  | { list: JsonArg[] }
  | { index: true };

const jsonArg: z.ZodType<JsonArg> = z.lazy(() =>
  z.union([
    z.strictObject({ value: z.unknown() }).refine((o) => "value" in o, { error: "value is required" }),
    z.strictObject({ items: z.array(z.unknown()).min(1).max(limits.tasksPerStageMax) }),
    z.strictObject({ object: objectId as unknown as z.ZodType<string> }),
    z.strictObject({ stage: z.string(), edge: z.enum(["one-to-one", "broadcast", "all"]) }),
    z.strictObject({ stage: z.string(), task: z.number().int().min(0) }),
    z.strictObject({
      each: z
        .array(
          z.union([
            z.strictObject({ object: objectId as unknown as z.ZodType<string> }),
            z.strictObject({ stage: z.string(), task: z.number().int().min(0).optional() }),
          ]),
        )
        .min(1)
        .max(limits.tasksPerStageMax),
    }),
    z.strictObject({ list: z.array(jsonArg) }),
    z.strictObject({ index: z.literal(true) }),
  ]),
);

export const jsonGraph = z.strictObject({
  name: z.string().min(1).max(128).default("job"),
  stages: z
    .array(
      z.strictObject({
        name: z.string().min(1).max(128),
        fn: z.union([
          z.strictObject({ kernel: z.string().min(1).max(128), version: z.number().int().min(1).optional() }),
          z.strictObject({ bundle: bundleId as unknown as z.ZodType<string>, export: z.string().min(1).max(128) }),
        ]),
        /** Number of tasks; left out, an `items` or `each` argument or a one-to-one edge says it, otherwise 1. */
        count: z.number().int().min(1).max(limits.tasksPerStageMax).optional(),
        args: z.array(jsonArg).max(limits.argsPerTaskMax).default([]),
        options: z
          .strictObject({
            retries: z.number().int().min(0).max(1_000).optional(),
            timeoutMs: taskTimeoutMs.optional(),
            pure: z.boolean().optional(),
            priority: z.number().int().min(-100).max(100).optional(),
            seed: z.number().int().min(0).max(Number.MAX_SAFE_INTEGER).optional(),
          })
          .default({}),
      }),
    )
    .min(1)
    .max(limits.stagesPerJobMax),
  /** Names of the stages whose results are the job's; the last stage if left out. */
  outputs: z.array(z.string()).min(1).optional(),
});
export type JsonGraph = z.infer<typeof jsonGraph>;
export type JsonGraphInput = z.input<typeof jsonGraph>;

export interface CompiledGraph {
  readonly name: string;
  readonly stages: StageSpec[];
  readonly outputs: number[];
}

/** What a graph means by a kernel's name, and by none or one of its versions. */
export type ResolveKernel = (name: string, version?: number) => { readonly kernel: string; readonly version: number };

/** For who knows no kernels: the name as it is, and the first version. */
const asWritten: ResolveKernel = (kernel, version = 1) => ({ kernel, version });

/**
 * From the (validated) JSON form to the wire form. Kernels are pure by nature, so `pure` is set for them. The wire
 * form, and so the ids of results, always has the version: `resolve` says which it is of a kernel without one.
 */
export function compileGraph(graph: JsonGraph, resolve: ResolveKernel = asWritten): CompiledGraph {
  const byName = new Map<string, { index: number; count: number }>();
  const stages = withDraws(
    graph.stages.map((stage, index): StageSpec => {
      const path = `stages.${index}`;
      if (byName.has(stage.name)) throw fault(`${path}.name`, `the name ${JSON.stringify(stage.name)} is used twice`);
      const upstream = (name: string, at: string): { index: number; count: number } => {
        const found = byName.get(name);
        if (!found) throw fault(at, `no stage before this one is named ${JSON.stringify(name)}`);
        return found;
      };
      const compile = (arg: JsonArg, at: string): ArgSpec => {
        if ("value" in arg) return { a: "value", ...encodeValue(arg.value) };
        if ("items" in arg) {
          const pack = new PackWriter();
          for (const item of arg.items) pack.add(encodeValue(item));
          return { a: "item", pack: pack.finish() };
        }
        if ("object" in arg) return { a: "object", id: objectId.parse(arg.object) };
        if ("index" in arg) return { a: "index" };
        if ("list" in arg) return { a: "list", of: arg.list.map((inner, i) => compile(inner, `${at}.list.${i}`)) };
        if ("each" in arg) return { a: "each", of: compileEach(arg.each, at, upstream) };
        const from = upstream(arg.stage, `${at}.stage`);
        return "task" in arg
          ? { a: "task", stage: from.index, task: arg.task }
          : { a: "stage", stage: from.index, edge: arg.edge };
      };
      const args = stage.args.map((arg, i) => compile(arg, `${path}.args.${i}`));
      const count = stage.count ?? inferCount(stage.args, byName);
      byName.set(stage.name, { index, count });
      const { options } = stage;
      return {
        index,
        name: stage.name,
        fn:
          "kernel" in stage.fn
            ? resolve(stage.fn.kernel, stage.fn.version)
            : { bundle: bundleId.parse(stage.fn.bundle), export: stage.fn.export },
        count,
        args,
        options: {
          retries: options.retries ?? defaultStageOptions.retries,
          timeoutMs: options.timeoutMs ?? defaultStageOptions.timeoutMs,
          pure: "kernel" in stage.fn ? true : (options.pure ?? false),
          priority: options.priority ?? 0,
          ...(options.seed === undefined ? {} : { seed: options.seed }),
        },
      };
    }),
  );
  const last = graph.stages.at(-1);
  const outputs = (graph.outputs ?? (last ? [last.name] : [])).map((name, i) => {
    const found = byName.get(name);
    if (!found) throw fault(`outputs.${i}`, `no stage is named ${JSON.stringify(name)}`);
    return found.index;
  });
  validateStages(stages, outputs);
  return { name: graph.name, stages, outputs };
}

/** A stage without a task stands for all of its outputs, in order. */
function compileEach(
  each: Extract<JsonArg, { each: unknown }>["each"],
  at: string,
  upstream: (name: string, at: string) => { index: number; count: number },
): readonly EachRun[] {
  const runs = new EachRuns();
  for (const [i, one] of each.entries()) {
    if ("object" in one) {
      runs.object(objectId.parse(one.object));
      continue;
    }
    const { index, count } = upstream(one.stage, `${at}.each.${i}.stage`);
    if (one.task === undefined) runs.tasks(index, 0, count);
    else runs.tasks(index, one.task);
  }
  return runs.of;
}

function inferCount(args: readonly JsonArg[], byName: ReadonlyMap<string, { count: number }>): number {
  for (const arg of args) {
    if ("items" in arg) return arg.items.length;
    if ("each" in arg)
      return arg.each.reduce(
        (sum, one) => sum + ("stage" in one && one.task === undefined ? (byName.get(one.stage)?.count ?? 1) : 1),
        0,
      );
    if ("edge" in arg && arg.edge === "one-to-one") return byName.get(arg.stage)?.count ?? 1;
  }
  return 1;
}

/** The first fault. Where several forms are allowed, it is that of the form whose keys the value has. */
function firstFault(
  issue: z.core.$ZodIssue | undefined,
  above: readonly PropertyKey[] = [],
): { path: string; why: string } {
  const path = [...above, ...(issue?.path ?? [])];
  if (issue?.code === "invalid_union") {
    const [meant, other] = issue.errors.filter((issues) =>
      issues.every((inner) => inner.path.length > 0 && inner.code !== "unrecognized_keys"),
    );
    if (meant && !other) return firstFault(meant[0], path);
    return { path: path.join(".") || "(root)", why: "has none of the forms that are allowed here" };
  }
  return { path: path.join(".") || "(root)", why: issue?.message ?? "invalid" };
}

/** Parses outside JSON into a graph; faults are INVALID_GRAPH with the path of the first one. */
export function parseGraph(json: unknown, resolve?: ResolveKernel): CompiledGraph {
  const result = jsonGraph.safeParse(json);
  if (!result.success) {
    const { path, why } = firstFault(result.error.issues[0]);
    throw fault(path, why);
  }
  return compileGraph(result.data, resolve);
}
