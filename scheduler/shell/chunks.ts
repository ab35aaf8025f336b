/**
 * Results that are in blobs: writing, reading and deleting them, and cutting out of them what is asked for. The core
 * keeps names only (core/offload.ts). What was read last is kept, up to so many bytes: a job's results are read a page
 * at a time.
 */
import { decodeRaw, encodeMessage } from "../../proto/codec.js";
import { digestBytes } from "../../proto/digest.js";
import type { BlobStore } from "../../proto/durable/durable.js";
import { VolleyError } from "../../proto/errors.js";
import type { ObjectLocation, ResultSegment } from "../../proto/messages/results.js";
import { PackReader } from "../../proto/values/pack.js";
import type { ChunkSegment, HeldLocation, InlineSegment } from "../core/events.js";

const cacheBytesMax = 16 * 1024 * 1024;
const blobVersion = 1;

/** A blob's segments, by stage and task. */
class Chunk {
  readonly bytes: number;
  readonly #segments: readonly InlineSegment[];

  constructor(segments: readonly InlineSegment[], bytes: number) {
    this.#segments = segments;
    this.bytes = bytes;
  }

  /** Where the segment is that has this task, or the first behind it. */
  #find(stage: number, task: number): number {
    let low = 0;
    let high = this.#segments.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const segment = this.#segments[middle] as InlineSegment;
      if (segment.stage > stage || (segment.stage === stage && segment.to > task)) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** Its results, whole runs cut to the chunk, as those of the stage that names them. */
  *of({ of, stage, from, to }: ChunkSegment): IterableIterator<InlineSegment> {
    for (let at = this.#find(of, from); at < this.#segments.length; at++) {
      const segment = this.#segments[at] as InlineSegment;
      if (segment.stage !== of || segment.from >= to) return;
      yield { ...slice(segment, Math.max(from, segment.from), Math.min(to, segment.to)), stage };
    }
  }

  item(stage: number, task: number): { kind: number; data: Uint8Array; digest: Uint8Array | undefined } | undefined {
    const segment = this.#segments[this.#find(stage, task)];
    if (segment?.stage !== stage || segment.from > task) return undefined;
    const at = task - segment.from;
    const { kind, data } = PackReader.trusted(segment.pack).at(at);
    return { kind, data, digest: segment.digests?.subarray(at * digestBytes, (at + 1) * digestBytes) };
  }
}

export function slice(segment: InlineSegment, from: number, to: number): InlineSegment {
  if (from === segment.from && to === segment.to) return segment;
  const [a, b] = [from - segment.from, to - segment.from];
  const digests = segment.digests?.slice(a * digestBytes, b * digestBytes);
  return { ...segment, from, to, pack: PackReader.trusted(segment.pack).slice(a, b), ...(digests ? { digests } : {}) };
}

export class ChunkStore {
  readonly #durable: BlobStore;
  readonly #scratch: BlobStore;
  /** The one used last is the last. */
  readonly #kept = new Map<string, Promise<Chunk>>();
  readonly #sizes = new Map<string, number>();
  #keptBytes = 0;

  constructor(durable: BlobStore, scratch: BlobStore) {
    this.#durable = durable;
    this.#scratch = scratch;
  }

