/**
 * While a durable job is being described, calls of remote functions become stages of it instead of tasks of the
 * session. The description is synchronous, so no call of anybody else falls into it.
 */
import { VolleyError } from "../../proto/errors.js";
import type { ObjectRef, RefArray } from "./api.js";

export interface Recorder {
  submit(fn: object, args: readonly unknown[]): ObjectRef<unknown>;
  map(fn: object, items: Iterable<unknown>, shared: readonly unknown[]): RefArray<unknown>;
}

let recording: { readonly session: object; readonly recorder: Recorder } | undefined;

/** Of the connection whose functions are called; undefined while it describes no job. */
export const recorderOf = (session: object): Recorder | undefined =>
  recording?.session === session ? recording.recorder : undefined;

export function record<T>(session: object, recorder: Recorder, describe: () => T): T {
  if (recording) throw new VolleyError("INVALID_GRAPH", "a durable job cannot be described inside of another one");
  recording = { session, recorder };
  try {
    return describe();
  } finally {
    recording = undefined;
  }
}
