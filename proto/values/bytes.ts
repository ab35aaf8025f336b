/**
 * msgpack's bytes: numbers, texts, heads of lists and maps, extensions. Small values are cut from one slab; a value
 * that outgrows it gets memory of its own, or is written in pieces, of which large bytes are pieces as they are. Which
 * values may be written is write.ts.
 */
import { VolleyError } from "../errors.js";
import { limits } from "../limits.js";
import { extension } from "./extensions.js";

const slabBytes = 32 * 1024;
const pieceBytes = 1024 * 1024;
/** From here on bytes become a piece, without being copied. */
const ownPieceBytesMin = 256 * 1024;

let target: Buffer<ArrayBuffer> = Buffer.allocUnsafeSlow(slabBytes);
let memory: ArrayBuffer = target.buffer;
let view = new DataView(memory);
/** Of the value that is being written. */
let start = 0;
let at = 0;
/** What a value that is written in pieces has had so far. */
let pieces: Uint8Array[] | undefined;
let piecesBytes = 0;

/** Where the writer was, while it writes another value. */
export interface Place {
  readonly target: Buffer<ArrayBuffer>;
  readonly memory: ArrayBuffer;
  readonly start: number;
  readonly at: number;
  readonly pieces: Uint8Array[] | undefined;
  readonly piecesBytes: number;
}

/** A value begins. */
export function begin(): void {
  if (slabBytes - at < 256 || memory.byteLength !== slabBytes) renew();
  start = at;
}

/** What was written since it began. */
export const written = (): Uint8Array => new Uint8Array(memory, start, at - start);

/** The value is not written after all. */
export function abandon(): void {
  at = start;
}

/** A value inside the writing of another: begins on bytes of its own; {@link resume} goes back. */
export function interrupt(): Place {
  const place = { target, memory, start, at, pieces, piecesBytes };
  pieces = undefined;
  renew();
  return place;
}

/** Goes on there. Returns where it was. */
export function resume(place: Place): Place {
  const before = { target, memory, start, at, pieces, piecesBytes };
  ({ target, memory, start, at, pieces, piecesBytes } = place);
  view = new DataView(memory);
  return before;
}

/** The place of a value that is to be written in pieces. */
export function placeOfPieces(): Place {
  const slab = Buffer.allocUnsafeSlow(slabBytes);
  return { target: slab, memory: slab.buffer, start: 0, at: 0, pieces: [], piecesBytes: 0 };
}

/** Of the value that is written in pieces, so far. */
export const piecesWritten = (): number => piecesBytes + at - start;

/** The value that is written in pieces ends. */
export function endPieces(): { readonly pieces: readonly Uint8Array[]; readonly byteLength: number } {
  cutPiece(pieces ?? []);
  return { pieces: pieces ?? [], byteLength: piecesBytes };
}

function cutPiece(list: Uint8Array[]): void {
  if (at > start) list.push(written());
  piecesBytes += at - start;
  start = at;
}

function nextPiece(list: Uint8Array[], bytes: number): void {
  cutPiece(list);
  assertFits(piecesBytes + bytes);
  target = Buffer.allocUnsafeSlow(Math.max(pieceBytes, bytes));
  memory = target.buffer;
  view = new DataView(memory);
  start = 0;
  at = 0;
}

/** True: the bytes are a piece now. */
function addedAsPiece(bytes: Uint8Array): boolean {
  if (!pieces || bytes.byteLength < ownPieceBytesMin) return false;
  cutPiece(pieces);
  assertFits(piecesBytes + bytes.byteLength);
  pieces.push(bytes);
  piecesBytes += bytes.byteLength;
  return true;
}

function assertFits(bytes: number): void {
  if (bytes > limits.objectBytesMax)
    throw new VolleyError(
      "TOO_LARGE",
      `the value takes more than ${limits.objectBytesMax} bytes, the limit for one object; split it`,
    );
}

function renew(): void {
  target = Buffer.allocUnsafeSlow(slabBytes);
  memory = target.buffer;
  view = new DataView(memory);
  start = 0;
  at = 0;
}

/** Room for `bytes` more. */
function room(bytes: number): void {
  if (at + bytes <= target.byteLength) return;
  if (pieces) {
    nextPiece(pieces, bytes);
    return;
  }
  const used = at - start;
  assertFits(used + bytes);
  const grown = Buffer.allocUnsafeSlow(
    Math.max(slabBytes * 2, Math.min(limits.objectBytesMax, used * 2), used + bytes + 1024),
  );
  target.copy(grown, 0, start, at);
  target = grown;
  memory = grown.buffer;
  view = new DataView(memory);
  start = 0;
  at = used;
}

