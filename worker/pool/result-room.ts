/**
 * The agent's side of the room that one run's results are written into: large results lie in the worker's store before
 * the agent hears of them, and it copies and hashes nothing.
 *
 * A run is granted one stretch of memory after the other and writes its results into them from the beginning on. Each
 * result that is heard of is cut off the stretch as an allocation of its own; what is left over when the run has ended,
 * or its thread has died, is given back. So a torn result is only ever in what is given back.
 */
import type { Allocation } from "../store/entry.js";
import type { ObjectStore } from "../store/store.js";
import type { RoomGrants } from "./room-grants.js";

export interface RoomSource {
  readonly store: Pick<ObjectStore, "tryAllocate" | "allocateUnlessBlocked" | "cut" | "abandon">;
  /** Of a stretch that several results share. */
  readonly stretchBytesMax: number;
}

const stretchBytesMin = 256 * 1024;
const stretchBytesMax = 4 * 1024 * 1024;
/** A stretch is for about so many results of the size that was asked for last. */
const resultsEach = 16;

/** All that may lie granted and unwritten (two stretches a run, two runs a slot) is a small part of a store. */
export const roomFor = (store: RoomSource["store"], budgetBytes: number, slots: number): RoomSource => ({
  store,
  stretchBytesMax: Math.min(stretchBytesMax, Math.floor(budgetBytes / (64 * slots))),
});

export class ResultRoom {
  readonly #source: RoomSource;
  readonly #grants: RoomGrants;
  /** Granted and not given back, in the order in which the thread takes them. */
  #stretches: Allocation[] = [];
  #stretchBytes: number;
  #isUsed = false;
  #asked = false;
  #closed = false;

  /** `firstBytes`: what the run finds granted when it begins, 0 for nothing. */
  constructor(source: RoomSource, grants: RoomGrants, firstBytes: number) {
    this.#source = source;
    this.#grants = grants;
    this.#stretchBytes = firstBytes;
    if (firstBytes > 0) this.#grantAhead();
  }

  /** What the next run of the same slot should find granted. */
  get nextBytes(): number {
    return this.#isUsed ? this.#stretchBytes : 0;
  }

  /** Looks after the thread's wishes. To be called whenever something was heard of the run. */
  serve(): void {
    if (this.#closed || this.#asked) return;
    const bytes = this.#grants.wantedBytes;
    if (bytes > 0) this.#answer(bytes);
    else if (this.#isUsedUpSoon() && this.#grants.isEmpty) this.#grantAhead();
  }

  /** The allocation of a result that the thread says it has written. undefined: it was never granted. */
  written(offset: number, bytes: number): Allocation | undefined {
    const at = this.#stretches.findIndex((stretch) => stretch.offset === offset && bytes <= stretch.bytes);
    if (at < 0) return undefined;
    // The thread has gone on: nothing is written into those before.
    for (const left of this.#stretches.splice(0, at)) this.#source.store.abandon(left);
    const { part, rest } = this.#source.store.cut(this.#stretches.shift() as Allocation, bytes);
    if (rest) this.#stretches.unshift(rest);
    this.#isUsed = true;
    return part;
  }

  /** No thread writes for the run any more. */
  close(): void {
    this.#closed = true;
    for (const left of this.#stretches.splice(0)) this.#source.store.abandon(left);
  }

  #isUsedUpSoon(): boolean {
    const [first, ...more] = this.#stretches;
    return this.#isUsed && more.length === 0 && (first?.bytes ?? 0) < this.#stretchBytes / 2;
  }

  #answer(bytes: number): void {
    this.#stretchBytes = this.#shared(bytes);
    const shared = this.#source.store.tryAllocate(this.#stretchBytes);
    if (shared) {
      this.#grant(shared, true);
      return;
    }
    this.#asked = true;
    void this.#source.store
      .allocateUnlessBlocked(bytes)
      // Why there is no room is said when the thread has sent the bytes, and they are to be put.
      .catch(() => undefined)
      .then((room) => {
        this.#asked = false;
        if (this.#closed) {
          if (room) this.#source.store.abandon(room);
        } else if (room) this.#grant(room, true);
        else this.#grants.refuse();
      });
  }

  /** A result that is too large to share a stretch has one of its own. */
  #shared(bytes: number): number {
    const wished = Math.max(stretchBytesMin, resultsEach * bytes);
    return Math.max(bytes, Math.min(this.#source.stretchBytesMax, wished));
  }

  #grantAhead(): void {
    const stretch = this.#source.store.tryAllocate(this.#stretchBytes);
    if (stretch) this.#grant(stretch, false);
  }

  #grant(stretch: Allocation, asked: boolean): void {
    this.#stretches.push(stretch);
    if (this.#grants.grant(stretch, asked)) return;
    this.#stretches.pop();
    this.#source.store.abandon(stretch);
  }
}
