/** What the object store keeps of each object, and what it gives out. */
import { VolleyError } from "../../proto/errors.js";
import type { ObjectId } from "../../proto/ids.js";
import type { Runtime, Stop } from "../../proto/runtime.js";
import type { SharedMemory } from "./memory.js";
import type { Spilled, SpillPlace } from "./spill.js";

export interface StoreOptions {
  readonly budgetBytes: number;
  /** Room at the beginning of the memory that is not the store's. Committed only as it is used. Default none. */
  readonly reservedBytes?: number;
  /** Parent of the spill folder; default: under the system's temporary folder. */
  readonly spillParent?: string;
  /** Bytes on disk at most. Default 8 times the budget. */
  readonly spillBytesMax?: number;
  readonly admissionTimeoutMs?: number;
  /** In place of this process's clock, memory and disk. */
  readonly runtime?: Runtime;
  readonly memory?: SharedMemory;
  readonly spill?: SpillPlace;
  /** An object is gone that should not be: it could not be read back from disk. */
  onLost?(id: ObjectId, error: unknown): void;
  /** A copy was dropped to make room. */
  onDropped?(id: ObjectId): void;
}

export interface ObjectMeta {
  readonly kind: number;
  /** 16 bytes over kind and payload. */
  readonly digest: Uint8Array;
}

export interface SealOptions {
  /** Others hold it too, so it is dropped rather than spilled. */
  readonly copy?: boolean;
  /** Of two contents of one id the one of the higher number stays. */
  readonly order?: number;
}

/** Room that is being filled: not visible to anyone until it is sealed. */
export interface Allocation {
  readonly handle: number;
  readonly offset: number;
  readonly bytes: number;
  /** To be written by its owner alone. */
  readonly view: Uint8Array;
}

export interface Pin extends ObjectMeta {
  readonly id: ObjectId;
  readonly handle: number;
  readonly offset: number;
  readonly bytes: number;
  readonly view: Uint8Array;
  /** Once. */
  release(): void;
}

type Place = { at: "memory"; handle: number; offset: number } | { at: "disk"; spilled: Spilled } | { at: "gone" };

export interface Entry extends ObjectMeta {
  readonly id: ObjectId;
  readonly bytes: number;
  place: Place;
  pins: number;
  condemned: boolean;
  copy: boolean;
  order: number;
  /** Under way from or to disk. */
  moving: Promise<void> | undefined;
}

export interface Waiter {
  readonly bytes: number;
  resolve(allocation: Allocation): void;
  reject(error: unknown): void;
  readonly stop: Stop;
  /** Nothing can make room for it until something is unpinned. */
  blocked?(): void;
}

export interface StoreStats {
  readonly budgetBytes: number;
  readonly usedBytes: number;
  readonly pinnedBytes: number;
  /** Of the used: copies that may be dropped. */
  readonly copyBytes: number;
  readonly spilledBytes: number;
  readonly objects: number;
  readonly spills: number;
  readonly restores: number;
}

/**
 * A fault for good: no worker with a store of this size can ever do it. `details` are what the scheduler decides by.
 */
export function neverFits(what: string, neededBytes: number, storeBytes: number): VolleyError {
  return new VolleyError(
    "OUT_OF_MEMORY",
    `${what}: it needs ${neededBytes} bytes, the store has ${storeBytes}; give workers more (VOLLEY_STORE_BYTES)`,
    {
      details: { neededBytes, storeBytes },
    },
  );
}
