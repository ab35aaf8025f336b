/**
 * In the thread: the WebAssembly engine of the features, on the region of the worker's memory that is the slot's. It is
 * opened when the first feature runs.
 *
 * A run of a kernel borrows its results from that region, for they are encoded before the next task begins. User code
 * gets results of its own, since it may keep them.
 */
import type { Validity } from "../../kernels/columns/building.js";
import { type FeatureEngine, type FeatureGroup, setEngine } from "../../kernels/features/engine.js";
import { openWasmEngine, type Region, regionBytesMin, type WasmEngine } from "../../kernels/wasm/engine.js";
import type { SharedMemory } from "../store/memory.js";

/** Room for the results of one task; larger ones are copied. */
const resultBytes = 32 * 1024 * 1024;
const slotBytes = Math.ceil((regionBytesMin + resultBytes) / 64) * 64;
const allBytesMax = 512 * 1024 * 1024;

/** What a worker of so many slots reserves for kernels; with many slots none, and kernels then copy. */
export const kernelBytes = (slots: number): number => (slots * slotBytes <= allBytesMax ? slots * slotBytes : 0);

/** One region per slot; none if there is not enough room for all. */
export function regionsOf(reserved: Region | undefined, slots: number): Region[] {
  if (!reserved || reserved.bytes < slots * slotBytes) return [];
  return Array.from({ length: slots }, (_, i) => ({ offset: reserved.offset + i * slotBytes, bytes: slotBytes }));
}

export class SlotEngine implements FeatureEngine {
  readonly #place: { memory: SharedMemory; region: Region } | undefined;
  /** null: there is no WebAssembly here. */
  #engine: WasmEngine | null | undefined;
  lends = false;

  /** Without a region it works on memory of its own. */
  constructor(memory: SharedMemory | null, region: Region | undefined) {
    this.#place = memory && region ? { memory, region } : undefined;
  }

  /** A run begins: features use this engine. */
  enter(isKernel: boolean): void {
    this.lends = isKernel;
    setEngine(this);
  }

  /** Results lent so far are gone. */
  renew(): void {
    if (this.lends) this.#engine?.lend();
  }

  run(
    exportName: string,
    outputs: number,
    groups: readonly FeatureGroup[],
    rows: number,
  ): Float64Array[][] | undefined {
    if (this.#engine === undefined) {
      this.#engine = openWasmEngine(this.#place) ?? null;
      this.renew();
    }
    if (!this.lends) this.#engine?.own();
    return this.#engine?.run(exportName, outputs, groups, rows);
  }

  validity(values: Float64Array): Validity | undefined {
    return this.#engine?.validity(values);
  }
}
