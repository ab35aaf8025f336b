/**
 * Content addresses of stages. SDK, gateway and scheduler compute the same bases from the same specs, so a client knows
 * the ids of its results before anything ran, and a pure stage has the same ids in every job of the same content.
 */
import { type ArgLeaf, foldArg } from "./args.js";
import { encodeMessage } from "./codec.js";
import { digestOf, hexOf, sha256Hex } from "./digest.js";
import { engineOfStage } from "./engine.js";
import { type JobId, type ObjectBase, type ObjectId, objectIdOf, splitObjectId, stageBaseOf } from "./ids.js";
import type { ArgSpec, StageSpec } from "./messages/stage.js";

/** The id of bytes put as a value of this kind. */
export const putObjectId = (kind: number, payload: Uint8Array): ObjectId => contentId(digestOf(kind, payload));

/** The id of bytes that have this digest. */
export const contentId = (digest: Uint8Array): ObjectId => objectIdOf(`c${hexOf(digest)}` as ObjectBase, 0);

/**
 * The digest that the name of an object put by its bytes says; undefined for objects that are named by what made them.
 */
export function contentDigest(id: ObjectId): Uint8Array | undefined {
  const { base, index } = splitObjectId(id);
  return base.startsWith("c") && index === 0 ? new Uint8Array(Buffer.from(base.slice(1), "hex")) : undefined;
}

/** What an argument adds to the address: values by their bytes, inputs by their ids. */
function addressLeaf(leaf: ArgLeaf, baseOf: (stage: number) => ObjectBase): unknown {
  switch (leaf.a) {
    case "value":
      return ["value", leaf.kind, sha256Hex(leaf.data)];
    case "item":
      return ["item", sha256Hex(leaf.pack)];
    case "items":
      return ["items", leaf.object];
    case "object":
      return ["object", leaf.id];
    case "stage":
      return ["stage", baseOf(leaf.stage), leaf.edge];
    case "task":
      return ["object", objectIdOf(baseOf(leaf.stage), leaf.task)];
    case "each":
      return ["each", leaf.of.map((run) => (typeof run === "string" ? run : [baseOf(run[0]), run[1], run[2]]))];
    case "index":
      return ["index"];
  }
}

const addressArg = (arg: ArgSpec, baseOf: (stage: number) => ObjectBase): unknown =>
  foldArg<unknown>(
    arg,
    (leaf) => addressLeaf(leaf, baseOf),
    (of) => ["list", of],
  );

/**
 * The base of a stage's objects. `baseOf` gives the bases of the stages before it.
 * A pure function of a user is addressed together with the engine that runs it, for another one may give other bits;
 * where the engine is not known, as if it were impure, and nothing is shared. Kernels give the same bits on every
 * engine.
 */
export function stageBase(job: JobId, spec: StageSpec, baseOf: (stage: number) => ObjectBase): ObjectBase {
  const engine = engineOfStage(spec);
  if (!spec.options.pure || engine === "") return stageBaseOf(job, spec.index);
  const fn =
    "bundle" in spec.fn ? ["bundle", spec.fn.bundle, spec.fn.export] : ["kernel", spec.fn.kernel, spec.fn.version];
  if (engine !== undefined) fn.push(engine);
  const what = [
    "volley-stage-1",
    fn,
    spec.count,
    spec.args.map((arg) => addressArg(arg, baseOf)),
    spec.options.seed ?? null,
    ...(spec.options.seedFrom ? [spec.options.seedFrom] : []),
  ];
  return `p${sha256Hex(encodeMessage(what)).slice(0, 32)}` as ObjectBase;
}