/** A head of msgpack with its count: short forms for small ones. */
export function head(count: number, fix: number, fixMax: number, code16: number): void {
  room(5);
  if (count <= fixMax) target[at++] = fix | count;
  else if (count < 0x1_0000) {
    target[at++] = code16;
    at = target.writeUInt16BE(count, at);
  } else {
    target[at++] = code16 + 1;
    at = target.writeUInt32BE(count, at);
  }
}

/** An extension of one float64. */
export function writeFloat(type: number, value: number): void {
  room(10);
  target[at++] = 0xd7;
  target[at++] = type;
  view.setFloat64(at, Number.isNaN(value) ? Number.NaN : value);
  at += 8;
}

/** Before a value that a reader of ours turns into something else. */
export function mark(type: number): void {
  room(3);
  target[at++] = 0xd4;
  target[at++] = type;
  target[at++] = 0;
}

export function byte(code: number): void {
  room(1);
  target[at++] = code;
}

export function writeNumber(value: number): void {
  room(9);
  if (value >>> 0 === value) {
    // -0 is no whole number of msgpack's.
    if (value === 0 && Object.is(value, -0)) writeFloat64(value);
    else if (value < 0x80) target[at++] = value;
    else if (value < 0x100) {
      target[at++] = 0xcc;
      target[at++] = value;
    } else if (value < 0x1_0000) {
      target[at++] = 0xcd;
      target[at++] = value >>> 8;
      target[at++] = value & 0xff;
    } else {
      target[at++] = 0xce;
      view.setUint32(at, value);
      at += 4;
    }
  } else if (value >> 0 === value && value >= -0x20) target[at++] = 0x100 + value;
  else writeFloat64(value);
}

function writeFloat64(value: number): void {
  target[at++] = 0xcb;
  // Bits of a NaN depend on how it came about, while equal values must give equal bytes.
  view.setFloat64(at, Number.isNaN(value) ? Number.NaN : value);
  at += 8;
}

/**
 * A value that is a number and nothing else: in fewer forms, so that packs of numbers can be written in a loop
 * (client/sdk/pack-items.ts).
 */
export function writeLoneNumber(value: number): void {
  room(9);
  if (value >>> 0 === value && value >= 0x80) {
    target[at++] = 0xce;
    view.setUint32(at, value);
    at += 4;
  } else if (value < 0) writeFloat64(value);
  else writeNumber(value);
}

export function writeBigInt(value: bigint): void {
  room(9);
  if (value >= 0n && value <= 0xffff_ffff_ffff_ffffn) {
    target[at++] = 0xcf;
    view.setBigUint64(at, value);
    at += 8;
  } else if (value < 0n && value >= -0x8000_0000_0000_0000n) {
    target[at++] = 0xd3;
    view.setBigInt64(at, value);
    at += 8;
  } else {
    mark(extension.bigint);
    writeString(value.toString(16));
  }
}

export function writeString(value: string): void {
  const length = value.length;
  if (length < 0x20) {
    room(1 + length);
    const from = at++;
    let i = 0;
    for (; i < length; i++) {
      const code = value.charCodeAt(i);
      if (code >= 0x80) break;
      target[at++] = code;
    }
    if (i === length) {
      target[from] = 0xa0 | length;
      return;
    }
    at = from;
  }
  if (!isWellFormed(value)) {
    // UTF-8 has no form for half of a surrogate pair.
    mark(extension.text);
    writeBytes(Buffer.from(value, "utf16le"));
    return;
  }
  const bytes = Buffer.byteLength(value);
  if (bytes >= 0x20 && bytes < 0x100) {
    room(2 + bytes);
    target[at++] = 0xd9;
    target[at++] = bytes;
  } else head(bytes, 0xa0, 0x1f, 0xda);
  room(bytes);
  at += target.write(value, at, "utf8");
}

export const isWellFormed = (value: string): boolean => (value as string & { isWellFormed(): boolean }).isWellFormed();

export function writeBytes(bytes: Uint8Array): void {
  const length = bytes.byteLength;
  if (length < 0x100) {
    room(2 + length);
    target[at++] = 0xc4;
    target[at++] = length;
  } else head(length, 0, -1, 0xc5);
  if (addedAsPiece(bytes)) return;
  room(length);
  target.set(bytes, at);
  at += length;
}

/** An extension with bytes of its own; `code` stands before them if there is one. */
export function writeExtension(type: number, code: number | undefined, bytes: Uint8Array): void {
  const length = bytes.byteLength + (code === undefined ? 0 : 1);
  if (length < 0x100) {
    room(3 + length);
    target[at++] = 0xc7;
    target[at++] = length;
  } else head(length, 0, -1, 0xc8);
  room(pieces && length > ownPieceBytesMin ? 2 : 1 + length);
  target[at++] = type;
  if (code !== undefined) target[at++] = code;
  if (addedAsPiece(bytes)) return;
  target.set(bytes, at);
  at += bytes.byteLength;
}
