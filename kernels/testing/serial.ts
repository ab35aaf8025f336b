/**
 * A graph of kernels evaluated in this thread, stage by stage and task by task: what any cluster's results are compared
 * with. Values pass through their wire form between stages, as they do in a cluster.
 */
import { createHash } from "node:crypto";
import { type ArgLeaf, foldArg } from "../../proto/args.js";
import { digestOf } from "../../proto/digest.js";
import { takenBy } from "../../proto/each.js";
import { VolleyError } from "../../proto/errors.js";
import type { CompiledGraph } from "../../proto/graph.js";
import type { StageSpec } from "../../proto/messages/stage.js";
import { PackReader } from "../../proto/values/pack.js";
import { decodeValue, type EncodedValue, encodeValue } from "../../proto/values/value.js";
import { requireKernel } from "../registry.js";

export interface SerialResult {
  /** Results by stage and task. */
  readonly stages: readonly (readonly EncodedValue[])[];
  /** SHA-256 hex over the digests of the outputs' tasks in order: what the job's status says of a durable job. */
  readonly digest: string;
}

/**
 * `objects`: the values that the graph names by id. Throws what the kernels throw; OBJECT_NOT_FOUND for an unknown id.
 */
export async function evaluateSerially(
  graph: CompiledGraph,
  objects: ReadonlyMap<string, EncodedValue>,
): Promise<SerialResult> {
  const stages: EncodedValue[][] = [];
  for (const stage of graph.stages) {
    if (!("kernel" in stage.fn))
      throw new VolleyError("INVALID_GRAPH", `stage ${stage.index} runs a bundle; only kernels are evaluated serially`);
    const kernel = requireKernel(stage.fn.kernel, stage.fn.version);
    const results: EncodedValue[] = [];
    for (let task = 0; task < stage.count; task++) {
      const args = stage.args.map((arg) =>
        foldArg<unknown>(
          arg,
          (leaf) => leafValue(leaf, stage, task, stages, objects),
          (of) => of,
        ),
      );
      const { kind, data } = encodeValue(await kernel.run(...args));
      results.push({ kind, data: data.slice() });
    }
    stages.push(results);
  }
  const hash = createHash("sha256");
  for (const output of graph.outputs)
    for (const { kind, data } of stages[output] ?? []) hash.update(digestOf(kind, data));
  return { stages, digest: hash.digest("hex") };
}

function leafValue(
  arg: ArgLeaf,
  stage: StageSpec,
  task: number,
  done: readonly (readonly EncodedValue[])[],
  objects: ReadonlyMap<string, EncodedValue>,
): unknown {
  const result = (from: number, index: number): unknown => decodeValue(done[from]?.[index] as EncodedValue);
  const object = (id: string): EncodedValue => {
    const found = objects.get(id);
    if (!found)
      throw new VolleyError("OBJECT_NOT_FOUND", `stage ${stage.index} reads object ${id}, which was not given`);
    return found;
  };
  switch (arg.a) {
    case "value":
      return decodeValue({ kind: arg.kind as EncodedValue["kind"], data: arg.data });
    case "item":
      return decodeValue(new PackReader(arg.pack).at(task));
    case "items":
      return decodeValue(new PackReader(object(arg.object).data).at(task));
    case "object":
      return decodeValue(object(arg.id));
    case "stage":
      return arg.edge === "all"
        ? (done[arg.stage] ?? []).map((_, i) => result(arg.stage, i))
        : result(arg.stage, arg.edge === "one-to-one" ? task : 0);
    case "task":
      return result(arg.stage, arg.task);
    case "each": {
      const taken = takenBy(arg.of, task);
      return "id" in taken ? decodeValue(object(taken.id)) : result(taken.stage, taken.task);
    }
    case "index":
      return task;
  }
}
