/**
 * The features' hot loops in WebAssembly, on one shared memory: the engine of features/engine.ts.
 *
 * It owns a region of that memory: pointer tables, states and working space of the running group of columns, room to
 * copy what does not lie in the memory, and an arena for results. Columns that lie in the memory are read where they
 * are. The module itself allocates nothing and has no static data (engine.test.ts), so it touches only what it is
 * pointed to.
 *
 * W1  Same bits as the TypeScript form, states included: a carry may change over between the two at any bar.
 * W2  Results are copied out unless they are lent. Lent results lie in the arena and are gone with the next `lend`: for
 * a caller that is done
 *     with them by then, such as a thread that encodes a kernel's result before it runs the next.
 */
import { readFileSync } from "node:fs";
import type { SharedMemory } from "../../worker/store/memory.js";
import type { Validity } from "../columns/building.js";
import type { FeatureEngine, FeatureGroup } from "../features/engine.js";

/** Of the memory, for this engine alone. Offset a multiple of 64. */
export interface Region {
  readonly offset: number;
  readonly bytes: number;
}

type Loop = (count: number, states: number, inputs: number, rows: number, outputs: number, scratch: number) => void;

interface WasmApi {
  Module: new (bytes: Uint8Array) => object;
  Instance: new (
    module: object,
    imports: { env: { memory: SharedMemory } },
  ) => { exports: Readonly<Record<string, unknown>> };
  Memory: new (descriptor: { initial: number; maximum: number; shared: true }) => SharedMemory;
}
const wasm = (globalThis as unknown as { WebAssembly: WasmApi }).WebAssembly;

/** Columns that go through one call. */
const columnsMax = 8;
const seriesMax = 4 * columnsMax;
const tableBytes = 4 * seriesMax;
const tablesBytes = 1024;
const scratchBytes = 160 * 1024;
/**
 * Fewer where the inputs and outputs of one are more than three; an even number, because the loops take two at a time.
 */
const columnsOf = (series: number): number =>
  series <= 3 ? columnsMax : Math.min(columnsMax / 2, Math.floor(seriesMax / series) & ~1);
/**
 * A larger state, of a window of some thousand bars, is left to the TypeScript form: it no longer fits the caches
 * anyway.
 */
const stateBytesMax = 48 * 1024;
const statesBytes = columnsMax * stateBytesMax;
/**
 * Bars that are copied in and out at a time; an odd number of cache lines, so that series do not fall on the same sets.
 */
const stageRows = 4096;
const stageBytes = stageRows * 8 + 5 * 64;
/** Rows whose bits are made in the scratch space at a time. */
const markedRows = 8 * scratchBytes;
/** Below this many bars the calls cost more than they save. */
const rowsMin = 32;

/** What a region must have; more is the arena. */
export const regionBytesMin = tablesBytes + scratchBytes + statesBytes + seriesMax * stageBytes;

let compiled: object | undefined;

/** The module, compiled once per thread; undefined where it was not built or cannot run. */
function moduleOf(): object | undefined {
  try {
    compiled ??= new wasm.Module(readFileSync(new URL("./features.wasm", import.meta.url)));
    return compiled;
  } catch {
    return undefined;
  }
}

const pageBytes = 65_536;

/**
 * An engine on `memory` (without one, on a memory of its own); undefined where WebAssembly is missing: the TypeScript
 * forms then do the work.
 */
export function openWasmEngine(place?: {
  readonly memory: SharedMemory;
  readonly region: Region;
}): WasmEngine | undefined {
  const module = moduleOf();
  if (!module) return undefined;
  if (place) return new WasmEngine(module, place.memory, place.region);
  // The module expects the store's maximum; of that only what is used is ever committed.
  const pages = Math.ceil((regionBytesMin + ownArenaBytes) / pageBytes) + 1;
  return new WasmEngine(module, new wasm.Memory({ initial: pages, maximum: 65_536, shared: true }), {
    offset: pageBytes,
    bytes: (pages - 1) * pageBytes,
  });
}

