/** Arguments of stages: their size on the wire. */
import { argsBytes } from "../../proto/args.js";
import type { ArgSpec } from "../../proto/messages/stage.js";

/** Bytes of one argument in a message, about. */
export const argBytes = (arg: ArgSpec): number => argsBytes([arg]);
