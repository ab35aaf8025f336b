/**
 * Graphs under construction. Values are encoded when they are given; what is too large for a message is put when the
 * graph is run. A graph is plain data of stages, so it may be run any number of times.
 */
import { withDraws } from "../../proto/draws.js";
import { VolleyError } from "../../proto/errors.js";
import { type CompiledGraph, validateStages } from "../../proto/graph.js";
import type { ArgSpec, StageSpec } from "../../proto/messages/stage.js";
import { encodeValue, valueKind } from "../../proto/values/value.js";
import type { GraphBuilder, ObjectRef, RemoteFunction, StageRef, TaskOptions } from "./api.js";
import { packItems } from "./pack-items.js";
import { isRef, isRefArray } from "./refs.js";
import { RemoteCallable } from "./remote-function.js";
import { calleeOf } from "./submit.js";

type Edge = "one-to-one" | "broadcast" | "all";
type MapOptions = TaskOptions & { shared?: readonly unknown[] };

class GraphStage implements StageRef<never> {
  declare readonly __value?: never;
  readonly graph: Graph;
  readonly stage: number;
  readonly count: number;

  constructor(graph: Graph, stage: number, count: number) {
    this.graph = graph;
    this.stage = stage;
    this.count = count;
  }
}

export class Graph {
  readonly name: string;
  /** Refs whose values the graph reads; held so that they live until it has been run. */
  readonly refs = new Map<string, ObjectRef<unknown>>();
  readonly #stages: StageSpec[] = [];
  #outputs: number[] | undefined;

  constructor(name: string) {
    this.name = name;
  }

  stage(fn: unknown, args: readonly unknown[], options: TaskOptions = {}): StageRef<never> {
    return this.#add(fn, options, 1, (callable) => callable.arguments(args).map((arg) => this.#arg(arg)));
  }

  map(fn: unknown, items: readonly unknown[], options: MapOptions = {}): StageRef<never> {
    if (items.length === 0)
      throw new VolleyError("INVALID_GRAPH", `stages.${this.#stages.length}: map was given no items`);
    return this.#addMap(fn, options, items.length, { a: "item", pack: packItems(items) });
  }

  each(fn: unknown, upstream: unknown, options: MapOptions = {}): StageRef<never> {
    const { stage, count } = this.#own(upstream);
    return this.#addMap(fn, options, count, { a: "stage", stage, edge: "one-to-one" });
  }

  all(fn: unknown, upstream: unknown, options: MapOptions = {}): StageRef<never> {
    const { stage } = this.#own(upstream);
    return this.#addMap(fn, options, 1, { a: "stage", stage, edge: "all" });
  }

  output(...stages: readonly unknown[]): void {
    this.#outputs = stages.map((stage) => this.#own(stage).stage);
  }

  /** Throws INVALID_GRAPH with the path of the fault. */
  compile(): CompiledGraph {
    if (this.#stages.length === 0)
      throw new VolleyError("INVALID_GRAPH", `stages: the graph ${JSON.stringify(this.name)} has none`, {
        details: { path: "stages" },
      });
    const outputs = this.#outputs ?? [this.#stages.length - 1];
    const stages = withDraws(this.#stages);
    validateStages(stages, outputs);
    return { name: this.name, stages, outputs };
  }

  #addMap(fn: unknown, options: MapOptions, count: number, first: ArgSpec): StageRef<never> {
    const { shared = [], ...rest } = options;
    return this.#add(fn, rest, count, (callable) => [first, ...callable.shared(shared).map((arg) => this.#arg(arg))]);
  }

  #add(
    fn: unknown,
    options: TaskOptions,
    count: number,
    argsOf: (callable: RemoteCallable) => ArgSpec[],
  ): StageRef<never> {
    if (!(fn instanceof RemoteCallable))
      throw new VolleyError(
        "INVALID_GRAPH",
        `stages.${this.#stages.length}: expected a function of a deployed library or a kernel`,
      );
    const args = argsOf(fn);
    const callee = calleeOf(fn.ref, { ...fn.options, ...options });
    const index = this.#stages.length;
    this.#stages.push({
      index,
      ...(callee.name ? { name: callee.name } : {}),
      fn: callee.fn,
      count,
      args,
      options: callee.options,
    });
    return new GraphStage(this, index, count);
  }

  #arg(value: unknown): ArgSpec {
    if (value instanceof GraphStage) {
      const { stage, count } = this.#own(value);
      const edge: Edge = count === 1 ? "broadcast" : "all";
      return { a: "stage", stage, edge };
    }
    if (isRef(value)) {
      this.refs.set(value.id, value);
      return { a: "object", id: value.id };
    }
    if (isRefArray(value)) return { a: "list", of: [...value].map((ref) => this.#arg(ref)) };
    const nested = (inner: unknown): boolean => isRef(inner) || inner instanceof GraphStage || isRefArray(inner);
    if (Array.isArray(value) && value.some(nested)) return { a: "list", of: value.map((inner) => this.#arg(inner)) };
    const { kind, data } = encodeValue(value);
    // Raw bytes are the caller's own array, which it may change before the graph is run.
    return { a: "value", kind, data: kind === valueKind.bytes ? data.slice() : data };
  }

  #own(stage: unknown): GraphStage {
    if (!(stage instanceof GraphStage) || stage.graph !== this)
      throw new VolleyError("INVALID_GRAPH", `expected a stage of the graph ${JSON.stringify(this.name)}`);
    return stage;
  }
}

export const asBuilder = (graph: Graph): GraphBuilder => graph as unknown as GraphBuilder;
export type { RemoteFunction };
