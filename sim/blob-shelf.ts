/**
 * Blobs of results as scheduler/shell keeps them: durable ones on the disk, those of sessions with the process. Writes
 * and deletions take their time, fail, and have sometimes happened all the same; reads are of what is there at that
 * moment.
 */
import { decodeRaw, encodeMessage } from "../proto/codec.js";
import { sha256Hex } from "../proto/digest.js";
import type { Epoch, ObjectId } from "../proto/ids.js";
import type { ClientReply } from "../proto/messages/client.js";
import type { ObjectLocation } from "../proto/messages/results.js";
import { PackReader } from "../proto/values/pack.js";
import type { ChunkSegment, Command, Deferred, Event, HeldLocation, InlineSegment } from "../scheduler/core/events.js";
import { sliceSegment } from "../scheduler/core/segments.js";
import { Violation } from "./job-model.js";
import type { Random } from "./random.js";

export type BlobCommand = Extract<Command, { c: "offload" | "drop" | "deferred" }>;

export interface BlobShelfOptions {
  readonly durable: Map<string, Uint8Array>;
  readonly random: Random;
  later(delayMs: number, run: () => void): void;
  step(event: Event): void;
  say(command: Extract<Command, { c: "reply" | "update" }>): void;
}

/** A reply is cut when it has so many runs of results. */
const runsPerPage = 3;
const delayMs = 20;

export class BlobShelf {
  readonly #options: BlobShelfOptions;
  readonly #scratch = new Map<string, Uint8Array>();

  constructor(options: BlobShelfOptions) {
    this.#options = options;
  }

  #storeOf(blob: string): Map<string, Uint8Array> {
    return blob.startsWith("r") ? this.#options.durable : this.#scratch;
  }

  carryOut(command: BlobCommand, epoch: Epoch): void {
    const { random, later, step } = this.#options;
    const ok = !random.chance(0.1);
    const lands = ok || random.chance(0.5);
    if (command.c === "offload") {
      const { job, blob, segments } = command;
      const data = encodeMessage(segments);
      later(random.delay(delayMs), () => {
        if (this.#storeOf(blob).has(blob)) throw new Violation("blobs", `the blob ${blob} is written twice`);
        if (lands) this.#storeOf(blob).set(blob, data);
        later(random.delay(delayMs), () => step({ e: "offloaded", job, blob, ok }));
      });
    } else if (command.c === "drop") {
      const { blobs } = command;
      later(random.delay(delayMs), () => {
        if (lands) for (const blob of blobs) this.#storeOf(blob).delete(blob);
        later(random.delay(delayMs), () => step({ e: "dropped", blobs, ok }));
      });
    } else later(random.delay(delayMs), () => this.#tell(command.what, epoch));
  }

  #tell(what: Deferred, epoch: Epoch): void {
    const { say, step } = this.#options;
    const reply = (to: number, message: ClientReply): void => say({ c: "reply", to, message, gated: false });
    switch (what.d) {
      case "results": {
        const segments = this.#of(what.chunk).slice(0, runsPerPage);
        const at = segments.at(-1)?.to ?? what.end;
        reply(what.to, { t: "results", epoch, base: what.base, segments, ...(at < what.end ? { next: at } : {}) });
        return;
      }
      case "located":
        reply(what.to, { t: "located", epoch, locations: what.locations.map((location) => this.#locate(location)) });
        return;
      case "update":
        // The session may have let go of it in the meantime.
        if (this.#storeOf(what.chunk.blob).has(what.chunk.blob))
          for (const segment of this.#of(what.chunk))
            say({ c: "update", client: what.client, session: what.session, segment });
        return;
      case "digest": {
        const parts = what.parts.flatMap((part) =>
          part instanceof Uint8Array ? [part] : this.#of(part).map(({ digests }) => digests as Uint8Array),
        );
        step({ e: "digest", job: what.job, digest: sha256Hex(Buffer.concat(parts)) });
        return;
      }
    }
  }

  #of(chunk: ChunkSegment): InlineSegment[] {
    const data = this.#storeOf(chunk.blob).get(chunk.blob);
    if (!data) throw new Violation("blobs", `the blob ${chunk.blob} holds results and is gone`);
    const found: InlineSegment[] = [];
    let next = chunk.from;
    for (const segment of decodeRaw(data) as InlineSegment[]) {
      if (segment.stage !== chunk.of || segment.to <= chunk.from || segment.from >= chunk.to) continue;
      const part = sliceSegment(segment, Math.max(segment.from, chunk.from), Math.min(segment.to, chunk.to));
      if (part.from !== next)
        throw new Violation("blobs", `the blob ${chunk.blob} has no result of task ${next} of stage ${chunk.of}`);
      found.push({ ...part, stage: chunk.stage });
      next = part.to;
    }
    if (next !== chunk.to)
      throw new Violation("blobs", `the blob ${chunk.blob} has no result of task ${next} of stage ${chunk.of}`);
    return found;
  }

  #locate({ chunk, ...location }: HeldLocation): ObjectLocation {
    if (!chunk) return location;
    const id: ObjectId = location.id;
    // Named by an object that was put into a job which has been forgotten since.
    if (!this.#storeOf(chunk.blob).has(chunk.blob)) return { id, state: "unknown" };
    const [segment] = this.#of({
      r: "chunk",
      stage: chunk.of,
      from: chunk.task,
      to: chunk.task + 1,
      blob: chunk.blob,
      of: chunk.of,
      bytes: 0,
    });
    const { kind, data } = new PackReader((segment as InlineSegment).pack).at(0);
    return {
      id,
      state: "ready",
      kind,
      bytes: data.byteLength,
      inline: data,
      ...(segment?.digests ? { digest: segment.digests } : {}),
    };
  }
}

/** So small that most runs have results in blobs. */
export const offload = { chunkBytes: 700, endedBytes: 300, sessionBytes: 1_200, allBytes: 6_000 };
