/**
 * The form of captures: what a scheduler's core began with, every event that it took in, with its time, and digests of
 * the commands that it gave out. `npm run sim -- replay FILE` runs them through the core again.
 *
 *   u32 length (little-endian) | msgpack of one frame, and so on to the end of the file
 *
 * A file that a crash has cut off ends with its last whole frame.
 */
import { createReadStream } from "node:fs";
import { crc32 } from "node:zlib";
import { Packr } from "msgpackr";
import { VolleyError } from "../../proto/errors.js";
import type { Epoch } from "../../proto/ids.js";
import type { Command, Event, JournalRecord } from "../core/events.js";

const captureVersion = 1;

// Without moreTypes every kind of byte array has one form, so equal commands have equal digests.
const packr = new Packr({ useRecords: false, encodeUndefinedAsNil: false, moreTypes: false, copyBuffers: true });

export type CaptureFrame =
  /** The first: `items` frames follow, which are what is durable, and `record` begins the epoch. */
  | { f: "head"; v: number; volley: string; epoch: Epoch; record: JournalRecord; items: number }
  | { f: "item"; item: unknown }
  | { f: "event"; seq: number; nowMs: number; event: Event }
  /** Of the event before: a digest of four bytes for each command. */
  | { f: "commands"; digests: Uint8Array }
  | { f: "end"; why: string };

export const headOf = (about: Omit<Extract<CaptureFrame, { f: "head" }>, "f" | "v">): CaptureFrame => ({
  f: "head",
  v: captureVersion,
  ...about,
});

export function encodeFrame(frame: CaptureFrame): Uint8Array {
  const body = packr.pack(frame);
  const bytes = Buffer.allocUnsafe(4 + body.byteLength);
  bytes.writeUInt32LE(body.byteLength, 0);
  bytes.set(body, 4);
  return bytes;
}

/** What was written, as whoever reads it back has it. */
export const readBack = <T>(value: T): T => packr.unpack(packr.pack(value)) as T;

export function digestsOf(commands: readonly Command[]): Uint8Array {
  const digests = Buffer.allocUnsafe(4 * commands.length);
  for (const [at, command] of commands.entries()) digests.writeUInt32LE(crc32(packr.pack(command)), 4 * at);
  return digests;
}

/** The file's whole frames, in order. Fails with CORRUPT or VERSION_MISMATCH. */
export async function* readCapture(file: string): AsyncGenerator<CaptureFrame> {
  let rest: Buffer = Buffer.alloc(0);
  let first = true;
  for await (const chunk of createReadStream(file, { highWaterMark: 1024 * 1024 })) {
    rest = rest.byteLength === 0 ? (chunk as Buffer) : Buffer.concat([rest, chunk as Buffer]);
    let at = 0;
    for (; at + 4 <= rest.byteLength; ) {
      const end = at + 4 + rest.readUInt32LE(at);
      if (end > rest.byteLength) break;
      const frame = decode(file, rest.subarray(at + 4, end));
      if (first) checkHead(file, frame);
      first = false;
      yield frame;
      at = end;
    }
    rest = rest.subarray(at);
  }
  if (first) throw new VolleyError("CORRUPT", `${file} is no capture: it has no whole frame`);
}

function decode(file: string, body: Uint8Array): CaptureFrame {
  try {
    return packr.unpack(body) as CaptureFrame;
  } catch (cause) {
    throw new VolleyError("CORRUPT", `${file} is no capture: ${(cause as Error).message}`, { cause });
  }
}

function checkHead(file: string, frame: CaptureFrame): void {
  if (frame?.f !== "head") throw new VolleyError("CORRUPT", `${file} is no capture: it does not begin with a head`);
  if (frame.v !== captureVersion)
    throw new VolleyError("VERSION_MISMATCH", `${file} has format ${frame.v}, this version reads ${captureVersion}`);
}
