/**
 * Templates of arguments: the one walk over them, and what can be said of them without decoding anything.
 * Whoever needs something of each argument says what a leaf gives, and leaves lists to this file.
 */
import { runBytes } from "./each.js";
import type { ObjectId } from "./ids.js";
import type { ArgSpec } from "./messages/stage.js";

/** An argument that holds no other. */
export type ArgLeaf = Exclude<ArgSpec, { a: "list" }>;

/** From the leaves up: what a list gives follows from what its parts give. */
export function foldArg<T>(arg: ArgSpec, leaf: (leaf: ArgLeaf) => T, list: (of: T[]) => T): T {
  return arg.a === "list" ? list(arg.of.map((inner) => foldArg(inner, leaf, list))) : leaf(arg);
}

/** The template with other leaves. */
export const mapArg = (arg: ArgSpec, change: (leaf: ArgLeaf) => ArgSpec): ArgSpec =>
  foldArg<ArgSpec>(arg, change, (of) => ({ a: "list", of }));

/** Every leaf, lists opened. */
export function* leavesOf(args: readonly ArgSpec[]): IterableIterator<ArgLeaf> {
  for (const arg of args) {
    if (arg.a === "list") yield* leavesOf(arg.of);
    else yield arg;
  }
}

/** Every leaf with the path that an error names it by. */
export function* placedLeaves(args: readonly ArgSpec[], path: string): IterableIterator<readonly [ArgLeaf, string]> {
  for (const [i, arg] of args.entries()) {
    if (arg.a === "list") yield* placedLeaves(arg.of, `${path}.${i}.of`);
    else yield [arg, `${path}.${i}`];
  }
}

/** The objects that arguments name by their ids, in order, each as often as it is named. */
export function* objectsRead(args: readonly ArgSpec[]): IterableIterator<ObjectId> {
  for (const leaf of leavesOf(args)) {
    if (leaf.a === "object") yield leaf.id;
    else if (leaf.a === "items") yield leaf.object;
    else if (leaf.a === "each") for (const run of leaf.of) if (typeof run === "string") yield run;
  }
}

/** The stages of the same job that arguments name, likewise. */
export function* stagesRead(args: readonly ArgSpec[]): IterableIterator<number> {
  for (const leaf of leavesOf(args)) {
    if (leaf.a === "stage" || leaf.a === "task") yield leaf.stage;
    else if (leaf.a === "each") for (const run of leaf.of) if (typeof run !== "string") yield run[0];
  }
}

/** The same template with other objects. */
export const renameObjects = (arg: ArgSpec, nameOf: (id: ObjectId) => ObjectId): ArgSpec =>
  mapArg(arg, (leaf) => {
    if (leaf.a === "object") return { ...leaf, id: nameOf(leaf.id) };
    if (leaf.a === "each") return { ...leaf, of: leaf.of.map((run) => (typeof run === "string" ? nameOf(run) : run)) };
    return leaf.a === "items" ? { ...leaf, object: nameOf(leaf.object) } : leaf;
  });

/** What keeping or naming one argument costs beside its bytes. */
const argHeadBytes = 64;

/** Its bytes in a message, about. */
function leafBytes(leaf: ArgLeaf): number {
  switch (leaf.a) {
    case "item":
      return leaf.pack.byteLength;
    case "value":
      return leaf.data.byteLength;
    case "each":
      return leaf.of.reduce((sum, run) => sum + runBytes(run), 0);
    default:
      return 0;
  }
}

/** Bytes of arguments in messages and in memory, about: their own, and something for each. */
export function argsBytes(args: readonly ArgSpec[]): number {
  const bytesOf = (leaf: ArgLeaf): number => argHeadBytes + leafBytes(leaf);
  const sum = (of: readonly number[]): number => of.reduce((total, bytes) => total + bytes, 0);
  return sum(args.map((arg) => foldArg(arg, bytesOf, (of) => argHeadBytes + sum(of))));
}
