/**
 * Graphs under construction. Values are encoded when they are given; what is too large for a message is put when the
 * graph is run. A graph is plain data of stages, so it may be run any number of times.
 */
import { withDraws } from "../../proto/draws.js";
import { EachRuns } from "../../proto/each.js";
import { VolleyError } from "../../proto/errors.js";
import { type CompiledGraph, validateStages } from "../../proto/graph.js";
import type { ObjectId } from "../../proto/ids.js";
import type { ArgSpec, StageSpec } from "../../proto/messages/stage.js";
import { encodeValue, valueKind } from "../../proto/values/value.js";
import type { GraphBuilder, ObjectRef, RefArray, RemoteFunction, StageRef, TaskOptions } from "./api.js";
import { packItems } from "./pack-items.js";
import { isRef, isRefArray } from "./refs.js";
import { RemoteCallable } from "./remote-function.js";
import { calleeOf } from "./submit.js";

/** The result of one task of a durable job that is being described. It has no id before the job is run. */
export class GraphRef<T> implements ObjectRef<T> {
  declare readonly __value?: T;
  readonly of: GraphStage;
  readonly task: number;

  constructor(of: GraphStage, task: number) {
    this.of = of;
    this.task = task;
  }

  get id(): ObjectId {
    throw new VolleyError(
      "INVALID_GRAPH",
      "a ref of a durable job is an argument of its other calls, or part of what its description returns, and nothing else: its value is the job's to give (job.value())",
    );
  }
}

/** The results of tasks [from, to) of one stage of it. */
export class GraphRefArray<T> implements RefArray<T> {
  readonly of: GraphStage;
  readonly from: number;
  readonly to: number;

  constructor(of: GraphStage, from: number, to: number) {
    this.of = of;
    this.from = from;
    this.to = to;
  }

  get length(): number {
    return this.to - this.from;
  }

  get isWhole(): boolean {
    return this.length === this.of.count;
  }

  at(index: number): ObjectRef<T> {
    const at = index < 0 ? this.length + index : index;
    if (!Number.isInteger(at) || at < 0 || at >= this.length)
      throw new RangeError(`no ref ${index} in an array of ${this.length}`);
    return new GraphRef<T>(this.of, this.from + at);
  }

  slice(from?: number, to?: number): ObjectRef<T>[] {
    return [...this].slice(from, to);
  }

  *[Symbol.iterator](): Iterator<ObjectRef<T>> {
    for (let task = this.from; task < this.to; task++) yield new GraphRef<T>(this.of, task);
  }
}

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
    return this.#addMap(fn, options, items.length, this.#items(items));
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

  /** The same by their numbers. */
  outputs(stages: readonly number[]): void {
    this.#outputs = [...new Set(stages)];
  }

  // --------------------------------------------------------------------------------- a session's calls, as stages

  submit(fn: unknown, args: readonly unknown[]): GraphRef<never> {
    return new GraphRef(this.#own(this.stage(fn, args)), 0);
  }

  mapItems(fn: unknown, items: readonly unknown[], shared: readonly unknown[]): RefArray<never> {
    const stage = this.#own(this.map(fn, items, { shared }));
    return new GraphRefArray(stage, 0, stage.count);
  }

  /** One task for each of an earlier stage. */
  mapStage(fn: unknown, { of }: GraphRefArray<unknown>, shared: readonly unknown[]): RefArray<never> {
    const stage = this.#own(this.each(fn, of, { shared }));
    return new GraphRefArray(stage, 0, stage.count);
  }

  indexOf({ of }: GraphRef<unknown> | GraphRefArray<unknown>): number {
    return this.#own(of).stage;
  }

  /** Whether an argument is more than a value: a ref, a stage, or a list with one in it. */
  reads(value: unknown): boolean {
    if (isRef(value) || isRefArray(value) || value instanceof GraphStage) return true;
    if (value instanceof GraphRef || value instanceof GraphRefArray) return true;
    return Array.isArray(value) && value.some((inner) => this.reads(inner));
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

  /** Whether each of the items is one object: a ref, or a stage of one task. */
  takesEach(items: readonly unknown[]): boolean {
    return items.every(
      (item) => isRef(item) || item instanceof GraphRef || (item instanceof GraphStage && item.count === 1),
    );
  }

  /** Refs and stages of one task are taken one by a task, values as a pack. */
  #items(items: readonly unknown[]): ArgSpec {
    if (!this.takesEach(items)) return { a: "item", pack: packItems(items) };
    const runs = new EachRuns();
    for (const item of items) {
      if (item instanceof GraphStage) runs.tasks(this.#own(item).stage, 0);
      else if (item instanceof GraphRef) runs.tasks(this.#own(item.of).stage, item.task);
      else {
        const ref = item as ObjectRef<unknown>;
        this.refs.set(ref.id, ref);
        runs.object(ref.id as ObjectId);
      }
    }
    return { a: "each", of: runs.of };
  }

  #arg(value: unknown): ArgSpec {
    if (value instanceof GraphStage) {
      const { stage, count } = this.#own(value);
      const edge: Edge = count === 1 ? "broadcast" : "all";
      return { a: "stage", stage, edge };
    }
    if (value instanceof GraphRef) return this.#task(value);
    if (value instanceof GraphRefArray)
      return value.isWhole
        ? { a: "stage", stage: this.indexOf(value), edge: "all" }
        : { a: "list", of: [...value].map((ref) => this.#arg(ref)) };
    if (isRef(value)) {
      this.refs.set(value.id, value);
      return { a: "object", id: value.id };
    }
    if (isRefArray(value)) return { a: "list", of: [...value].map((ref) => this.#arg(ref)) };
    if (Array.isArray(value) && this.reads(value)) return { a: "list", of: value.map((inner) => this.#arg(inner)) };
    const { kind, data } = encodeValue(value);
    // Raw bytes are the caller's own array, which it may change before the graph is run.
    return { a: "value", kind, data: kind === valueKind.bytes ? data.slice() : data };
  }

  #task(ref: GraphRef<unknown>): ArgSpec {
    const { stage, count } = this.#own(ref.of);
    return count === 1 ? { a: "stage", stage, edge: "broadcast" } : { a: "task", stage, task: ref.task };
  }

  #own(stage: unknown): GraphStage {
    if (!(stage instanceof GraphStage) || stage.graph !== this)
      throw new VolleyError("INVALID_GRAPH", `expected a stage of the graph ${JSON.stringify(this.name)}`);
    return stage;
  }
}

export const asBuilder = (graph: Graph): GraphBuilder => graph as unknown as GraphBuilder;
export type { RemoteFunction };
