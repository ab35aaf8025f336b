import type { JobId, WorkerId } from "../../proto/ids.js";

/** A worker process that was given up, in case it was not dead after all. */
export interface Departed {
  readonly worker: WorkerId;
  /** Another process has taken its name: it may not join again while that one is there. */
  readonly superseded: boolean;
  /** Tasks that were blamed for its death. */
  strikes: readonly { readonly job: JobId; readonly stage: number; readonly task: number }[];
}
