/** What the two halves of a frame peer need of their connection, and the words they share. */

import { decodeMessage, encodeMessage } from "../codec.js";
import { fromWireError, isVolleyError, toWireError, VolleyError } from "../errors.js";
import { wireError } from "../messages/results.js";
import type { Runtime } from "../runtime.js";
import type { FrameType, Liveness } from "./frame.js";

export interface FrameLink {
  readonly runtime: Runtime;
  /** Payload bytes of one frame. */
  readonly frameBytes: number;
  post(to: string, type: FrameType, stream: string, offset: number, total: number, body?: Uint8Array): void;
  /** Resolves when everything posted before has left this process. */
  flush(): Promise<void>;
  /** Asks the other side; rejects as `Transport.request` does. */
  probe(to: string, stream: string, role: "receiver" | "sender"): Promise<Liveness>;
}

/**
 * A stream may send this much before it is given credit: small objects need no round trip, and many streams at once
 * stay bounded.
 */
export const firstCreditBytes = 256 * 1024;

/** The idle timeout is counted in ticks, not by the clock: a process that was busy itself must not judge its peers. */
export const idleTicksMax = 15;
/** From this many idle ticks on, the other side is probed. */
export const idleTicksProbe = 2;

export const encodeFailure = (error: VolleyError): Uint8Array => encodeMessage(toWireError(error));

export function decodeFailure(body: Uint8Array): VolleyError {
  try {
    return fromWireError(decodeMessage(wireError, body));
  } catch (error) {
    return isVolleyError(error)
      ? error
      : new VolleyError("CORRUPT", "the other side ended the stream with words that cannot be read", { cause: error });
  }
}

export const peerGone = (peer: string, stream: string): VolleyError =>
  new VolleyError("NO_LISTENER", `frame peer ${peer} has gone in the middle of stream ${stream}`);
export const peerForgot = (peer: string, stream: string): VolleyError =>
  new VolleyError("DISCONNECTED", `frame peer ${peer} no longer knows stream ${stream}; frames were lost`);
export const streamIdle = (stream: string, peer: string, bytes: number, total: number, ms: number): VolleyError =>
  new VolleyError("TIMEOUT", `stream ${stream} with ${peer} stood still for ${ms} ms at ${bytes} of ${total} bytes`);
