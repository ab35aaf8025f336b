/** The errors both forms of Transport give, so that their messages agree. */
import { VolleyError } from "../errors.js";

export const noListener = (subject: string): VolleyError =>
  new VolleyError("NO_LISTENER", `nobody listens on ${subject}`);

export const timedOut = (subject: string, timeoutMs: number): VolleyError =>
  new VolleyError("TIMEOUT", `no answer from ${subject} within ${timeoutMs} ms`);

export const disconnected = (what: string): VolleyError =>
  new VolleyError("DISCONNECTED", `the connection to NATS was lost: ${what}`);

export const closed = (what: string): VolleyError =>
  new VolleyError("CLOSED", `the connection has been closed: ${what}`);

/** T3. */
export function checkPayload(subject: string, bytes: number, payloadBytesMax: number): void {
  if (bytes > payloadBytesMax) {
    throw new VolleyError(
      "TOO_LARGE",
      `message of ${bytes} bytes to ${subject} is over the server's limit of ${payloadBytesMax} bytes`,
    );
  }
}

/**
 * Without an `onError` a throwing handler ends the process as an uncaught error: it is a bug, and must not pass
 * unheard.
 */
export function throwUnheard(error: unknown): void {
  setImmediate(() => {
    throw error;
  });
}

export function joined(head: Uint8Array, body: Uint8Array): Uint8Array {
  const whole = new Uint8Array(head.byteLength + body.byteLength);
  whole.set(head);
  whole.set(body, head.byteLength);
  return whole;
}
