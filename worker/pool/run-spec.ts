/** What the agent asks of a slot, and what it hears of it. */
import type { ResultSegment } from "../../proto/messages/results.js";
import type { Allocation } from "../store/entry.js";
import type { RunMessage } from "./run-message.js";

export interface LargeResult {
  readonly task: number;
  readonly kind: number;
  readonly data: Uint8Array;
  /** Where `data` lies in the store already: to be sealed or given back. */
  readonly room?: Allocation;
  /** 16 bytes over kind and payload, computed in the thread. */
  readonly digest: Uint8Array;
  /** Of the payload alone, for the durable store: computed in the thread, too. */
  readonly sha256?: Uint8Array | undefined;
  readonly slotTimeUs: number;
  /** To be called when the bytes have been stored: threads wait while too many are under way. */
  stored(): void;
}

export interface RunListener {
  results(segment: ResultSegment, slotTimeUs: number): void;
  /** A result above inlineBytesMax. */
  large(result: LargeResult): void;
}

export type RunSpec = Omit<RunMessage, "channel" | "run"> & { readonly timeoutMs: number; readonly lease?: string };

export interface Run {
  /** Starts nothing from `to` on; returns the first task that surely will not start. */
  limit(to: number): number;
  /** True: its thread has not taken it and will execute nothing of it; it is over. False: it goes on. */
  recall(): boolean;
  /** Stops now, also in the middle of a task. */
  kill(): void;
  /** Resolves when the thread has returned from the last task: what is staged behind it has begun. */
  readonly vacated: Promise<void>;
  /** Resolves after that, when the listener has heard everything. */
  readonly done: Promise<void>;
}
