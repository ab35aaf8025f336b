import type { JobId, WorkerId } from "../../proto/ids.js";

/** A worker process that was given up, in case it was not dead after all. */
export interface Departed {
  readonly worker: WorkerId;
  /** superseded: another process has taken its name, and it may not join again while that one is there. */
  readonly how: "silent" | "superseded";
  /** Tasks that were given a strike for its death. */
  strikes: readonly { readonly job: JobId; readonly stage: number; readonly task: number }[];
}
