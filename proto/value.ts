/**
 * Values on the wire: undefined, msgpack, an Arrow IPC stream, or raw bytes. A kind byte stands beside the payload, never in it,
 * so that an Arrow stream keeps its alignment in memory and is read in place.
 *
 * msgpack carries what JSON carries, plus undefined, bigint of 64 bits, Date, typed arrays, ArrayBuffer, Map, Set, Error (name, message, cause),
 * -0, NaN and infinities, and Arrow tables nested anywhere. Functions, symbols, class instances and cycles are refused with TASK_UNSERIALIZABLE.
 * Equal values give equal bytes, in every process (keys of objects, maps and sets in the order in which they were set).
 */
import { RecordBatch, Table, Vector } from "apache-arrow";
import { addExtension, Packr } from "msgpackr";
import { checked, MapMarker, NumberMarker, negativeZero, refused } from "./value-check.js";
import { type EncodedValue, valueKind } from "./value-kind.js";
import { decodeTable, encodeTable } from "./value-table.js";

export { type EncodedValue, type ValueKind, valueKind, valueKinds } from "./value-kind.js";
export { decodeTable, encodeTable };

/** Type codes of our msgpack extensions. */
const arrowExtension = 0x41;
const numberExtension = 0x42;
const mapExtension = 0x43;

addExtension({
  Class: Table,
  type: arrowExtension,
  pack: (table: Table) => Buffer.from(encodeTable(table).buffer),
  unpack: (data: Uint8Array) => decodeTable(Uint8Array.from(data)),
});
addExtension({
  Class: NumberMarker,
  type: numberExtension,
  pack: (marker: NumberMarker) => Buffer.of(marker.code),
  unpack: (data: Uint8Array) => (data[0] === negativeZero.code ? -0 : Number.NaN),
});
addExtension({
  Class: MapMarker,
  type: mapExtension,
  write: (marker: MapMarker) => marker.entries,
  read: (entries: unknown[]) => {
    const map = new Map<unknown, unknown>();
    for (let i = 0; i + 1 < entries.length; i += 2) map.set(entries[i], entries[i + 1]);
    return map;
  },
});

const packr = new Packr({ useRecords: false, moreTypes: true, copyBuffers: true });
const empty = new Uint8Array(0);

const constant = (...bytes: number[]): EncodedValue => ({ kind: valueKind.msgpack, data: Uint8Array.from(bytes) });
const encodedUndefined: EncodedValue = { kind: valueKind.undefined, data: empty };
const encodedNull = constant(0xc0);
const encodedFalse = constant(0xc2);
const encodedTrue = constant(0xc3);
const encodedNaN = constant(0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0);

/** Numbers as float64, cut from a slab: a fifth of what the packer takes. */
const slabBytes = 36 * 1024;
let slab = new DataView(new ArrayBuffer(slabBytes));
let slabAt = 0;

function encodeNumber(value: number): EncodedValue {
  if (Number.isNaN(value)) return encodedNaN;
  if (slabAt + 9 > slabBytes) {
    slab = new DataView(new ArrayBuffer(slabBytes));
    slabAt = 0;
  }
  const from = slabAt;
  let end: number;
  if (value >>> 0 === value && !Object.is(value, -0)) {
    if (value < 0x80) {
      slab.setUint8(from, value);
      end = from + 1;
    } else {
      slab.setUint8(from, 0xce);
      slab.setUint32(from + 1, value);
      end = from + 5;
    }
  } else {
    slab.setUint8(from, 0xcb);
    slab.setFloat64(from + 1, value);
    end = from + 9;
  }
  slabAt = end;
  return { kind: valueKind.msgpack, data: new Uint8Array(slab.buffer, from, end - from) };
}

/** Throws TASK_UNSERIALIZABLE naming the path of what cannot be sent. The payload may share memory with `value` if that is a Uint8Array. */
export function encodeValue(value: unknown): EncodedValue {
  switch (typeof value) {
    case "number":
      return encodeNumber(value);
    case "undefined":
      return encodedUndefined;
    case "boolean":
      return value ? encodedTrue : encodedFalse;
    case "string":
      return { kind: valueKind.msgpack, data: packr.pack(value) };
    default:
      break;
  }
  if (value === null) return encodedNull;
  if (value instanceof Uint8Array) return { kind: valueKind.bytes, data: value };
  if (value instanceof Table) return { kind: valueKind.arrow, data: encodeTable(value) };
  if (value instanceof RecordBatch) return { kind: valueKind.arrow, data: encodeTable(new Table([value])) };
  if (value instanceof Vector) throw refused("an Arrow vector; wrap it in a table");
  return { kind: valueKind.msgpack, data: packr.pack(checked(value)) };
}

/** Tables and bytes are views on `data`: whoever owns that memory must keep it while they are in use. Everything else is a copy. */
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
