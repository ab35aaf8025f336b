/**
 * In the thread: refuses what the heap surely cannot take. One allocation far beyond the limit ends the process, not
 * only the thread.
 */
import { VolleyError } from "../../proto/errors.js";

/** First bytes of msgpack: an array with a length of 32 bits, and a number in 64. */
const array32 = 0xdd;
const float64 = 0xcb;
const headBytes = 5;
const elementBytes = 8;
/** Of a heap, for one array. */
const shareMax = 0.85;

/** Throws TASK_OUT_OF_MEMORY. */
export function assertFits(encoded: Uint8Array, heapBytes: number): void {
  if (encoded[0] !== array32 || encoded.byteLength <= headBytes) return;
  const { buffer, byteOffset } = encoded;
  const length = new DataView(buffer, byteOffset, headBytes).getUint32(1);
  // An array begins as one of small integers, and is copied once if its elements are other numbers.
  const bytes = length * elementBytes * (encoded[headBytes] === float64 ? 2 : 1);
  if (bytes <= shareMax * heapBytes) return;
  const [needed, there] = [bytes, heapBytes].map((n) => Math.ceil(n / 2 ** 20));
  throw new VolleyError(
    "TASK_OUT_OF_MEMORY",
    `an argument is an array of ${length} elements, which takes ${needed} MiB of a heap of ${there} (VOLLEY_THREAD_HEAP_BYTES); typed arrays and tables lie outside of it`,
  );
}
