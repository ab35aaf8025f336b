/** Who follows which jobs (watches.ts). */
import type { ClientId, JobId } from "../../proto/ids.js";

export interface Watched {
  /** Until when each of them follows it. */
  readonly clients: Map<ClientId, number>;
  /** What they were sent last. */
  counts: string;
}

export class Watches {
  readonly jobs = new Map<JobId, Watched>();
  count = 0;
  /** When changes are due. */
  nextMs = Number.POSITIVE_INFINITY;
}
