/**
 * A durable job written as a session is: `submit` and `map` of functions that were deployed, refs as their arguments,
 * and what the description returns as the job's value. Each call is a stage of the graph that is run.
 */
import { VolleyError } from "../../proto/errors.js";
import type { JobOutput, RefArray } from "./api.js";
import { Graph, GraphRef, GraphRefArray } from "./graph.js";
import { record } from "./recording.js";
import { isRefArray, RefList } from "./refs.js";

/** Which results make up the value: the same shape, with stages and tasks in place of refs. */
export type Shape =
  | { readonly is: "task"; readonly stage: number; readonly task: number }
  | { readonly is: "tasks"; readonly stage: number; readonly from: number; readonly to: number }
  | { readonly is: "list"; readonly of: readonly Shape[] }
  | { readonly is: "record"; readonly of: Readonly<Record<string, Shape>> };

export interface DurableJob {
  readonly graph: Graph;
  readonly shape: Shape;
}

/** Throws INVALID_GRAPH for what is no description: nothing or something else than refs of it returned, a promise. */
export function describeJob(session: object, name: string, describe: () => JobOutput): DurableJob {
  const graph = new Graph(name);
  const output: unknown = record(
    session,
    {
      submit: (fn, args) => graph.submit(fn, args),
      map: (fn, items, shared) => mapOver(graph, fn, items, shared),
    },
    describe,
  );
  const shape = shapeOf(graph, output, "the value returned");
  graph.outputs([...stagesOf(shape)]);
  return { graph, shape };
}

/** One stage over plain items, a whole map or refs; a stage for each of refs among values and of lists of refs. */
function mapOver(graph: Graph, fn: object, given: Iterable<unknown>, shared: readonly unknown[]): RefArray<unknown> {
  if (given instanceof GraphRefArray && given.isWhole) return graph.mapStage(fn, given, shared);
  const items = [...given];
  if (items.some((item) => graph.reads(item)) && !graph.takesEach(items))
    return new RefList(items.map((item) => graph.submit(fn, [item, ...shared])));
  return graph.mapItems(fn, items, shared);
}

function shapeOf(graph: Graph, output: unknown, where: string): Shape {
  if (output instanceof GraphRef) return { is: "task", stage: graph.indexOf(output), task: output.task };
  if (output instanceof GraphRefArray)
    return { is: "tasks", stage: graph.indexOf(output), from: output.from, to: output.to };
  if (Array.isArray(output) || isRefArray(output))
    return { is: "list", of: [...output].map((one, i) => shapeOf(graph, one, `${where}[${i}]`)) };
  if (typeof output === "object" && output !== null && Object.getPrototypeOf(output) === Object.prototype)
    return {
      is: "record",
      of: Object.fromEntries(Object.entries(output).map(([key, one]) => [key, shapeOf(graph, one, `${where}.${key}`)])),
    };
  const hint = output instanceof Promise ? "; describe the job without awaiting: put values before it" : "";
  throw new VolleyError(
    "INVALID_GRAPH",
    `${where} of a durable job is ${output === undefined ? "undefined" : `of type ${typeof output}`}; expected refs of the job's own calls, alone or in arrays and records${hint}`,
  );
}

function* stagesOf(shape: Shape): Iterable<number> {
  if (shape.is === "task" || shape.is === "tasks") yield shape.stage;
  else for (const one of Object.values(shape.of)) yield* stagesOf(one);
}

/** The value, from the results of its stages, each of which is fetched once. */
export async function valueOfShape(shape: Shape, results: (stage: number) => Promise<unknown[]>): Promise<unknown> {
  const fetched = new Map<number, unknown[]>();
  for (const stage of stagesOf(shape)) if (!fetched.has(stage)) fetched.set(stage, await results(stage));
  const build = (one: Shape): unknown => {
    if (one.is === "task") return fetched.get(one.stage)?.[one.task];
    if (one.is === "tasks") return fetched.get(one.stage)?.slice(one.from, one.to);
    if (one.is === "list") return one.of.map(build);
    return Object.fromEntries(Object.entries(one.of).map(([key, inner]) => [key, build(inner)]));
  };
  return build(shape);
}
