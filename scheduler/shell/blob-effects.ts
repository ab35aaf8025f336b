/**
 * Carries out what the core asks of blobs of results, and says what had to be read from them first. Everything here
 * takes its time; the core goes on, and hears of it as an event.
 */

import { createHash } from "node:crypto";
import { isVolleyError, toWireError } from "../../proto/errors.js";
import type { ClientId, Epoch, JobId } from "../../proto/ids.js";
import { limits } from "../../proto/limits.js";
import type { ClientReply } from "../../proto/messages/client.js";
import type { ResultSegment } from "../../proto/messages/results.js";
import type { Runtime } from "../../proto/runtime.js";
import type { Deferred, Event, InlineSegment } from "../core/events.js";
import type { ChunkStore } from "./chunks.js";

export interface BlobEffectsOptions {
  readonly chunks: ChunkStore;
  readonly epoch: Epoch;
  readonly runtime: Runtime;
  readonly alive: () => boolean;
  dispatch(event: Event): void;
  answer(to: number, message: ClientReply): void;
  update(client: ClientId, session: JobId, segment: ResultSegment): void;
  log(level: "info" | "warn" | "error", text: string, fields?: Record<string, string | number>): void;
}

/** Blobs being written at a time: each is some megabytes in memory besides the results themselves. */
const writesAtOnce = 2;
const digestRetryMs = 1_000;

export class BlobEffects {
  readonly #options: BlobEffectsOptions;
  readonly #waiting: { job: JobId; blob: string; segments: readonly InlineSegment[] }[] = [];
  #writing = 0;

  constructor(options: BlobEffectsOptions) {
    this.#options = options;
  }

  write(job: JobId, blob: string, segments: readonly InlineSegment[]): void {
    this.#waiting.push({ job, blob, segments });
    this.#next();
  }

  #next(): void {
    if (this.#writing >= writesAtOnce) return;
    const next = this.#waiting.shift();
    if (!next) return;
    const { job, blob, segments } = next;
    this.#writing++;
    void this.#options.chunks
      .write(blob, segments)
      .then(
        () => true,
        (error: unknown) =>
          this.#failed(
            `results of job ${job} could not be written to the blob ${blob}; they stay in memory for now`,
            error,
          ),
      )
      .then((ok) => {
        this.#writing--;
        if (!this.#options.alive()) return;
        this.#options.dispatch({ e: "offloaded", job, blob, ok });
        this.#next();
      });
  }

  drop(blobs: readonly string[]): void {
    void this.#options.chunks
      .delete(blobs)
      .then(
        () => true,
        (error: unknown) => this.#failed(`${blobs.length} blobs of results could not be deleted; tried again`, error),
      )
      .then((ok) => {
        if (this.#options.alive()) this.#options.dispatch({ e: "dropped", blobs, ok });
      });
  }

  emit(what: Deferred): void {
    this.#emit(what).catch((error: unknown) => {
      this.#failed("results could not be read back", error);
      if (!this.#options.alive()) return;
      // An update is asked for again by the client's heartbeat (M5); a digest is what the job's end waits for.
      if (what.d === "digest")
        this.#options.runtime.after(digestRetryMs, () => this.#options.alive() && this.emit(what));
      else if (what.d !== "update")
        this.#options.answer(what.to, { t: "error", epoch: this.#options.epoch, error: toWireError(error) });
    });
  }

  async #emit(what: Deferred): Promise<void> {
    const { chunks, epoch, answer, update, dispatch } = this.#options;
    switch (what.d) {
      case "results": {
        const { to, base, chunk, end } = what;
        const segments = await chunks.page(chunk, limits.messageBytesMax);
        const at = segments.at(-1)?.to ?? end;
        answer(to, { t: "results", epoch, base, segments, ...(at < end ? { next: at } : {}) });
        return;
      }
      case "located":
        answer(what.to, { t: "located", epoch, locations: await chunks.locate(what.locations) });
        return;
      case "update": {
        const segments = await chunks.all(what.chunk);
        if (this.#options.alive()) for (const segment of segments) update(what.client, what.session, segment);
        return;
      }
      case "digest": {
        const hash = createHash("sha256");
        await chunks.digests(what.parts, (bytes) => hash.update(bytes));
        if (this.#options.alive()) dispatch({ e: "digest", job: what.job, digest: hash.digest("hex") });
        return;
      }
    }
  }

  #failed(text: string, error: unknown): false {
    this.#options.log("warn", text, { error: String(error), ...(isVolleyError(error) ? { code: error.code } : {}) });
    return false;
  }
}
