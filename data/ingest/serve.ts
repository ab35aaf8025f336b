/**
 * A disposable thread's side: one request at a time, answered by one reply. Its heap is capped and its life may end at
 * any moment (thread-pool.ts).
 */
import { move, transferableSymbol, valueSymbol } from "piscina";
import { toWireError, type WireError } from "../../proto/errors.js";

/** `refused`: the decoder said what is wrong. Anything else that is thrown ends the thread. */
export type ThreadReply<R> =
  | { readonly t: "done"; readonly result: R }
  | { readonly t: "refused"; readonly error: WireError };

/** `decode` gives the result and which of its buffers move to the caller. To be exported as `answer`. */
export function answering<W, R>(decode: (work: W) => { result: R; transfer: ArrayBuffer[] }): (work: W) => unknown {
  return (work) => {
    try {
      const { result, transfer } = decode(work);
      const reply: ThreadReply<R> = { t: "done", result };
      return move({ [transferableSymbol]: transfer, [valueSymbol]: reply } as never);
    } catch (error) {
      const wire = toWireError(error);
      if (wire.code === "INTERNAL") throw new Error(wire.message);
      return { t: "refused", error: wire } satisfies ThreadReply<R>;
    }
  };
}

/** What is moved must own its memory, and no more of it than its bytes. */
export function owned<T extends { readonly data: Uint8Array }>(result: T): { result: T; transfer: ArrayBuffer[] } {
  const { data } = result;
  const own = data.byteLength === data.buffer.byteLength ? data : data.slice();
  return { result: { ...result, data: own }, transfer: [own.buffer as ArrayBuffer] };
}
