/** What the agent gives a thread to run, and what the thread says back. Plain data: it is cloned into the thread. */
import type { JobId } from "../../proto/ids.js";
import type { SharedMemory } from "../store/memory.js";
import type { RunFault } from "./channel.js";

/**
 * An encoded value: bytes of its own, or a place in the worker's shared memory. `handle` is unique to one stay of an
 * object in that memory, so what a thread has decoded from it can be used again exactly as long as the handle is the
 * same.
 */
export type Source =
  | { readonly kind: number; readonly data: Uint8Array }
  | { readonly kind: number; readonly handle: number; readonly offset: number; readonly bytes: number };

export type ThreadArg =
  /** The same for every task. */
  | { readonly a: "same"; readonly source: Source }
  /** Task i takes item i - first of a pack. */
  | { readonly a: "pack"; readonly pack: Source; readonly first: number }
  /** Task i takes source i - first. */
  | { readonly a: "each"; readonly sources: readonly Source[]; readonly first: number }
  /** The list of all items of these parts, in order, the same for every task. */
  | {
      readonly a: "all";
      readonly parts: readonly ({ readonly pack: Source } | { readonly one: Source })[];
      readonly key: string;
    }
  | { readonly a: "list"; readonly of: readonly ThreadArg[] }
  | { readonly a: "index" };

export type ThreadFunction =
  | { readonly kernel: string; readonly version: number }
  | { readonly bundle: string; readonly url: string; readonly export: string };

export interface RunMessage {
  /** Which channel (an index into the thread's), and which of its runs: what is posted carries both. */
  readonly channel: number;
  readonly run: number;
  readonly job: JobId;
  readonly stage: number;
  readonly attempt: number;
  readonly seed: number | undefined;
  /** The place of task 0 in the seed's sequence. */
  readonly seedFrom?: number | undefined;
  readonly fn: ThreadFunction;
  readonly args: readonly ThreadArg[];
  readonly from: number;
  readonly to: number;
  /** Results go to the durable store: digests for every one, also the small ones, and the SHA-256 of the large. */
  readonly digests: boolean;
}

/** `next`: the first task that was not executed. */
export interface RunReply {
  readonly next: number;
  readonly fault?: RunFault;
}

/** What a thread posts while it runs. A bare number is a channel whose ring wants reading. */
export type ThreadMessage =
  | number
  | {
      readonly t: "large";
      readonly channel: number;
      readonly run: number;
      readonly task: number;
      readonly kind: number;
      readonly data: Uint8Array<ArrayBuffer>;
      readonly digest: Uint8Array;
      readonly sha256: Uint8Array | undefined;
      readonly timeUs: number;
    }
  | {
      readonly t: "log";
      readonly level: "info" | "warn" | "error";
      readonly where: string;
      readonly text: string;
      readonly dropped: number;
    };

const levels: ReadonlySet<unknown> = new Set(["info", "warn", "error"]);

/** User code can post as well, by intent or through a library that takes itself for a thread of its own program. */
export function isThreadMessage(message: unknown): message is Exclude<ThreadMessage, number> {
  if (typeof message !== "object" || message === null || !("t" in message)) return false;
  const given = message as Partial<Record<string, unknown>>;
  if (message.t === "log") return levels.has(given.level) && typeof given.text === "string";
  return (
    message.t === "large" &&
    typeof given.channel === "number" &&
    given.data instanceof Uint8Array &&
    given.digest instanceof Uint8Array &&
    (given.sha256 === undefined || given.sha256 instanceof Uint8Array)
  );
}

/** Given to every thread when it starts. */
export interface ThreadData {
  readonly memory: SharedMemory | null;
  /** Large results are written into it. */
  readonly hasRoom: boolean;
  /** Of that memory, for the slot's kernels. */
  readonly region: { readonly offset: number; readonly bytes: number } | undefined;
  /** The slot's runs take them in turn. */
  readonly channels: readonly SharedArrayBuffer[];
  readonly inlineBytesMax: number;
  /** What the thread's heap may take. */
  readonly heapBytes: number;
}