const ownArenaBytes = 32 * 1024 * 1024;

/** States are short: a loop is quicker than a call of `set`, and views for it. */
function copyCells(from: Float64Array, at: number, to: Float64Array, start: number, count: number): void {
  for (let i = 0; i < count; i++) to[start + i] = from[at + i] as number;
}

export class WasmEngine implements FeatureEngine {
  readonly #memory: SharedMemory;
  readonly #loops: Readonly<Record<string, unknown>>;
  readonly #tables: number;
  readonly #scratch: number;
  readonly #states: number;
  readonly #stage: number;
  readonly #arena: Region;
  /**
   * Every buffer this memory has shown: it has another object after it has grown, and columns may still refer to the
   * older.
   */
  readonly #buffers = new WeakSet<object>();
  #bytes: Uint32Array<ArrayBufferLike> = new Uint32Array(0);
  #octets: Uint8Array<ArrayBufferLike> = new Uint8Array(0);
  #floats: Float64Array<ArrayBufferLike> = new Float64Array(0);
  /** undefined: results are copied. */
  #lentBytes: number | undefined;

  constructor(module: object, memory: SharedMemory, { offset, bytes }: Region) {
    if (bytes < regionBytesMin || offset % 64 !== 0)
      throw new RangeError(`region of ${bytes} bytes at ${offset}: at least ${regionBytesMin} at a multiple of 64`);
    this.#memory = memory;
    this.#loops = new wasm.Instance(module, { env: { memory } }).exports;
    this.#tables = offset;
    this.#scratch = this.#tables + tablesBytes;
    this.#states = this.#scratch + scratchBytes;
    this.#stage = this.#states + statesBytes;
    this.#arena = { offset: offset + regionBytesMin, bytes: bytes - regionBytesMin };
  }

  get memory(): SharedMemory {
    return this.#memory;
  }

  /** From now on results lie in the arena as far as it reaches, and those that were lent before are gone. */
  lend(): void {
    this.#lentBytes = 0;
  }

  /** From now on every result is the caller's own. */
  own(): void {
    this.#lentBytes = undefined;
  }

  run(
    exportName: string,
    outputs: number,
    groups: readonly FeatureGroup[],
    rows: number,
  ): Float64Array[][] | undefined {
    const loop = this.#loops[exportName] as Loop | undefined;
    const [first] = groups;
    if (!loop || !first || rows < rowsMin || first.state.byteLength > stateBytesMax) return undefined;
    this.#see();
    const results: Float64Array[][] = [];
    const columns = columnsOf(first.inputs.length + outputs);
    for (let from = 0; from < groups.length; from += columns)
      this.#runGroup(loop, outputs, groups, from, Math.min(from + columns, groups.length), rows, results);
    return results;
  }

