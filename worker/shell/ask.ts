/** Questions of the worker's to the scheduler: where objects are, and the results of a whole stage. */

import { decodeMessage, encodeMessage } from "../../proto/codec.js";
import { type ErrorCode, fromWireError, isVolleyError, VolleyError } from "../../proto/errors.js";
import { limits } from "../../proto/limits.js";
import { type ClientReplyOf, type ClientRequest, clientReply } from "../../proto/messages/client.js";
import { pause, type Runtime, realRuntime } from "../../proto/runtime.js";
import { subjects } from "../../proto/subjects.js";
import type { Transport } from "../../proto/transport/transport.js";

/** A scheduler that restarts is back within this time. */
const patienceMs = 15_000;
const passing: ReadonlySet<ErrorCode> = new Set([
  "NO_LISTENER",
  "TIMEOUT",
  "DISCONNECTED",
  "NO_SCHEDULER",
  "STALE_EPOCH",
]);

export type Question = Extract<ClientRequest, { t: "locate" | "results" }>;
type AnswerTo = { locate: ClientReplyOf<"located">; results: ClientReplyOf<"results"> };

/**
 * Asks until there is an answer. Rejects with the scheduler's error, or with the last failure when its patience is
 * over. `epoch`: the highest seen; what a scheduler of a lower one says does not count, be it an answer or an error
 * (M6).
 */
export async function ask<Q extends Question>(
  transport: Transport,
  question: Q,
  epoch: () => number,
  runtime: Runtime = realRuntime,
): Promise<AnswerTo[Q["t"]]> {
  const deadline = runtime.nowMs() + patienceMs;
  const data = encodeMessage(question);
  for (let pauseMs = 50; ; pauseMs = Math.min(1_000, pauseMs * 2)) {
    try {
      const reply = decodeMessage(
        clientReply,
        await transport.request(subjects.schedulerQuestion, data, { timeoutMs: limits.requestTimeoutMs }),
      );
      if (reply.epoch < epoch())
        throw new VolleyError(
          "STALE_EPOCH",
          `a scheduler of epoch ${reply.epoch} answered ${question.t}; epoch ${epoch()} speaks`,
        );
      if (reply.t === "error") throw fromWireError(reply.error);
      if (reply.t !== (question.t === "locate" ? "located" : "results"))
        throw new VolleyError("INTERNAL", `the scheduler answered ${reply.t} to ${question.t}`);
      return reply as AnswerTo[Q["t"]];
    } catch (error) {
      if (!isVolleyError(error) || !passing.has(error.code) || runtime.nowMs() + pauseMs > deadline) throw error;
      await pause(runtime, pauseMs);
    }
  }
}
