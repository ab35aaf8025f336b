/** The digest of a kernel over fixed calls: what must be the same on every engine. Test code: no kernel imports it. */
import { createHash, type Hash } from "node:crypto";
import { Table } from "apache-arrow";
import { encodeTable } from "../../../proto/values/value.js";
import type { Kernel } from "../../kernel.js";
import type { DrawnKernel } from "./call.js";
import { Draw } from "./draw.js";
import { drawnCalls } from "./index.js";

const callsEach = 24;
/** Where a kernel takes any number of rows: so many that the loops in WebAssembly run. */
const longRows = [40, 133, 500];
const rowsDefault = [0, 24] as const;

/** Rows of the fixed calls: spread over those that the kernel is drawn with. */
function rowsOf({ rows }: DrawnKernel): number[] {
  const [from, to] = rows ?? rowsDefault;
  const short = Array.from({ length: callsEach }, (_, i) => from + ((i * 7) % (to - from + 1)));
  return rows === undefined ? [...short, ...longRows] : short;
}

/**
 * SHA-256 over the results: of tables the bytes that are stored, nulls and all; of numbers every bit. `seen` is shown
 * each part before it is hashed.
 */
export function pinnedDigest({ name, run }: Kernel, seen?: (call: number, part: Uint8Array) => void): string {
  const drawn = drawnCalls[name];
  if (!drawn) throw new Error(`${name} has no drawn calls: give it some in kernels/testing/calls`);
  const hash = createHash("sha256");
  rowsOf(drawn).forEach((rows, i) => {
    const { args, adapt = (same: readonly unknown[]) => same } = drawn.draw(new Draw(1_000 + i), rows);
    add(hash, run(...adapt(args)), (part) => seen?.(i, part));
  });
  return hash.digest("hex");
}

/** Not as values are sent: how that is written may change, while what a kernel gives must not. */
function add(hash: Hash, value: unknown, seen: (part: Uint8Array) => void): void {
  const part = (kind: string, data: Uint8Array): void => {
    seen(data);
    hash.update(`${kind} ${data.byteLength}:`).update(data);
  };
  if (value instanceof Table) part("table", encodeTable(value));
  else if (typeof value === "number")
    part("number", new Uint8Array(Float64Array.of(Number.isNaN(value) ? Number.NaN : value).buffer));
  else if (ArrayBuffer.isView(value))
    part(value.constructor.name, new Uint8Array(value.buffer, value.byteOffset, value.byteLength).slice());
  else if (typeof value === "object" && value !== null) {
    const entries = Object.entries(value);
    hash.update(`${Array.isArray(value) ? "list" : "record"} ${entries.length}:`);
    for (const [key, inner] of entries) {
      part("key", Buffer.from(key));
      add(hash, inner, seen);
    }
  } else part(typeof value, Buffer.from(String(value)));
}
