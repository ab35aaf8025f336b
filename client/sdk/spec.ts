/** Specifications of stages: their size on the wire, and the objects they read. */
import type { ObjectId } from "../../proto/ids.js";
import type { ArgSpec, StageSpec } from "../../proto/messages.js";

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

/** The argument with other names for the objects that it reads. */
export function renameObjects(arg: ArgSpec, nameOf: (id: ObjectId) => ObjectId): ArgSpec {
  if (arg.a === "object") return { ...arg, id: nameOf(arg.id) };
  if (arg.a === "items") return { ...arg, object: nameOf(arg.object) };
  return arg.a === "list" ? { ...arg, of: arg.of.map((inner) => renameObjects(inner, nameOf)) } : arg;
}
