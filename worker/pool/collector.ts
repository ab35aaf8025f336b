/** On the agent: from a channel's ring to result segments. Neighbouring small results become one pack. */
import { digestBytes } from "../../proto/digest.js";
import type { WireError } from "../../proto/errors.js";
import type { ResultSegment } from "../../proto/messages/results.js";
import { failedKind, type PlacedResult, placedKind, type RingEntry, type SlotChannel } from "./channel.js";

/** A segment is cut here, so that commits fit into messages. */
const segmentBytesMax = 256 * 1024;

type Emit = (segment: ResultSegment, slotTimeUs: number) => void;
type EmitPlaced = (task: number, result: PlacedResult, slotTimeUs: number) => void;

/** Reads everything that is in the ring and emits it in order. */
export function collect(channel: SlotChannel, stage: number, emit: Emit, placed: EmitPlaced): void {
  const run = new SmallRun(channel, stage, emit);
  channel.read((entry) => {
    if (entry.kind === placedKind) {
      run.close();
      placed(entry.task, channel.placedAt(entry), entry.timeUs);
      return;
    }
    if (entry.kind !== failedKind) {
      run.add(entry);
      return;
    }
    run.close();
    const error = JSON.parse(
      Buffer.from(channel.ring.slice(entry.payloadAt, entry.payloadAt + entry.payloadBytes)).toString("utf8"),
    ) as WireError;
    emit({ r: "failed", stage, from: entry.task, to: entry.task + 1, error }, entry.timeUs);
  });
  run.close();
}

/** Neighbouring tasks' small results under construction. */
class SmallRun {
  readonly #channel: SlotChannel;
  readonly #stage: number;
  readonly #emit: Emit;
  #from = 0;
  #kinds: number[] = [];
  #ends: number[] = [];
  #payload = Buffer.allocUnsafe(4096);
  #bytes = 0;
  #digests: Uint8Array[] = [];
  #timeUs = 0;

  constructor(channel: SlotChannel, stage: number, emit: Emit) {
    this.#channel = channel;
    this.#stage = stage;
    this.#emit = emit;
  }

  add(entry: RingEntry): void {
    const count = this.#kinds.length;
    const cost = this.#bytes + entry.payloadBytes + (count + 1) * (5 + entry.digestBytes);
    if (count > 0 && (entry.task !== this.#from + count || cost > segmentBytesMax)) this.close();
    if (this.#kinds.length === 0) this.#from = entry.task;
    const { ring } = this.#channel;
    if (entry.payloadBytes > 0) {
      this.#reserve(entry.payloadBytes);
      this.#payload.set(ring.subarray(entry.payloadAt, entry.payloadAt + entry.payloadBytes), this.#bytes);
      this.#bytes += entry.payloadBytes;
    }
    this.#kinds.push(entry.kind);
    this.#ends.push(this.#bytes);
    this.#timeUs += entry.timeUs;
    if (entry.digestBytes > 0) this.#digests.push(ring.slice(entry.digestAt, entry.digestAt + entry.digestBytes));
  }

  #reserve(bytes: number): void {
    if (this.#bytes + bytes <= this.#payload.byteLength) return;
    const larger = Buffer.allocUnsafe(2 * (this.#bytes + bytes));
    larger.set(this.#payload.subarray(0, this.#bytes));
    this.#payload = larger;
  }

  close(): void {
    const count = this.#kinds.length;
    if (count === 0) return;
    const segment: ResultSegment = {
      r: "inline",
      stage: this.#stage,
      from: this.#from,
      to: this.#from + count,
      pack: this.#pack(),
      ...(this.#digests.length === count ? { digests: this.#joinDigests() } : {}),
    };
    const timeUs = this.#timeUs;
    this.#kinds = [];
    this.#ends = [];
    this.#digests = [];
    this.#bytes = 0;
    this.#timeUs = 0;
    this.#emit(segment, timeUs);
  }

  /** The layout of proto/values/pack.ts, written without an object per item. */
  #pack(): Uint8Array {
    const count = this.#kinds.length;
    const head = 4 + 5 * count;
    const out = new Uint8Array(head + this.#bytes);
    const view = new DataView(out.buffer);
    view.setUint32(0, count, true);
    for (let i = 0; i < count; i++) {
      view.setUint32(4 + 4 * i, this.#ends[i] as number, true);
      out[4 + 4 * count + i] = this.#kinds[i] as number;
    }
    out.set(this.#payload.subarray(0, this.#bytes), head);
    return out;
  }

  #joinDigests(): Uint8Array {
    const out = new Uint8Array(digestBytes * this.#digests.length);
    this.#digests.forEach((digest, i) => {
      out.set(digest, digestBytes * i);
    });
    return out;
  }
}
