/** Arguments of stages: their size on the wire, and the objects they read. */
import { argsBytes } from "../../proto/args.js";
import type { ObjectId } from "../../proto/ids.js";
import type { ArgSpec } from "../../proto/messages/stage.js";

/** Bytes of one argument in a message, about. */
export const argBytes = (arg: ArgSpec): number => argsBytes([arg]);

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
