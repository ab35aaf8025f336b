/** The disposable thread: one request at a time, answered by one message. Its heap is capped and its life may end at any moment (ingest-pool.ts). */
import { parentPort } from "node:worker_threads";
import { toWireError, type WireError } from "../../proto/errors.js";
import { decode } from "./decode.js";
import type { Ingested, IngestOptions } from "./ingested.js";

export interface ThreadRequest {
  readonly bytes: Uint8Array;
  readonly options: IngestOptions;
}

/** `refused`: the decoder said what is wrong. `broke`: something else threw; the thread is not to be trusted with another request. */
export type ThreadReply =
  | { readonly t: "done"; readonly result: Ingested }
  | { readonly t: "refused"; readonly error: WireError }
  | { readonly t: "broke"; readonly message: string };

if (parentPort) {
  const port = parentPort;
  port.on("message", (request: ThreadRequest) => {
    const reply = answer(request);
    port.postMessage(reply, reply.t === "done" ? [reply.result.data.buffer as ArrayBuffer] : []);
  });
}

function answer({ bytes, options }: ThreadRequest): ThreadReply {
  try {
    const result = decode(bytes, options);
    const { data } = result;
    // What is transferred must own its memory, and no more of it than its bytes.
    return { t: "done", result: data.byteLength === data.buffer.byteLength ? result : { ...result, data: data.slice() } };
  } catch (error) {
    const wire = toWireError(error);
    return wire.code === "INTERNAL" ? { t: "broke", message: wire.message } : { t: "refused", error: wire };
  }
}
