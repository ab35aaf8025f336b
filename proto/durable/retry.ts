/** Carries an operation on JetStream through disconnects and restarts of the server, within a deadline. */

import { JetStreamApiError } from "@nats-io/jetstream";
import { isVolleyError, VolleyError } from "../errors.js";
import { sleep as delay, Timer } from "../timer.js";
import type { Transport } from "../transport/transport.js";

/** For one append, or one put or get of a small blob, with everything that may go wrong in between. */
export const deadlineMs = 60_000;
const backoffMsFirst = 25;
const backoffMsMax = 1_000;
/**
 * JetStream's codes for "no room": insufficient resources, storage exceeded, stream at its maximum bytes, account
 * limits.
 */
const noRoom: ReadonlySet<number> = new Set([10023, 10047, 10077, 10002, 10028]);

export interface RetryOptions {
  readonly transport: Transport;
  /** For messages: "append to the journal". */
  readonly what: string;
  /**
   * Give up on an attempt when the connection goes, instead of waiting for its timeout. Only for operations that may
   * safely overlap with their repetition.
   */
  readonly cutOnDisconnect: boolean;
  /** Of one attempt. */
  readonly attemptTimeoutMs: number;
  readonly deadlineMs?: number;
}

/**
 * Repeats until it succeeds, throws a VolleyError, or the deadline has passed (DISCONNECTED; the outcome of the last
 * attempt is unknown).
 */
export async function persist<T>(options: RetryOptions, attempt: () => Promise<T>): Promise<T> {
  const { transport, what } = options;
  const limitMs = options.deadlineMs ?? deadlineMs;
  const deadline = performance.now() + limitMs;
  let backoffMs = backoffMsFirst;
  let last: unknown;
  for (;;) {
    const remainingMs = deadline - performance.now();
    if (remainingMs <= 0) {
      throw new VolleyError(
        "DISCONNECTED",
        `${what} did not succeed within ${limitMs} ms; the last failure: ${last instanceof Error ? last.message : "no connection to NATS"}`,
        { cause: last },
      );
    }
    if (transport.status === "closed")
      throw new VolleyError("CLOSED", `${what}: the connection has been closed`, { cause: last });
    if (await isConnected(transport, remainingMs)) {
      try {
        return await bounded(attempt(), options, Math.min(options.attemptTimeoutMs, remainingMs));
      } catch (error) {
        if (isVolleyError(error)) throw error;
        if (error instanceof JetStreamApiError && noRoom.has(error.code))
          throw new VolleyError("OUT_OF_MEMORY", `${what}: JetStream has no room left: ${error.message}`, {
            cause: error,
          });
        last = error;
      }
      await delay(Math.min(backoffMs, Math.max(0, deadline - performance.now())));
      backoffMs = Math.min(backoffMs * 2, backoffMsMax);
    }
  }
}

/** Waits for the connection. False: it did not come in time, or is closed for good. */
function isConnected(transport: Transport, timeoutMs: number): Promise<boolean> {
  if (transport.status === "connected") return Promise.resolve(true);
  return new Promise((resolve) => {
    const settle = (connected: boolean): void => {
      timer.stop();
      stop();
      resolve(connected);
    };
    const timer = new Timer(() => settle(false), timeoutMs);
    const stop = transport.onStatus((status) => {
      if (status !== "disconnected") settle(status === "connected");
    });
  });
}

function bounded<T>(running: Promise<T>, options: RetryOptions, timeoutMs: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const settle = (end: () => void): void => {
      timer.stop();
      stop?.();
      end();
    };
    const timer = new Timer(
      () => settle(() => reject(new Error(`no answer within ${Math.round(timeoutMs)} ms`))),
      timeoutMs,
    );
    const stop = options.cutOnDisconnect
      ? options.transport.onStatus(() => settle(() => reject(new Error("the connection was lost"))))
      : undefined;
    running.then(
      (value) => settle(() => resolve(value)),
      (error: unknown) => settle(() => reject(error instanceof Error ? error : new Error(String(error)))),
    );
  });
}
