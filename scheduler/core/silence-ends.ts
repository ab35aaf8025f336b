/** Ends of silence without a return (Q3 of silence.ts): what was waited for is lost. */

import { type ObjectId, splitObjectId } from "../../proto/ids.js";
import { loseResult } from "./losses.js";
import { setPresence } from "./put-record.js";
import { abandonPut } from "./puts.js";
import { awaitResult, leftMs, silentHolderOf } from "./silence.js";
import type { Silence } from "./silence-record.js";
import { type Context, taskState } from "./state.js";

/** Another process has the name, or this one has deregistered. */
export function endSilence(ctx: Context, isOver: (silence: Silence) => boolean): void {
  const { silences } = ctx.state;
  if (silences.size === 0) return;
  const over = [...silences].filter(isOver);
  for (const silence of over) silences.delete(silence);
  for (const { objects } of over) for (const id of objects) settle(ctx, id);
}

/** Now and then. */
export function sweepSilences(ctx: Context): void {
  endSilence(ctx, (silence) => leftMs(ctx.state, silence) === 0);
}

/** Who was waited for does not come: another silent worker may have it, or it is lost. */
function settle(ctx: Context, id: ObjectId): void {
  const { state } = ctx;
  const other = silentHolderOf(state, id);
  const put = state.puts.get(id);
  if (put?.presence.is === "awaited") {
    const { at, from } = put.presence;
    if (from !== "start" && !state.silences.has(from)) {
      if (other) setPresence(put, { is: "awaited", at, from: other });
      else abandonPut(ctx, put);
    }
  }
  const { base, index } = splitObjectId(id);
  for (const stage of [...state.catalog.of(base)]) {
    const failureRecord = stage.failureRecords.get(index);
    const claimed = failureRecord?.claimed;
    if (!failureRecord || !claimed?.silence || state.silences.has(claimed.silence)) continue;
    failureRecord.claimed = undefined;
    if (stage.states.at(index) !== taskState.retrying) continue;
    if (other) awaitResult(ctx, stage, index, claimed.stored, other);
    else loseResult(ctx, stage, index, id);
  }
}
