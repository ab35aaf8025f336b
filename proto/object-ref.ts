import type { ObjectId } from "./ids.js";

/**
 * A handle on a value that is, or will be, in the cluster. Accepted wherever the value is. Its value comes by `get`: a
 * ref is no thenable, or `await cluster.put(x)` would wait for the value and give it instead of the ref.
 */
export interface ObjectRef<T> {
  readonly id: ObjectId;
  /** Phantom: carries the type of the value. */
  readonly __value?: T;
}
