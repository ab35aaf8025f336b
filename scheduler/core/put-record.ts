/** An object that a client has put, as the scheduler knows it. Rules P1, P2: puts.ts. */
import type { JobId } from "../../proto/ids.js";
import type { PutFacts } from "./events.js";
import type { Silence } from "./silence-record.js";
import { checkStep, putMachine } from "./transitions.js";

/**
 * there: its bytes are here, with workers, or in the durable store. awaited: no copy is known, and one may come with
 * whose silence ends (silence.ts); `start`: nobody has told of it yet to this scheduler, which has just begun. missing:
 * every copy is gone. `at`: since when, in listening time.
 */
export type Presence =
  | { readonly is: "there" }
  | { readonly is: "awaited"; readonly at: number; readonly from: Silence | "start" }
  | { readonly is: "missing"; readonly at: number };

/** `R`: stages. */
export interface PutRecordOf<R> {
  facts: PutFacts;
  durable: boolean;
  /** Sessions, and the generation by which each has it. */
  readonly owners: Map<JobId, number>;
  /** Sessions' stages that have it among their inputs and have tasks to go, or may run again. */
  readonly readers: Set<R>;
  presence: Presence;
  /** Found without an owner at the last look: dropped at the next. */
  idle?: boolean;
}

export const there: Presence = { is: "there" };

export const createPut = <R>(facts: PutFacts, durable: boolean, presence: Presence = there): PutRecordOf<R> => ({
  facts,
  durable,
  owners: new Map(),
  readers: new Set(),
  presence,
});

export function setPresence(put: Pick<PutRecordOf<never>, "facts" | "presence">, next: Presence): void {
  const { is } = put.presence;
  if (is !== next.is) checkStep(putMachine, `object ${put.facts.id}`, is, next.is);
  put.presence = next;
}

/** No copy is known. */
export const isAway = ({ presence }: Pick<PutRecordOf<never>, "presence">): boolean => presence.is !== "there";
