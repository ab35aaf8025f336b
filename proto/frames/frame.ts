/**
 * The binary form of frames: slices of a payload, and the words two frame peers exchange about a stream of them.
 *
 *   u32 crc32 of all that follows | u16 magic | u8 version | u8 type | f64 offset | f64 total | 16 bytes stream | u8 n
 * | n bytes sender | body
 *
 * Little-endian. Streams are at most 16 letters and digits, padded with zeros. What `offset` and body mean:
 *   data     body is the payload from `offset` on, `total` the payload's size
 *   digested the same of a stream whose receiver compares the digest of the whole: the checksum leaves out the body
 *   credit   the receiver has room up to `offset`; the sender may send that far
 *   done     the receiver has the whole payload and has accepted it; body is what it says of it
 *   refuse   the receiver has ended the stream; body is a WireError as msgpack
 *   abandon  the sender has ended the stream; body is a WireError as msgpack
 *   probe    a request: is the stream alive on your side (`offset` 0: as receiver, 1: as sender)? Answered with one
 * byte, {@link liveness}
 */
import { crc32 } from "node:zlib";
import { VolleyError } from "../errors.js";
import { limits } from "../limits.js";

export const frameType = { data: 1, credit: 2, done: 3, refuse: 4, abandon: 5, probe: 6, digested: 7 } as const;
export type FrameType = (typeof frameType)[keyof typeof frameType];

export interface Frame {
  readonly type: FrameType;
  readonly stream: string;
  /** The frame peer that sent it. */
  readonly from: string;
  readonly offset: number;
  readonly total: number;
  /** A view on the bytes that were decoded. */
  readonly body: Uint8Array;
}

/**
 * busy: alive, and the time it takes is its own (waiting for memory, checking what came), so the other side must not
 * lose patience.
 */
export const liveness = { unknown: 0, alive: 1, busy: 2 } as const;
export type Liveness = (typeof liveness)[keyof typeof liveness];

const magic = 0x4656;
const version = 1;
const streamBytes = 16;
const fixedBytes = 8 + 8 + 8 + streamBytes + 1;
const checkedFrom = 4;
const senderBytesMax = 64;
const STREAM = /^[0-9A-Za-z]{1,16}$/;

/** More than any header takes, for cutting payloads. */
export const frameHeaderBytesMax = fixedBytes + senderBytesMax;

export const isStream = (text: string): boolean => STREAM.test(text);

/** Payload bytes of one data frame on a transport that takes messages of `payloadBytesMax`. */
export const frameBytesFor = (payloadBytesMax: number): number =>
  Math.max(1, Math.min(limits.frameBytes, payloadBytesMax - frameHeaderBytesMax));

/** The bytes that stand before `frame.body`. The body may lie in shared memory. */
export function encodeFrameHead(frame: Frame): Uint8Array {
  const head = fixedBytes + frame.from.length;
  const out = Buffer.alloc(head);
  out.writeUInt16LE(magic, 4);
  out[6] = version;
  out[7] = frame.type;
  out.writeDoubleLE(frame.offset, 8);
  out.writeDoubleLE(frame.total, 16);
  out.write(frame.stream, 24, streamBytes, "latin1");
  out[24 + streamBytes] = frame.from.length;
  out.write(frame.from, fixedBytes, "latin1");
  const headSum = crc32(out.subarray(checkedFrom));
  // Node's crc32 gives 0, not the initial value, for an empty array without memory.
  const bare = frame.body.byteLength === 0 || frame.type === frameType.digested;
  out.writeUInt32LE(bare ? headSum : crc32(frame.body, headSum), 0);
  return out;
}

const corrupt = (why: string): VolleyError => new VolleyError("CORRUPT", `frame: ${why}`);

function ascii(data: Uint8Array, from: number, bytes: number): string {
  let text = "";
  for (let i = from; i < from + bytes && data[i] !== 0; i++) text += String.fromCharCode(data[i] as number);
  return text;
}

/**
 * The stream a frame claims to belong to, without looking at its checksum: for failing the right stream when {@link
 * decodeFrame} threw.
 */
export const claimedStream = (data: Uint8Array): string | undefined =>
  data.byteLength < fixedBytes ? undefined : ascii(data, 24, streamBytes);

/** Throws CORRUPT. */
export function decodeFrame(data: Uint8Array): Frame {
  if (data.byteLength < fixedBytes) throw corrupt(`${data.byteLength} bytes are too few for a header`);
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  if (view.getUint16(4, true) !== magic) throw corrupt("not one of ours");
  if (data[6] !== version) throw corrupt(`version ${data[6]}, expected ${version}`);
  const claimed = view.getUint32(0, true);
  const senderBytes = data[fixedBytes - 1] as number;
  const head = fixedBytes + senderBytes;
  const type = data[7] as number;
  const sum = crc32(data.subarray(checkedFrom, type === frameType.digested ? head : undefined));
  if (claimed !== sum) throw corrupt(`checksum ${sum.toString(16)}, announced was ${claimed.toString(16)}`);
  if (type < frameType.data || type > frameType.digested) throw corrupt(`unknown type ${type}`);
  if (senderBytes > senderBytesMax || head > data.byteLength) throw corrupt(`sender of ${senderBytes} bytes`);
  return {
    type: type as FrameType,
    stream: ascii(data, 24, streamBytes),
    from: ascii(data, fixedBytes, senderBytes),
    offset: view.getFloat64(8, true),
    total: view.getFloat64(16, true),
    body: data.subarray(head),
  };
}
