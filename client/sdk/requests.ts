/**
 * Requests to the scheduler: idempotent, therefore repeated until answered or until their deadline. Owns how absence is
 * told: NO_SCHEDULER (nobody listened all the time), DISCONNECTED (no connection to NATS), TIMEOUT (somebody listened
 * but did not answer).
 */

import { decodeMessage, encodeMessage } from "../../proto/codec.js";
import { fromWireError, isVolleyError, VolleyError } from "../../proto/errors.js";
import { limits } from "../../proto/limits.js";
import { type ClientReply, type ClientReplyOf, type ClientRequest, clientReply } from "../../proto/messages/client.js";
import { subjects } from "../../proto/subjects.js";
import { sleep } from "../../proto/timer.js";
import type { Transport } from "../../proto/transport/transport.js";
import { EpochWatch } from "./epoch-watch.js";

const tryTimeoutMs = 3_000;
/** A timeout comes this much too late when the process stood still. */
const stoodStillMs = 1_000;
const pauseMsFirst = 20;
const pauseMsMax = 500;

/** Answers of a scheduler that is not (or not any more) the one to ask. */
const askAgain = new Set(["STALE_EPOCH", "FENCED", "NO_SCHEDULER"]);
/** Failures of the way there. */
const notThere = new Set(["NO_LISTENER", "TIMEOUT", "DISCONNECTED"]);

export class Requests {
  readonly transport: Transport;
  readonly epochs = new EpochWatch();
  /** Hears the epoch of every answer. */
  onReply: ((reply: ClientReply) => void) | undefined;

  constructor(transport: Transport) {
    this.transport = transport;
  }

  /**
   * Asks until answered. Rejects with the scheduler's own error, or NO_SCHEDULER, DISCONNECTED, TIMEOUT, CLOSED,
   * TOO_LARGE.
   */
  async ask<T extends ClientReply["t"]>(
    request: ClientRequest,
    expected: T,
    options: { timeoutMs?: number } = {},
  ): Promise<ClientReplyOf<T>> {
    const timeoutMs = options.timeoutMs ?? limits.requestTimeoutMs;
    let deadline = performance.now() + timeoutMs;
    const data = encodeMessage(request);
    for (let pauseMs = pauseMsFirst; ; pauseMs = Math.min(pauseMs * 2, pauseMsMax)) {
      let failure: VolleyError;
      const left = Math.max(1, deadline - performance.now());
      const triedAt = performance.now();
      try {
        const reply = decodeMessage(
          clientReply,
          await this.transport.request(subjects.schedulerClient, data, { timeoutMs: Math.min(left, tryTimeoutMs) }),
        );
        if (!this.epochs.admits(reply.epoch))
          throw new VolleyError(
            "STALE_EPOCH",
            `a scheduler of epoch ${reply.epoch} answered ${JSON.stringify(request.t)}; epoch ${this.epochs.epoch} speaks`,
          );
        this.onReply?.(reply);
        if (reply.t === expected) return reply as ClientReplyOf<T>;
        if (reply.t !== "error")
          throw new VolleyError(
            "INTERNAL",
            `the scheduler answered ${JSON.stringify(request.t)} with ${JSON.stringify(reply.t)}`,
          );
        failure = fromWireError(reply.error);
        if (!askAgain.has(failure.code)) throw failure;
      } catch (error) {
        if (!isVolleyError(error)) throw error;
        if (!notThere.has(error.code) && !askAgain.has(error.code)) throw error;
        failure = error;
      }
      // Time in which this process stood still was nobody's time to answer: the answer may be here, unread.
      const stillMs = performance.now() - triedAt - Math.min(left, tryTimeoutMs);
      if (stillMs > stoodStillMs) deadline += stillMs;
      if (performance.now() + pauseMs >= deadline) throw absence(request.t, timeoutMs, failure);
      await sleep(pauseMs);
    }
  }
}

function absence(what: string, timeoutMs: number, cause: VolleyError): VolleyError {
  const within = `within ${timeoutMs} ms`;
  if (cause.code === "NO_LISTENER" || cause.code === "NO_SCHEDULER") {
    return new VolleyError(
      "NO_SCHEDULER",
      `no scheduler answered ${JSON.stringify(what)} ${within}; start one with "volley up" or "volley scheduler"`,
      {
        cause,
      },
    );
  }
  if (cause.code === "DISCONNECTED")
    return new VolleyError(
      "DISCONNECTED",
      `no connection to NATS for ${JSON.stringify(what)} ${within}; check that the server of VOLLEY_URL runs`,
      { cause },
    );
  if (cause.code === "TIMEOUT")
    return new VolleyError(
      "TIMEOUT",
      `no answer to ${JSON.stringify(what)} ${within}; the scheduler listens but does not answer`,
      { cause },
    );
  return cause;
}
