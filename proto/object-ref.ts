import type { ObjectId } from "./ids.js";

/** A handle on a value that is, or will be, in the cluster. Accepted wherever the value is. */
export interface ObjectRef<T> {
  readonly id: ObjectId;
  /** Phantom: carries the type of the value. */
  readonly __value?: T;
}
