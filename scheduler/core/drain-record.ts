/** What a worker that leaves still holds alone, and where that goes (copies.ts). */
import type { ObjectId, WorkerId } from "../../proto/ids.js";

interface Move {
  readonly to: WorkerId;
  readonly bytes: number;
  readonly untilMs: number;
}

/** A worker that leaves, and what it still holds alone. */
export interface Drain {
  /** To be looked at. */
  readonly todo: Set<ObjectId>;
  readonly moving: Map<ObjectId, Move>;
  movingBytes: number;
  /** Moves that failed, by object. */
  readonly failed: Map<ObjectId, number>;
  /** It has been told that it may go. */
  free: boolean;
  /** When it began, in listening time. */
  readonly sinceMs: number;
  /** One of those that nobody can take at present, while it is waited for somebody who can. */
  waitsFor: ObjectId | undefined;
}

export const createDrain = (held: ReadonlySet<ObjectId>, sinceMs: number): Drain => ({
  todo: new Set(held),
  moving: new Map(),
  movingBytes: 0,
  failed: new Map(),
  free: false,
  sinceMs,
  waitsFor: undefined,
});
