/**
 * Why the state moves: the event at hand, by its number in this process's life and by what and whose it is. Log lines,
 * lines of stories and captures name it alike.
 */
import type { Event } from "./events.js";

export interface Cause {
  /** Events that this process has taken in; 0: replayed from the journal, or restored. */
  readonly seq: number;
  /** A request's or an event's kind; `timer`: one that was due with the event. */
  readonly what: string;
  /** The client or worker that spoke; "": nobody. */
  readonly by: string;
}

export const fromJournal: Cause = { seq: 0, what: "journal", by: "" };

export function causeOf(event: Event, seq: number): Cause {
  if (event.e === "worker") return { seq, what: event.request.t, by: event.request.worker };
  if (event.e !== "client") return { seq, what: event.e, by: "" };
  const { request } = event;
  return { seq, what: request.t, by: "client" in request ? request.client : "" };
}

/** Due with the event, but not because of it. */
export const dueWith = ({ seq }: Cause): Cause => ({ seq, what: "timer", by: "" });

export const causeText = ({ seq, what, by }: Cause): string => `#${seq} ${what}${by === "" ? "" : ` of ${by}`}`;
