/**
 * Values on the wire: undefined, msgpack, an Arrow IPC stream, or raw bytes. A kind byte stands beside the payload,
 * never in it, so that an Arrow stream keeps its alignment in memory and is read in place.
 *
 * What crosses comes back equal, or is refused with TASK_UNSERIALIZABLE that names type and path (write.ts says
 * what "equal" means): undefined, null, booleans, numbers (-0, NaN and infinities too), bigints, strings (halves of
 * surrogate pairs too), arrays, plain objects with any keys, Date, RegExp, Map, Set, ArrayBuffer and all views on it,
 * errors with cause and fields, Arrow tables nested anywhere. Refused: functions, symbols, symbols as keys, class
 * instances, subclasses of the language's classes other than errors, sparse arrays, arrays and
 * collections with properties of their own, cycles.
 * Equal values give equal bytes, in every process (keys of objects, maps and sets in the order in which they were set).
 */
import { types } from "node:util";
import { addExtension, Packr } from "msgpackr";
import { encodeForeignOrOwn } from "./arrow.js";
import { type ErrorFields, errorFrom } from "./error-fields.js";
import { extension } from "./extensions.js";
import { type EncodedValue, valueKind } from "./kind.js";
import type { ReadMany } from "./read-slices.js";
import { decodeTable, encodeTable, type Placing } from "./table.js";
import { checkView, writeValue } from "./write.js";

export { type EncodedValue, type ValueKind, valueKind, valueKinds } from "./kind.js";
export { decodeTable, encodeTable };

// Never packed by msgpackr: its messages hold encoded values, not values.
class Nothing {}
const pack = (): never => {
  throw new TypeError("not a value of a message");
};
const reads = <T>(type: number, read: (value: T) => unknown): void =>
  addExtension({ Class: class extends Nothing {}, type, write: pack, read });
const unpacks = (type: number, unpack: (data: Uint8Array) => unknown): void =>
  addExtension({ Class: class extends Nothing {}, type, pack, unpack });

unpacks(extension.arrow, (data) => decodeTable(Uint8Array.from(data)));
unpacks(extension.date, (data) => new Date(new DataView(data.buffer, data.byteOffset, data.byteLength).getFloat64(0)));
reads<unknown[]>(extension.map, (entries) => {
  const map = new Map<unknown, unknown>();
  for (let i = 0; i + 1 < entries.length; i += 2) map.set(entries[i], entries[i + 1]);
  return map;
});
reads<Uint8Array>(extension.text, (data) =>
  Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("utf16le"),
);
reads<string>(extension.bigint, (text) => (text.startsWith("-") ? -BigInt(`0x${text.slice(1)}`) : BigInt(`0x${text}`)));
reads<[string, string, number]>(extension.regExp, ([source, flags, lastIndex]) =>
  Object.assign(new RegExp(source, flags), { lastIndex }),
);
reads<unknown[]>(extension.entries, ([bare, ...entries]) => {
  const object = bare ? (Object.create(null) as object) : {};
  // Not by assignment: that would set the prototype for the key "__proto__".
  for (const [key, value] of pairs(entries))
    Object.defineProperty(object, key, { value, enumerable: true, writable: true, configurable: true });
  return object;
});
reads<[string, string | undefined, number, ...unknown[]]>(extension.error, ([builtin, name, hidden, ...rest]) => {
  const fields = pairs(rest);
  return errorFrom({
    builtin,
    name,
    hidden: fields.slice(0, hidden),
    shown: fields.slice(hidden),
  } satisfies ErrorFields);
});

function pairs(list: readonly unknown[]): [string, unknown][] {
  const found: [string, unknown][] = [];
  for (let i = 0; i + 1 < list.length; i += 2) found.push([list[i] as string, list[i + 1]]);
  return found;
}

const packr = new Packr({ useRecords: false, moreTypes: true, copyBuffers: true });

/** Of a value that is read in slices (read-slices.ts). */
export const readMany: ReadMany = (data, take) => {
  packr.unpackMultiple(data, (value, _start, end) => (take(value, end as number) ? undefined : false));
};
const empty = new Uint8Array(0);

const constant = (...bytes: number[]): EncodedValue => ({ kind: valueKind.msgpack, data: Uint8Array.from(bytes) });
const encodedUndefined: EncodedValue = { kind: valueKind.undefined, data: empty };
const encodedNull = constant(0xc0);
const encodedFalse = constant(0xc2);
const encodedTrue = constant(0xc3);

/**
 * Throws TASK_UNSERIALIZABLE naming the path of what cannot be sent. The payload may share memory with `value` if that
 * is a Uint8Array; that of a table is written where `place` says, if it says where.
 */
export function encodeValue(value: unknown, place?: Placing): EncodedValue {
  switch (typeof value) {
    case "undefined":
      return encodedUndefined;
    case "boolean":
      return value ? encodedTrue : encodedFalse;
    case "object":
      return value === null ? encodedNull : encodeObject(value, place);
    default:
      return { kind: valueKind.msgpack, data: writeValue(value) };
  }
}

function encodeObject(value: object, place: Placing | undefined): EncodedValue {
  if (types.isUint8Array(value)) {
    checkView(value, Object.getPrototypeOf(value), "Uint8Array");
    return { kind: valueKind.bytes, data: value };
  }
  if (types.isProxy(value)) return { kind: valueKind.msgpack, data: writeValue(value) };
  const proto: unknown = Object.getPrototypeOf(value);
  // What most values are: the look for tables is not for them.
  const table =
    proto === Object.prototype || proto === Array.prototype || proto === null
      ? undefined
      : encodeForeignOrOwn(value, [], place);
  return table ? { kind: valueKind.arrow, data: table } : { kind: valueKind.msgpack, data: writeValue(value) };
}

/**
 * Tables and bytes are views on `data`: whoever owns that memory must keep it while they are in use. Everything else is
 * a copy.
 */
export function decodeValue(encoded: EncodedValue): unknown {
  switch (encoded.kind) {
    case valueKind.undefined:
      return undefined;
    case valueKind.msgpack:
      // Text decoders refuse shared memory.
      return packr.unpack(encoded.data.buffer instanceof ArrayBuffer ? encoded.data : new Uint8Array(encoded.data));
    case valueKind.arrow:
      return decodeTable(encoded.data);
    case valueKind.bytes:
      return encoded.data;
  }
}
