/**
 * Values of any size on the way to and from the wire without holding up the event loop: what is small is done at once,
 * what is large in slices with turns between them, and Arrow tables and typed arrays are sent and received as they lie.
 */
import { types } from "node:util";
import { limits } from "../limits.js";
import { piecesOfForeignOrOwn } from "./arrow.js";
import { type EncodedValue, type ValueKind, valueKind } from "./kind.js";
import { SlicedReading, typedView } from "./read-slices.js";
import { decodeValue, encodeValue, readMany } from "./value.js";
import { checkView } from "./write.js";
import { type Pieces, SlicedWriting } from "./write-slices.js";

export interface EncodedPieces extends Pieces {
  readonly kind: ValueKind;
}

type Turn = () => Promise<void>;

/** What is encoded at once, and what later: some milliseconds of work. */
const firstSliceBytes = limits.frameBytes;
const sliceBytes = 128 * 1024;

/**
 * Encodes at once what takes at most about limits.frameBytes, else in slices. The pieces may share memory with `value`,
 * which must not change until they are not needed any more. Throws, or rejects with, TASK_UNSERIALIZABLE, TOO_LARGE.
 */
export function encodeInTurns(value: unknown, turn: Turn): EncodedPieces | Promise<EncodedPieces> {
  if (typeof value !== "object" || value === null || types.isProxy(value)) return asOne(encodeValue(value));
  if (types.isUint8Array(value)) {
    checkView(value, Object.getPrototypeOf(value), "Uint8Array");
    return { kind: valueKind.bytes, pieces: [value], byteLength: value.byteLength };
  }
  const proto: unknown = Object.getPrototypeOf(value);
  const table = proto === Object.prototype || proto === Array.prototype ? undefined : tableOf(value);
  if (table) return table;
  const writing = new SlicedWriting(value);
  const whole = writing.slice(firstSliceBytes);
  return whole ? { kind: valueKind.msgpack, ...whole } : inTurns(writing, turn);
}

const asOne = ({ kind, data }: EncodedValue): EncodedPieces => ({ kind, pieces: [data], byteLength: data.byteLength });

function tableOf(value: object): EncodedPieces | undefined {
  const pieces = Object.getPrototypeOf(value) === null ? undefined : piecesOfForeignOrOwn(value);
  if (!pieces) return undefined;
  let byteLength = 0;
  for (const piece of pieces) byteLength += piece.byteLength;
  return { kind: valueKind.arrow, pieces, byteLength };
}

async function inTurns(writing: SlicedWriting, turn: Turn): Promise<EncodedPieces> {
  for (;;) {
    await turn();
    const whole = writing.slice(sliceBytes);
    if (whole) return { kind: valueKind.msgpack, ...whole };
  }
}

/** The pieces as one, in memory of its own. */
export function joinPieces({ kind, pieces, byteLength }: EncodedPieces): EncodedValue {
  const data = new Uint8Array(byteLength);
  let at = 0;
  for (const piece of pieces) {
    data.set(piece, at);
    at += piece.byteLength;
  }
  return { kind, data };
}

/** Decodes at once what is small or a view on its bytes, else in slices. */
export function decodeInTurns(encoded: EncodedValue, turn: Turn): unknown {
  const { kind, data } = encoded;
  if (kind !== valueKind.msgpack || data.byteLength <= firstSliceBytes) return decodeValue(encoded);
  return typedView(data) ?? readInTurns(new SlicedReading(data, readMany), turn);
}

async function readInTurns(reading: SlicedReading, turn: Turn): Promise<unknown> {
  while (!reading.slice(sliceBytes)) await turn();
  return reading.value;
}
