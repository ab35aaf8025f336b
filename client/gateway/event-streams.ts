/**
 * Progress for many readers: each followed job is asked about once, however many streams follow it, and its newest
 * status is one run of bytes that all of them send. What readers do not read is bounded, for each (one status) and for
 * all together; who lets too much wait is cut off, and it is counted why.
 */
import type { ServerResponse } from "node:http";
import { VolleyError } from "../../proto/errors.js";
import type { JobStatus } from "../../proto/messages/status.js";
import type { Job } from "../sdk/api.js";
import { bodyOf, faultOf } from "./faults.js";

export type DropReason = "stalled" | "memory";

const event = (name: string, data: unknown): Buffer => Buffer.from(`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`);

interface Reader {
  /** The newest status. */
  progress(bytes: Buffer): void;
  /** Nothing follows it. */
  last(bytes: Buffer | undefined): void;
}

/** One job that somebody follows. */
class Followed {
  readonly readers = new Set<Reader>();
  newest: Buffer | undefined;
  readonly #updates: AsyncIterator<JobStatus>;

  constructor(job: Job) {
    this.#updates = job.progress()[Symbol.asyncIterator]();
  }

  /** Ends with the job, with its readers, or with a fault that they are told. */
  async pump(): Promise<void> {
    let status: JobStatus | undefined;
    let last: Buffer | undefined;
    try {
      for (;;) {
        const next = await this.#updates.next();
        if (this.readers.size === 0) return;
        if (next.done) break;
        status = next.value;
        this.newest = event("progress", status);
        for (const reader of [...this.readers]) reader.progress(this.newest);
      }
      if (status) last = event("end", status);
    } catch (error) {
      last = event("error", bodyOf(faultOf(error)));
    }
    for (const reader of [...this.readers]) reader.last(last);
  }

  stop(): void {
    // Not awaited: an iterator that waits for the next update ends only with it.
    void this.#updates.return?.()?.catch(() => undefined);
  }
}

export interface EventStreamsOptions {
  /** What waits for readers, all streams together, and what is kept of followed jobs. */
  readonly bytesMax: number;
  /** How long a reader may let a status wait. */
  readonly stallMs: number;
  readonly heartbeatMs: number;
  onDropped(reason: DropReason): void;
}

export class EventStreams {
  readonly #options: EventStreamsOptions;
  readonly #followed = new Map<string, Followed>();
  readonly #streams = new Set<Stream>();

  constructor(options: EventStreamsOptions) {
    this.#options = options;
  }

  /** Bytes that readers have not taken. */
  get waitingBytes(): number {
    let bytes = 0;
    for (const { out } of this.#streams) bytes += out.writableLength;
    return bytes;
  }

  get followed(): number {
    return this.#followed.size;
  }

  /**
   * Gives what writes to a reader until the job has ended, the reader has gone or reads too slowly, or `over` resolves
   * (a client's EventSource then comes back by itself). Throws RATE_LIMITED.
   */
  open(job: Job): (out: ServerResponse, over: Promise<void>) => Promise<void> {
    const followed = this.#join(job);
    return (out, over) => this.#follow(job.id, followed, out, over);
  }

  async #follow(id: string, followed: Followed, out: ServerResponse, over: Promise<void>): Promise<void> {
    const stream = new Stream(out);
    this.#streams.add(stream);
    const heartbeat = setInterval(() => this.#heartbeat(stream), this.#options.heartbeatMs);
    let reader: Reader | undefined;
    try {
      stream.write(Buffer.from("retry: 1000\n\n"));
      const ended = new Promise<void>((resolve) => {
        reader = {
          progress: (bytes) => this.#send(stream, bytes),
          last: (bytes) => {
            if (bytes) stream.write(bytes);
            resolve();
          },
        };
        if (followed.newest) reader.progress(followed.newest);
        followed.readers.add(reader);
      });
      await Promise.race([ended, stream.gone, over]);
    } finally {
      clearInterval(heartbeat);
      this.#streams.delete(stream);
      if (reader) followed.readers.delete(reader);
      if (followed.readers.size === 0) this.#leave(id, followed);
    }
  }

  #join(job: Job): Followed {
    let followed = this.#followed.get(job.id);
    if (!followed) {
      let kept = 0;
      for (const { newest } of this.#followed.values()) kept += newest?.byteLength ?? 0;
      if (kept > this.#options.bytesMax)
        throw new VolleyError(
          "RATE_LIMITED",
          `the jobs that are followed have statuses of ${kept} bytes; try again later`,
        );
      followed = new Followed(job);
      this.#followed.set(job.id, followed);
      const started = followed;
      void started.pump().finally(() => this.#leave(job.id, started));
    }
    return followed;
  }

  #leave(id: string, followed: Followed): void {
    if (this.#followed.get(id) === followed) this.#followed.delete(id);
    followed.stop();
  }

  #send(stream: Stream, bytes: Buffer): void {
    if (!stream.offer(bytes)) return;
    // The one that has waited longest is the one that does not read.
    while (this.waitingBytes > this.#options.bytesMax) {
      const stalled = [...this.#streams]
        .filter(({ out }) => out.writableLength > 0)
        .sort((a, b) => a.waitsSinceMs - b.waitsSinceMs)[0];
      if (!stalled) return;
      this.#drop(stalled, "memory");
    }
  }

  #heartbeat(stream: Stream): void {
    if (!stream.out.writableNeedDrain) stream.write(Buffer.from(": still here\n\n"));
    else if (performance.now() - stream.waitsSinceMs > this.#options.stallMs) this.#drop(stream, "stalled");
  }

  #drop(stream: Stream, reason: DropReason): void {
    this.#streams.delete(stream);
    this.#options.onDropped(reason);
    stream.out.destroy();
  }
}

/** One reader's connection: at most one status waits in it, and the newest one beside it. */
class Stream {
  readonly out: ServerResponse;
  readonly gone: Promise<void>;
  waitsSinceMs = Number.POSITIVE_INFINITY;
  #skipped: Buffer | undefined;

  constructor(out: ServerResponse) {
    this.out = out;
    this.gone = new Promise((resolve) => {
      out.once("close", () => resolve());
      if (out.destroyed) resolve();
    });
    out.on("drain", () => {
      this.waitsSinceMs = Number.POSITIVE_INFINITY;
      const newest = this.#skipped;
      this.#skipped = undefined;
      if (newest) this.write(newest);
    });
  }

  /** False: the reader is behind, and will get the newest when it has caught up. */
  offer(bytes: Buffer): boolean {
    if (this.out.writableNeedDrain) {
      this.#skipped = bytes;
      return false;
    }
    this.write(bytes);
    return true;
  }

  write(bytes: Buffer): void {
    if (this.out.destroyed) return;
    if (!this.out.write(bytes) && this.waitsSinceMs === Number.POSITIVE_INFINITY) this.waitsSinceMs = performance.now();
  }
}
