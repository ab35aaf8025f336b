/** An object that a client has put, as the scheduler knows it. Rules P1, P2: puts.ts. */
import type { JobId } from "../../proto/ids.js";
import type { PutFacts } from "./events.js";
import type { Silence } from "./silence-record.js";

/** `R`: stages. */
export interface PutRecordOf<R> {
  facts: PutFacts;
  durable: boolean;
  /** Sessions, and the generation by which each has it. */
  readonly owners: Map<JobId, number>;
  /** Sessions' stages that have it among their inputs and have tasks to go, or may run again. */
  readonly readers: Set<R>;
  /** Every copy is gone; since when, in listening time. */
  missing: boolean;
  missingAt: number;
  /**
   * While missing: whose silence may end with it (silence.ts). `start`: nobody has told of it yet to this scheduler,
   * which has just begun.
   */
  awaited: Silence | "start" | undefined;
  /** Found without an owner at the last look: dropped at the next. */
  idle?: boolean;
}

export const createPut = <R>(facts: PutFacts, durable: boolean): PutRecordOf<R> => ({
  facts,
  durable,
  owners: new Map(),
  readers: new Set(),
  missing: false,
  missingAt: 0,
  awaited: undefined,
});
