/** What is known of an object that a client put. */
import type { ClientId, JobId } from "../../proto/ids.js";
import type { PutFacts } from "./events.js";

export interface PutRecord {
  readonly facts: PutFacts;
  durable: boolean;
  readonly owners: Set<JobId>;
  /** The client that put it, while its session is not known here (it opens it again after a scheduler's restart). */
  claimedBy?: ClientId;
  /** Found without an owner at the last look: dropped at the next. */
  idle?: boolean;
}
