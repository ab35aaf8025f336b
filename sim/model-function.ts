/**
 * What user functions do in the simulator. A function's traits stand in its name; its value is a hash of name and
 * arguments, so any mix-up of tasks, arguments or attempts shows as a wrong value. The worker model and the serial
 * oracle evaluate by the same code here, from opposite ends: one from leases and fetched bytes, the other from the
 * graph alone.
 */
import { type ArgLeaf, foldArg, leavesOf } from "../proto/args.js";
import { digestOf, hexOf } from "../proto/digest.js";
import { takenBy } from "../proto/each.js";
import { type ObjectBase, type ObjectId, objectIdOf } from "../proto/ids.js";
import type { ArgSpec, FunctionRef } from "../proto/messages/stage.js";
import { PackReader } from "../proto/values/pack.js";
import type { EncodedValue } from "../proto/values/value.js";

/**
 * restless: returns something else at every execution, and is not declared pure. liar: does, and is declared pure all
 * the same. poison: its worker dies of it.
 */
export type Mood = "steady" | "restless" | "liar" | "poison";

export interface Traits {
  readonly name: string;
  /** Virtual time per task. */
  readonly durationMs: number;
  /** The first so many executions of a task throw. */
  readonly failFirst: number;
  /** Every so many-th task always throws; 0: none. */
  readonly failEvery: number;
  /** Every so many-th task's result is too large to travel inline; 0: none. */
  readonly largeEvery: number;
  readonly mood: Mood;
}

const order = ["durationMs", "failFirst", "failEvery", "largeEvery"] as const;

export const encodeTraits = (traits: Traits): string =>
  [traits.name, ...order.map((key) => traits[key]), traits.mood].join(":");

export function traitsOf(fn: FunctionRef): Traits {
  const [name = "", durationMs, failFirst, failEvery, largeEvery, mood] = (
    "bundle" in fn ? fn.export : fn.kernel
  ).split(":");
  return {
    name,
    durationMs: Number(durationMs),
    failFirst: Number(failFirst),
    failEvery: Number(failEvery),
    largeEvery: Number(largeEvery),
    mood: (mood ?? "steady") as Mood,
  };
}

/** Of a large result: no larger than it must be for stores to fill. */
const largeBytes = 256;

const every = (n: number, task: number): boolean => n > 0 && task % n === n - 1;
export const alwaysFails = (traits: Traits, task: number): boolean => every(traits.failEvery, task);
export const isLarge = (traits: Traits, task: number): boolean => every(traits.largeEvery, task);

/** What is known of the stages that arguments name. */
export interface StageFacts {
  readonly base: ObjectBase;
  readonly count: number;
}
export type StageLookup = (stage: number) => StageFacts;

/** Ids of the objects that this argument of this task reads. */
export function* objectsOf(arg: ArgSpec, task: number, stageOf: StageLookup): IterableIterator<ObjectId> {
  for (const leaf of leavesOf([arg])) yield* objectsOfLeaf(leaf, task, stageOf);
}

function* objectsOfLeaf(arg: ArgLeaf, task: number, stageOf: StageLookup): IterableIterator<ObjectId> {
  switch (arg.a) {
    case "items":
      yield arg.object;
      return;
    case "object":
      yield arg.id;
      return;
    case "task":
      yield objectIdOf(stageOf(arg.stage).base, arg.task);
      return;
    case "each": {
      const taken = takenBy(arg.of, task);
      yield "id" in taken ? taken.id : objectIdOf(stageOf(taken.stage).base, taken.task);
      return;
    }
    case "stage": {
      const { base, count } = stageOf(arg.stage);
      if (arg.edge === "one-to-one") yield objectIdOf(base, task);
      else for (let i = 0; i < count; i++) yield objectIdOf(base, i);
      return;
    }
    default:
      return;
  }
}

/** The argument's value as text; `contentOf` gives an object's bytes. */
function textOf(arg: ArgLeaf, task: number, stageOf: StageLookup, contentOf: (id: ObjectId) => Uint8Array): string {
  switch (arg.a) {
    case "value":
      return hexOf(arg.data);
    case "item":
      return hexOf(new PackReader(arg.pack).at(task).data);
    case "items":
      return hexOf(new PackReader(contentOf(arg.object)).at(task).data);
    case "index":
      return `#${task}`;
    case "stage":
      if (arg.edge === "all") return `[${[...objectsOf(arg, task, stageOf)].map((id) => hexOf(contentOf(id))).join()}]`;
      break;
    default:
      break;
  }
  return [...objectsOf(arg, task, stageOf)].map((id) => hexOf(contentOf(id))).join();
}

/**
 * The result of one task as encoded value; `salt` differs per execution and counts for functions that are not steady.
 */
export function evaluate(
  traits: Traits,
  args: readonly ArgSpec[],
  task: number,
  stageOf: StageLookup,
  contentOf: (id: ObjectId) => Uint8Array,
  salt: number,
): EncodedValue {
  const texts = args.map((arg) =>
    foldArg(
      arg,
      (leaf) => textOf(leaf, task, stageOf, contentOf),
      (of) => `[${of.join()}]`,
    ),
  );
  return resultOf(traits, task, texts, salt);
}

/** By its arguments' values as text. A large one is the same over and over. */
export function resultOf(traits: Traits, task: number, texts: readonly string[], salt: number): EncodedValue {
  const text = `${traits.name}(${texts.join(";")})${traits.mood === "steady" ? "" : salt}`;
  const digest = digestOf(3, Buffer.from(text));
  if (!isLarge(traits, task)) return { kind: 3, data: digest };
  const data = new Uint8Array(largeBytes);
  for (let at = 0; at < largeBytes; at += digest.byteLength) data.set(digest, at);
  return { kind: 3, data };
}