  #storeOf(blob: string): BlobStore {
    return blob.startsWith("r") ? this.#durable : this.#scratch;
  }

  async write(blob: string, segments: readonly InlineSegment[]): Promise<void> {
    const sorted = [...segments].sort((a, b) => a.stage - b.stage || a.from - b.from);
    await this.#storeOf(blob).put(blob, encodeMessage({ v: blobVersion, segments: sorted }));
  }

  async delete(blobs: readonly string[]): Promise<void> {
    for (const blob of blobs) {
      this.#forget(blob);
      await this.#storeOf(blob).delete(blob);
    }
  }

  /** Fails with OBJECT_LOST for a blob that is not there, CORRUPT for one that is not whole. */
  read(blob: string): Promise<Chunk> {
    const kept = this.#kept.get(blob);
    if (kept) {
      this.#kept.delete(blob);
      this.#kept.set(blob, kept);
      return kept;
    }
    const reading = this.#load(blob);
    this.#kept.set(blob, reading);
    reading.then(
      (chunk) => this.#keep(blob, chunk.bytes),
      () => this.#kept.delete(blob),
    );
    return reading;
  }

  async #load(blob: string): Promise<Chunk> {
    const bytes = await this.#storeOf(blob).get(blob);
    if (!bytes)
      throw new VolleyError("OBJECT_LOST", `the blob ${blob} that holds these results is not in the durable store`);
    const { v, segments } = decodeRaw(bytes) as { v: number; segments: InlineSegment[] };
    if (v !== blobVersion)
      throw new VolleyError(
        "VERSION_MISMATCH",
        `the blob ${blob} of results has format ${v}, this version reads ${blobVersion}`,
      );
    return new Chunk(segments, bytes.byteLength);
  }

  #keep(blob: string, bytes: number): void {
    if (!this.#kept.has(blob)) return;
    this.#sizes.set(blob, bytes);
    this.#keptBytes += bytes;
    for (const oldest of this.#kept.keys()) {
      if (this.#keptBytes <= cacheBytesMax || oldest === blob) return;
      this.#forget(oldest);
    }
  }

  #forget(blob: string): void {
    this.#kept.delete(blob);
    this.#keptBytes -= this.#sizes.get(blob) ?? 0;
    this.#sizes.delete(blob);
  }

  /** The results of the chunk, from its start as far as `bytesMax` goes; at least one task's. */
  async page(chunk: ChunkSegment, bytesMax: number): Promise<InlineSegment[]> {
    const page: InlineSegment[] = [];
    let bytes = 0;
    for (const segment of (await this.read(chunk.blob)).of(chunk)) {
      const tasks = segment.to - segment.from;
      const size = segment.pack.byteLength + (segment.digests?.byteLength ?? 0) + 64;
      if (bytes + size <= bytesMax) {
        page.push(segment);
        bytes += size;
        continue;
      }
      // A run longer than a message is cut by its average item.
      if (page.length === 0)
        page.push(slice(segment, segment.from, segment.from + Math.max(1, Math.floor((tasks * bytesMax) / size))));
      break;
    }
    if (page[0]?.from !== chunk.from) throw missing(chunk.blob, chunk.of, chunk.from);
    return page;
  }

  async all(chunk: ChunkSegment): Promise<ResultSegment[]> {
    return [...(await this.read(chunk.blob)).of(chunk)];
  }

  /** Those in blobs are completed from them; a blob that is gone leaves `unknown`. */
  async locate(locations: readonly HeldLocation[]): Promise<ObjectLocation[]> {
    const found: ObjectLocation[] = [];
    for (const { chunk, ...location } of locations) {
      if (!chunk) {
        found.push(location);
        continue;
      }
      const item = await this.read(chunk.blob).then(
        (blob) => blob.item(chunk.of, chunk.task),
        (error: unknown) => {
          if ((error as VolleyError).code === "OBJECT_LOST") return undefined;
          throw error;
        },
      );
      const { id } = location;
      if (!item) found.push({ id, state: "unknown" });
      else
        found.push({
          id,
          state: "ready",
          kind: item.kind,
          bytes: item.data.byteLength,
          inline: item.data,
          ...(item.digest ? { digest: item.digest } : {}),
        });
    }
    return found;
  }

  /** The digests of every part, in order, for `update` of a hash. */
  async digests(parts: readonly (Uint8Array | ChunkSegment)[], update: (bytes: Uint8Array) => void): Promise<void> {
    for (const part of parts) {
      if (part instanceof Uint8Array) {
        update(part);
        continue;
      }
      let next = part.from;
      for (const segment of (await this.read(part.blob)).of(part)) {
        if (segment.from !== next || !segment.digests) throw missing(part.blob, part.of, next);
        update(segment.digests);
        next = segment.to;
      }
      if (next !== part.to) throw missing(part.blob, part.of, next);
    }
  }
}

const missing = (blob: string, stage: number, task: number): VolleyError =>
  new VolleyError("CORRUPT", `the blob ${blob} has no result of task ${task} of stage ${stage}, which should be there`);
