/** The errors both forms of Transport give, so that their messages agree. */
import { VolleyError } from "../errors.js";

export const noListener = (subject: string): VolleyError => new VolleyError("NO_LISTENER", `nobody listens on ${subject}`);

export const timedOut = (subject: string, timeoutMs: number): VolleyError => new VolleyError("TIMEOUT", `no answer from ${subject} within ${timeoutMs} ms`);

export const disconnected = (what: string): VolleyError => new VolleyError("DISCONNECTED", `the connection to NATS was lost: ${what}`);

export const closed = (what: string): VolleyError => new VolleyError("CLOSED", `the connection has been closed: ${what}`);

/** T3. */
export function checkPayload(subject: string, data: Uint8Array, payloadBytesMax: number): void {
  if (data.byteLength > payloadBytesMax) {
    throw new VolleyError("TOO_LARGE", `message of ${data.byteLength} bytes to ${subject} is over the server's limit of ${payloadBytesMax} bytes`);
  }
}

/** Without an `onError` a throwing handler ends the process as an uncaught error: it is a bug, and must not pass unheard. */
export function throwUnheard(error: unknown): void {
  setImmediate(() => {
    throw error;
  });
}
