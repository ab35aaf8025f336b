/** What clients say of objects that they have put (puts.ts). */
import type { ClientRequestOf } from "../../proto/messages/client.js";
import { answer, jobNotFound, refuse } from "./client-events.js";
import type { PutFacts, ReplyToken } from "./events.js";
import { received } from "./liveness.js";
import { createPut, isAway } from "./put-record.js";
import { findPut, hold, own } from "./puts.js";
import { write } from "./records.js";
import { type Context, type PutRecord, sessionOf } from "./state.js";

export function onHold(ctx: Context, request: ClientRequestOf<"hold">, reply: ReplyToken | undefined): void {
  const session = sessionOf(ctx.state, request.session, request.client);
  if (!session) {
    refuse(ctx, reply, jobNotFound(request.session));
    return;
  }
  received(ctx.state, session);
  const missing = request.objects.filter((object) => isAway(hold(ctx.state, session, object))).map(({ id }) => id);
  answer(ctx, reply, { t: "held", missing });
}

const isElsewhere = ({ durable, facts }: PutRecord): boolean => !durable && !facts.inline && !facts.chunk;

/** A small object with its bytes, or one that is in the durable store. */
export function onPut(ctx: Context, request: ClientRequestOf<"put">, reply: ReplyToken | undefined): void {
  const { state } = ctx;
  const { id, kind, bytes, digest, inline, generation = 0 } = request;
  const facts: PutFacts = { id, kind, bytes, digest, ...(inline ? { inline } : {}) };
  const known = state.puts.get(id);
  if (inline && !known) state.puts.set(id, createPut(facts, false));
  // Whoever says the bytes has them here, wherever others have put them.
  if (inline && known && (isAway(known) || isElsewhere(known))) known.facts = facts;
  if (!inline && !known?.durable) write(ctx, { k: "put", object: facts }, true);
  const put = state.puts.get(id);
  const session = sessionOf(state, request.session);
  if (put && session && inline) own(put, session, generation);
  if (put) findPut(ctx, put);
  answer(ctx, reply, { t: "ok" }, true);
}
