import type { Instance, ObjectId, WorkerId } from "../../proto/ids.js";

/** A worker process that fell silent, with what it held (silence.ts). */
export interface Silence {
  readonly worker: WorkerId;
  readonly instance: Instance | undefined;
  /** When it was given up, in listening time. */
  readonly at: number;
  readonly objects: ReadonlySet<ObjectId>;
}