  validity(values: Float64Array): Validity | undefined {
    this.#see();
    if (!this.#holds(values)) return undefined;
    const mark = this.#loops.validity as (values: number, rows: number, bits: number) => number;
    const nullBitmap = new Uint8Array((values.length + 7) >> 3);
    let nullCount = 0;
    for (let row = 0; row < values.length; row += markedRows) {
      const rows = Math.min(markedRows, values.length - row);
      nullCount += mark(values.byteOffset + row * 8, rows, this.#scratch);
      nullBitmap.set(this.#octets.subarray(this.#scratch, this.#scratch + ((rows + 7) >> 3)), row >> 3);
    }
    return { nullCount, nullBitmap };
  }

  /** Views of the memory as it is now. */
  #see(): void {
    const { buffer } = this.#memory;
    if (this.#floats.buffer === buffer) return;
    this.#buffers.add(buffer);
    this.#bytes = new Uint32Array(buffer);
    this.#octets = new Uint8Array(buffer);
    this.#floats = new Float64Array(buffer);
  }

  /** Plain loops: with a hundred columns of ten thousand bars, what happens per column is a tenth of the time. */
  #runGroup(
    loop: Loop,
    outputs: number,
    groups: readonly FeatureGroup[],
    from: number,
    to: number,
    rows: number,
    results: Float64Array[][],
  ): void {
    const stateBytes = groups[0]?.state.byteLength ?? 0;
    const inputs: Float64Array[] = [];
    const flat: Float64Array[] = [];
    let copied = false;
    for (let c = from; c < to; c++) {
      const group = groups[c] as FeatureGroup;
      const at = this.#states + (c - from) * stateBytes;
      this.#point(0, c - from, at);
      copyCells(group.state, 0, this.#floats, at / 8, group.state.length);
      for (const input of group.inputs) {
        copied ||= !this.#holds(input);
        inputs.push(input);
      }
      const own: Float64Array[] = [];
      for (let k = 0; k < outputs; k++) {
        const result = this.#result(rows);
        copied ||= !this.#holds(result);
        own.push(result);
        flat.push(result);
      }
      results.push(own);
    }
    if (copied)
      for (let row = 0; row < rows; row += stageRows)
        this.#runRows(loop, to - from, inputs, flat, row, Math.min(stageRows, rows - row));
    else {
      for (let i = 0; i < inputs.length; i++) this.#point(1, i, (inputs[i] as Float64Array).byteOffset);
      for (let i = 0; i < flat.length; i++) this.#point(2, i, (flat[i] as Float64Array).byteOffset);
      loop(to - from, this.#tables, this.#tables + tableBytes, rows, this.#tables + 2 * tableBytes, this.#scratch);
    }
    for (let c = from; c < to; c++) {
      const { state } = groups[c] as FeatureGroup;
      copyCells(this.#floats, (this.#states + (c - from) * stateBytes) / 8, state, 0, state.length);
    }
  }

  #runRows(
    loop: Loop,
    count: number,
    inputs: readonly Float64Array[],
    outputs: readonly Float64Array[],
    from: number,
    rows: number,
  ): void {
    const staged = (series: number): number => this.#stage + series * stageBytes;
    inputs.forEach((input, i) => {
      if (this.#holds(input)) this.#point(1, i, input.byteOffset + from * 8);
      else {
        this.#floats.set(input.subarray(from, from + rows), staged(i) / 8);
        this.#point(1, i, staged(i));
      }
    });
    outputs.forEach((output, i) => {
      this.#point(2, i, this.#holds(output) ? output.byteOffset + from * 8 : staged(inputs.length + i));
    });
    loop(count, this.#tables, this.#tables + tableBytes, rows, this.#tables + 2 * tableBytes, this.#scratch);
    outputs.forEach((output, i) => {
      if (this.#holds(output)) return;
      const at = staged(inputs.length + i) / 8;
      output.set(this.#floats.subarray(at, at + rows), from);
    });
  }

  #point(table: number, index: number, address: number): void {
    this.#bytes[(this.#tables + table * tableBytes) / 4 + index] = address;
  }

  #holds(column: Float64Array): boolean {
    return column.buffer === this.#floats.buffer || this.#buffers.has(column.buffer);
  }

  /**
   * Room for a column of results: lent, or not yet written memory of the caller's own, all of which will be written.
   */
  #result(rows: number): Float64Array {
    if (this.#lentBytes !== undefined) {
      const bytes = rows * 8;
      const at = this.#lentBytes;
      // As for stages: not a multiple of what the caches' sets repeat at.
      const next = at + Math.ceil(bytes / 64) * 64 + 5 * 64;
      if (next <= this.#arena.bytes) {
        this.#lentBytes = next;
        return new Float64Array(this.#memory.buffer, this.#arena.offset + at, rows);
      }
    }
    return new Float64Array(Buffer.allocUnsafeSlow(rows * 8).buffer);
  }
}
