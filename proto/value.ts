/**
 * Values on the wire: undefined, msgpack, an Arrow IPC stream, or raw bytes. A kind byte stands beside the payload, never in it,
 * so that an Arrow stream keeps its alignment in memory and is read in place.
 *
 * msgpack carries what JSON carries, plus bigint, Date, typed arrays, Uint8Array, Map, Set, Error, NaN and infinities, and Arrow tables
 * nested anywhere (extension 0x41). Functions, symbols, class instances and cycles are refused with TASK_UNSERIALIZABLE.
 */
import { RecordBatch, Table, tableFromIPC, tableToIPC, Vector } from "apache-arrow";
import { addExtension, Packr } from "msgpackr";
import { VolleyError } from "./errors.js";

export const valueKind = { undefined: 0, msgpack: 1, arrow: 2, bytes: 3 } as const;
export type ValueKind = (typeof valueKind)[keyof typeof valueKind];
export const valueKinds = 4;

export interface EncodedValue {
  readonly kind: ValueKind;
  readonly data: Uint8Array;
}

/** Type code of the msgpack extension that holds an Arrow table as an IPC stream. */
const arrowExtension = 0x41;

addExtension({
  Class: Table,
  type: arrowExtension,
  pack: (table: Table) => Buffer.from(encodeTable(table)),
  unpack: (data: Uint8Array) => tableFromIPC(Uint8Array.from(data)),
});

const packr = new Packr({ useRecords: false, moreTypes: true, copyBuffers: true });
const empty = new Uint8Array(0);

const unserializable = (path: string, what: string): VolleyError =>
  new VolleyError("TASK_UNSERIALIZABLE", `${path} is ${what}, which cannot be sent; return plain data, typed arrays or an Arrow table`, { details: { path } });

/** Walks a value before it is packed, so that what cannot be sent is named by its path instead of being dropped or looped over. */
function check(value: unknown, path: string, above: readonly object[]): void {
  switch (typeof value) {
    case "function":
      throw unserializable(path, `a function (${value.name || "anonymous"})`);
    case "symbol":
      throw unserializable(path, "a symbol");
    case "bigint":
      if (value > 0xffff_ffff_ffff_ffffn || value < -0x8000_0000_0000_0000n) throw unserializable(path, "a bigint beyond 64 bits");
      return;
    case "object":
      break;
    default:
      return;
  }
  if (value === null || ArrayBuffer.isView(value) || value instanceof Date || value instanceof Table || value instanceof Error || value instanceof ArrayBuffer) return;
  if (above.includes(value)) throw unserializable(path, "a cycle");
  if (above.length > 200) throw unserializable(path, "nested deeper than 200 levels");
  const inside = [...above, value];
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) check(value[i], `${path}[${i}]`, inside);
    return;
  }
  if (value instanceof Map) {
    for (const [k, v] of value) {
      check(k, `${path} key`, inside);
      check(v, `${path}.get(${String(k)})`, inside);
    }
    return;
  }
  if (value instanceof Set) {
    for (const v of value) check(v, `${path} member`, inside);
    return;
  }
  const proto: unknown = Object.getPrototypeOf(value);
  if (proto !== Object.prototype && proto !== null) throw unserializable(path, `an instance of ${(value as object).constructor?.name ?? "a class"}`);
  for (const [k, v] of Object.entries(value)) check(v, `${path}.${k}`, inside);
}

/** An Arrow table as an IPC stream. Columns that share a buffer are copied apart (the writer would write a broken stream). */
export function encodeTable(table: Table): Uint8Array {
  return tableToIPC(table, "stream");
}

/** Throws TASK_UNSERIALIZABLE naming the path of what cannot be sent. The payload may share memory with `value` if that is a Uint8Array. */
export function encodeValue(value: unknown): EncodedValue {
  if (value === undefined) return { kind: valueKind.undefined, data: empty };
  if (value instanceof Uint8Array && !Buffer.isBuffer(value)) return { kind: valueKind.bytes, data: value };
  if (value instanceof Table) return { kind: valueKind.arrow, data: encodeTable(value) };
  if (value instanceof RecordBatch) return { kind: valueKind.arrow, data: encodeTable(new Table([value])) };
  if (value instanceof Vector) throw unserializable("value", "an Arrow vector; wrap it in a table");
  if (typeof value === "object" || typeof value === "function" || typeof value === "symbol" || typeof value === "bigint") check(value, "value", []);
  return { kind: valueKind.msgpack, data: packr.pack(value) };
}

/** Arrow tables are views on `data`: whoever owns that memory must keep it while the table is in use. */
export function decodeValue(encoded: EncodedValue): unknown {
  switch (encoded.kind) {
    case valueKind.undefined:
      return undefined;
    case valueKind.msgpack:
      return packr.unpack(encoded.data);
    case valueKind.arrow:
      return tableFromIPC(encoded.data);
    case valueKind.bytes:
      return encoded.data;
  }
}
