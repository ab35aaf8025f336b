/**
 * What a worker says of its objects, in the order in which it was said.
 *
 * O1 Reports may overtake each other. Of two that tell of one object the one with the higher number holds, whichever
 *    comes first; so nobody goes on believing in a copy that is gone, nor calls one lost that was made anew.
 * O2 Only while reports are missing is anything remembered for that.
 */
import { type ObjectBase, type ObjectId, objectIdOf } from "../../proto/ids.js";
import type { WorkerRequestOf } from "../../proto/messages/worker.js";
import { keepEnough, markMissing } from "./copies.js";
import { loseObject } from "./losses.js";
import { losePut } from "./puts.js";
import type { Context, State, WorkerRecord } from "./state.js";

/** Of a worker of the version before, which does not say its first number, there is always one missing. */
const touchedObjectsMax = 20_000;

/** Every report up to the highest that has come is known, or known not to come. */
export const isInOrder = ({ seen }: WorkerRecord): boolean => seen.isContiguous && (seen.isEmpty || seen.has(0));

/** O1. `seq`: the number of the report, or of the last one before a registration. */
export function isNews(worker: WorkerRecord, id: ObjectId, seq: number, what: "there" | "gone"): boolean {
  const known = worker.touched.get(id);
  if (known && known.seq > seq) return false;
  if (!isInOrder(worker) || seq > worker.seenMax) {
    worker.touched.set(id, { seq, what });
    worker.touchedMax = Math.max(worker.touchedMax, seq);
    const [oldest] = worker.touched.size > touchedObjectsMax ? worker.touched.keys() : [];
    if (oldest !== undefined) worker.touched.delete(oldest);
  }
  return true;
}

/** O2, after a report was handled. */
export function forgetOrder(worker: WorkerRecord): void {
  if (worker.touched.size === 0 || !isInOrder(worker) || worker.seenMax < worker.touchedMax) return;
  worker.touched.clear();
  worker.touchedMax = -1;
}

/** Results that a report has committed are there from that report on; what is gone since is not held for them. */
export function markStored(
  ctx: Context,
  worker: WorkerRecord,
  { commits, seq }: WorkerRequestOf<"commits">,
  bases: readonly (ObjectBase | undefined)[],
): void {
  for (const [at, { segment }] of commits.entries()) {
    const base = segment.r === "stored" ? bases[at] : undefined;
    if (base === undefined) continue;
    for (let i = segment.from; i < segment.to; i++) {
      const id = objectIdOf(base, i);
      if (!isNews(worker, id, seq, "there") && worker.touched.get(id)?.what === "gone") dropHolder(ctx, worker, id);
    }
  }
}

/** The worker does not have the object (any more). */
export function dropHolder(ctx: Context, worker: WorkerRecord, id: ObjectId): void {
  worker.objects.delete(id);
  worker.copies.delete(id);
  markMissing(ctx.state, id, worker);
  forgetStranger(ctx.state, id, worker);
  const holders = ctx.state.holders.get(id);
  if (!holders?.delete(worker.id)) return;
  if (holders.size > 0) {
    keepEnough(ctx, id);
    return;
  }
  ctx.state.holders.delete(id);
  const put = ctx.state.puts.get(id);
  if (put) losePut(ctx, put);
  else loseObject(ctx, id);
}

/** A session that comes back to a new scheduler must not be told that it is there. */
function forgetStranger(state: State, id: ObjectId, worker: WorkerRecord): void {
  const left = state.strangers.get(id)?.filter((one) => one.worker !== worker.id);
  if (!left) return;
  if (left.length > 0) state.strangers.set(id, left);
  else state.strangers.delete(id);
}
