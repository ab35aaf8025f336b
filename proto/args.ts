/** What can be said of arguments without decoding them. */
import type { ArgSpec } from "./messages/stage.js";

/** What keeping or naming one argument costs beside its bytes. */
const argHeadBytes = 64;

/** Bytes of arguments in messages and in memory, about: their own, and something for each. */
export function argsBytes(args: readonly ArgSpec[]): number {
  let bytes = 0;
  for (const arg of args) {
    if (arg.a === "item") bytes += arg.pack.byteLength;
    else if (arg.a === "value") bytes += arg.data.byteLength;
    else if (arg.a === "list") bytes += argsBytes(arg.of);
    bytes += argHeadBytes;
  }
  return bytes;
}
