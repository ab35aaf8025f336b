/** Specifications of stages: their size on the wire, and how reads of lost stages are replaced by results (S3 in session.ts). */
import type { WireError } from "../../proto/errors.js";
import { type ObjectId, objectIdOf } from "../../proto/ids.js";
import type { ArgSpec, StageSpec } from "../../proto/messages.js";
import { PackWriter } from "../../proto/pack.js";
import type { EncodedValue } from "../../proto/value.js";
import type { ClientStage } from "./stage.js";

/** Bytes of everything in an argument but its payload. */
const argHeadBytes = 64;
const specHeadBytes = 320;

export function argBytes(arg: ArgSpec): number {
  switch (arg.a) {
    case "value":
      return argHeadBytes + arg.data.byteLength;
    case "item":
      return argHeadBytes + arg.pack.byteLength;
    case "list":
      return arg.of.reduce((sum, inner) => sum + argBytes(inner), argHeadBytes);
    default:
      return argHeadBytes;
  }
}

export const specBytes = (spec: StageSpec): number => spec.args.reduce((sum, arg) => sum + argBytes(arg), specHeadBytes);

/** The objects that an argument reads. */
export function collectObjects(arg: ArgSpec, into: Set<ObjectId>): void {
  if (arg.a === "object") into.add(arg.id);
  else if (arg.a === "items") into.add(arg.object);
  else if (arg.a === "list") for (const inner of arg.of) collectObjects(inner, into);
}

class Unreadable extends Error {
  readonly wire: WireError;
  constructor(wire: WireError) {
    super(wire.message);
    this.wire = wire;
  }
}

function resultArg(stage: ClientStage, task: number): ArgSpec {
  const outcome = stage.results.outcome(task);
  if (outcome?.o === "inline") return { a: "value", kind: outcome.value.kind, data: outcome.value.data };
  if (outcome?.o === "stored") return { a: "object", id: objectIdOf(stage.base(), task) };
  if (outcome) throw new Unreadable({ code: "UPSTREAM_FAILED", message: `an input failed: ${outcome.error.message}` });
  throw new Unreadable({ code: "SESSION_LOST", message: "the scheduler restarted and an input of this task is not here; submit again" });
}

/** Task i takes result i. Only results that are here can be given so; for objects, of which each task takes another, the protocol has no argument. */
function resultItems(stage: ClientStage): ArgSpec {
  const pack = new PackWriter();
  for (let task = 0; task < stage.count; task++) {
    const arg = resultArg(stage, task);
    if (arg.a !== "value")
      throw new Unreadable({ code: "SESSION_LOST", message: "the scheduler restarted, and the inputs of this map are not here; submit it again" });
    pack.add({ kind: arg.kind as EncodedValue["kind"], data: arg.data });
  }
  return { a: "item", pack: pack.finish() };
}

/** `lost` gives the stage if it must be replaced. */
export function rewriteReads(spec: StageSpec, lost: (stage: number) => ClientStage | undefined): { spec: StageSpec } | { error: WireError } {
  const rewrite = (arg: ArgSpec): ArgSpec => {
    if (arg.a === "list") return { a: "list", of: arg.of.map(rewrite) };
    if (arg.a !== "task" && arg.a !== "stage") return arg;
    const stage = lost(arg.stage);
    if (!stage) return arg;
    if (arg.a === "task") return resultArg(stage, arg.task);
    if (arg.edge === "broadcast") return resultArg(stage, 0);
    if (arg.edge === "one-to-one") return resultItems(stage);
    return { a: "list", of: Array.from({ length: stage.count }, (_, task) => resultArg(stage, task)) };
  };
  try {
    return { spec: { ...spec, args: spec.args.map(rewrite) } };
  } catch (error) {
    if (error instanceof Unreadable) return { error: error.wire };
    throw error;
  }
}
