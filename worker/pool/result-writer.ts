/**
 * In the thread: large results, written straight into the worker's store (result-room.ts is the agent's side), or
 * posted where it has no room for them.
 */
import { createHash } from "node:crypto";
import { digestOf } from "../../proto/digest.js";
import { type EncodedValue, valueKind } from "../../proto/values/value.js";
import type { SharedMemory } from "../store/memory.js";
import type { SlotChannel } from "./channel.js";
import type { Place } from "./room-grants.js";
import type { ThreadMessage } from "./run-message.js";

/** Large results of a channel under way to where they are kept, beyond which the thread waits. */
const largeBytesMax = 32 * 1024 * 1024;
/** As the store's blocks are. */
const alignment = 64;

// User code may take the globals away.
const Bytes = Uint8Array;

export interface ResultOf {
  readonly channel: number;
  readonly run: number;
  readonly task: number;
  /** It goes to the durable store, which knows bytes by their SHA-256. */
  readonly durable: boolean;
}

const sha256Of = ({ durable }: ResultOf, payload: Uint8Array): Uint8Array | undefined =>
  durable ? createHash("sha256").update(payload).digest() : undefined;

/** For one run. */
export class ResultWriter {
  readonly #memory: SharedMemory | null;
  readonly #channel: SlotChannel;
  readonly #wake: () => void;
  readonly #post: (message: ThreadMessage, transfer: ArrayBuffer[]) => void;
  /** What is left of the stretch that was granted last. */
  #rest: Place = { offset: 0, bytes: 0 };
  /** Memory of the result that is being encoded. */
  #view: Uint8Array | undefined;

  constructor(
    memory: SharedMemory | null,
    channel: SlotChannel,
    wake: () => void,
    post: (message: ThreadMessage, transfer: ArrayBuffer[]) => void,
  ) {
    this.#memory = memory;
    this.#channel = channel;
    this.#wake = wake;
    this.#post = post;
  }

  /** Where a result of so many bytes may be written. The next call, without `write`, gives the same place again. */
  place(bytes: number): Uint8Array | undefined {
    const memory = this.#memory;
    if (!memory) return undefined;
    while (this.#rest.bytes < bytes) {
      const granted = this.#channel.room.take(bytes, this.#wake);
      if (!granted) return undefined;
      this.#rest = granted;
    }
    const { offset } = this.#rest;
    // Another thread may have grown it: the buffer in hand is of the length it had, until it is asked to grow here.
    if (offset + bytes > memory.buffer.byteLength) memory.grow(0);
    this.#view = new Bytes(memory.buffer, offset, bytes);
    return this.#view;
  }

  /** `elapsedUs` is asked when all is done. */
  write(of: ResultOf, encoded: EncodedValue, elapsedUs: () => number): void {
    const { kind, data } = encoded;
    const bytes = data.byteLength;
    const view = data === this.#view ? this.#view : this.place(bytes);
    this.#view = undefined;
    if (!view) {
      this.#send(of, encoded, elapsedUs);
      return;
    }
    if (view !== data) view.set(data);
    const { offset } = this.#rest;
    // Of what lies there: the function may have left the bytes where others write.
    const digest = digestOf(kind, view);
    this.#channel.largePlaced(bytes, largeBytesMax, this.#wake);
    const at = { kind, offset, bytes, digest, sha256: sha256Of(of, view) };
    this.#channel.writePlaced(of.task, at, elapsedUs(), this.#wake);
    const step = Math.min(this.#rest.bytes, Math.ceil(bytes / alignment) * alignment);
    this.#rest = { offset: offset + step, bytes: this.#rest.bytes - step };
  }

  #send(of: ResultOf, encoded: EncodedValue, elapsedUs: () => number): void {
    const { channel, run, task } = of;
    const payload = ownBytes(encoded);
    const sha256 = sha256Of(of, payload);
    const digest = digestOf(encoded.kind, payload);
    this.#channel.largePosted(payload.byteLength, largeBytesMax);
    const timeUs = elapsedUs();
    this.#post({ t: "large", channel, run, task, kind: encoded.kind, data: payload, digest, sha256, timeUs }, [
      payload.buffer,
    ]);
  }
}

/**
 * Bytes that may leave this thread: an Arrow stream was written for us, everything else may be the user's or lie in a
 * shared pool.
 */
function ownBytes({ kind, data: bytes }: EncodedValue): Uint8Array<ArrayBuffer> {
  const whole =
    kind === valueKind.arrow && bytes.buffer instanceof ArrayBuffer && bytes.byteLength === bytes.buffer.byteLength;
  return whole ? (bytes as Uint8Array<ArrayBuffer>) : Uint8Array.from(bytes);
}
