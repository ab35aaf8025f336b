/**
 * The worker's one shared memory: reserved up to 4 GiB, committed as touched, seen by every thread and by WebAssembly
 * kernels.
 */

/** A shared `WebAssembly.Memory`, as far as Volley uses it. */
export interface SharedMemory {
  readonly buffer: SharedArrayBuffer;
  /** Returns the size before, in pages. */
  grow(pages: number): number;
}

export const pageBytes = 65_536;
export const memoryPagesMax = 65_536;

const wasm = (
  globalThis as unknown as {
    WebAssembly: { Memory: new (descriptor: { initial: number; maximum: number; shared: true }) => SharedMemory };
  }
).WebAssembly;

export const createSharedMemory = (initialPages = 16): SharedMemory =>
  new wasm.Memory({ initial: initialPages, maximum: memoryPagesMax, shared: true });
