/**
 * Writes a capture (capture-format.ts) while the scheduler serves.
 *
 * C1 The loop never waits for the disk: frames gather in memory while a write is in flight. When too many have
 * gathered, or the file has as many bytes as it may, or a write fails, the capture ends; the scheduler goes on.
 * C2 The state that the core goes on with is the one that was written, read back: so a replay begins with the same.
 * C3 Each start begins a new file and keeps those of the `startsKept` starts before, as FILE.1, FILE.2, …; so their
 * bytes are bounded together. A capture is only of use from its start on.
 * C4 When the core fails, what led to it is on disk before the process ends.
 */
import { closeSync, existsSync, openSync, renameSync, rmSync, writeSync, writev } from "node:fs";
import type { Epoch } from "../../proto/ids.js";
import type { Command, Event, JournalRecord } from "../core/events.js";
import { type CaptureFrame, digestsOf, encodeFrame, headOf, readBack } from "./capture-format.js";
import type { CorePort } from "./core-port.js";

const startsKept = 3;
const pendingBytesMax = 32 * 1024 * 1024;

export interface CaptureOptions {
  readonly file: string;
  readonly bytesMax: number;
  /** Of the program, for whoever reads the capture. */
  readonly volley: string;
  /** Nothing more is captured. */
  onEnd(why: string): void;
}

export class Capture {
  readonly #options: CaptureOptions;
  #fd: number | undefined;
  /** Not on its way to the disk yet. */
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;
  /** On its way to `#at`. */
  #writing: Uint8Array[] = [];
  #at = 0;
  #bytes = 0;
  #seq = 0;

  constructor(options: CaptureOptions) {
    this.#options = options;
  }

  /** A scheduler begins with this state; gives the one to go on with (C2). */
  begin<S>(core: CorePort<S>, state: S, epoch: Epoch, record: JournalRecord): S {
    this.close();
    const { file, volley } = this.#options;
    rotate(file);
    this.#fd = openSync(file, "w", 0o600);
    this.#pending = [];
    this.#pendingBytes = this.#at = this.#bytes = this.#seq = 0;
    const items = core.snapshot(state);
    this.#write(headOf({ volley, epoch, record, items: items.length }), true);
    for (const item of items) this.#write({ f: "item", item }, true);
    return startOf(core, readBack(items), epoch, record);
  }

  /** The core is about to take the event in. */
  take(event: Event, nowMs: number): void {
    if (this.#fd !== undefined) this.#write({ f: "event", seq: ++this.#seq, nowMs, event });
  }

  /** The commands that it gave out. */
  gave(commands: readonly Command[]): void {
    if (this.#fd !== undefined) this.#write({ f: "commands", digests: digestsOf(commands) });
  }

  /** Writes what is left, at once (C4). */
  close(why = "the scheduler stopped"): void {
    if (this.#fd === undefined) return;
    const fd = this.#fd;
    const isWriting = this.#writing.length > 0;
    this.#fd = undefined;
    // What is in flight is written a second time to the same place: nobody waits for the first.
    try {
      const last = Buffer.concat([...this.#writing, ...this.#pending, encodeFrame({ f: "end", why })]);
      writeSync(fd, last, 0, last.byteLength, this.#at);
    } catch (error) {
      this.#options.onEnd(String(error));
    }
    this.#pending = this.#writing = [];
    if (!isWriting) closeSync(fd);
  }

  #write(frame: CaptureFrame, first = false): void {
    const bytes = encodeFrame(frame);
    this.#bytes += bytes.byteLength;
    this.#pendingBytes += bytes.byteLength;
    this.#pending.push(bytes);
    if (!first && this.#bytes > this.#options.bytesMax) this.#end(`it has ${this.#bytes} bytes, the most it may have`);
    else if (!first && this.#pendingBytes > pendingBytesMax) this.#end("the disk does not keep up");
    else if (this.#writing.length === 0) this.#flush();
  }

  #end(why: string): void {
    this.close(why);
    this.#options.onEnd(why);
  }

  #flush(): void {
    const fd = this.#fd;
    if (fd === undefined || this.#pending.length === 0) return;
    const writing = this.#pending;
    const bytes = this.#pendingBytes;
    this.#writing = writing;
    this.#pending = [];
    this.#pendingBytes = 0;
    writev(fd, writing, this.#at, (error, written) => {
      if (this.#fd !== fd) {
        closeSync(fd);
        return;
      }
      this.#writing = [];
      if (error || written < bytes) {
        this.#end(error ? error.message : `the disk took ${written} of ${bytes} bytes`);
        return;
      }
      this.#at += bytes;
      this.#flush();
    });
  }
}

/** What a core begins with: what was durable, and the record of its epoch. */
export function startOf<S>(core: CorePort<S>, items: readonly unknown[], epoch: Epoch, record: JournalRecord): S {
  const state = core.restore(items, epoch);
  core.applyRecord(state, record);
  return state;
}

function rotate(file: string): void {
  const name = (at: number): string => (at === 0 ? file : `${file}.${at}`);
  rmSync(name(startsKept), { force: true });
  for (let at = startsKept - 1; at >= 0; at--) if (existsSync(name(at))) renameSync(name(at), name(at + 1));
}
