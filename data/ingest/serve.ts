/**
 * A disposable thread's side: one request at a time, answered by one message. Its heap is capped and its life may end
 * at any moment (thread-pool.ts).
 */
import { parentPort } from "node:worker_threads";
import { toWireError, type WireError } from "../../proto/errors.js";

/**
 * `refused`: the decoder said what is wrong. `broke`: something else threw; the thread is not to be trusted with
 * another request.
 */
export type ThreadReply<R> =
  | { readonly t: "done"; readonly result: R }
  | { readonly t: "refused"; readonly error: WireError }
  | { readonly t: "broke"; readonly message: string };

/** `answer` gives the result and which of its buffers move to the caller. */
export function serveThread<W, R>(answer: (work: W) => { result: R; transfer: ArrayBuffer[] }): void {
  const port = parentPort;
  port?.on("message", (work: W) => {
    try {
      const { result, transfer } = answer(work);
      port.postMessage({ t: "done", result } satisfies ThreadReply<R>, transfer);
    } catch (error) {
      const wire = toWireError(error);
      port.postMessage(
        (wire.code === "INTERNAL"
          ? { t: "broke", message: wire.message }
          : { t: "refused", error: wire }) satisfies ThreadReply<R>,
      );
    }
  });
}

/** What is moved must own its memory, and no more of it than its bytes. */
export function owned<T extends { readonly data: Uint8Array }>(result: T): { result: T; transfer: ArrayBuffer[] } {
  const { data } = result;
  const own = data.byteLength === data.buffer.byteLength ? data : data.slice();
  return { result: { ...result, data: own }, transfer: [own.buffer as ArrayBuffer] };
}
