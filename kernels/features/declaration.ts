/**
 * What is declared of a feature: one recurrence over a flat state of float64 that holds everything, its parameters
 * included, and appends bars.
 *
 * Batch is one run over all bars, stream is a run per bar, and a partition hands its state to the next: all three do
 * the same operations in the same order, so they agree bit for bit. A WebAssembly form has the same signature over
 * pointers.
 *
 * F1  `run` reads bars [from, to) of the inputs and nothing outside them; what it needs of earlier bars is in the
 * state. F2  A missing value (null, NaN or ±infinity) is NaN inside; an output that is not defined is NaN and becomes
 * null (wire.ts).
 */
import type { z } from "zod";

type Names = readonly string[];
type Columns<N extends Names> = { readonly [K in keyof N]: Float64Array };

/**
 * An export of features.wasm: the build writes it as a call of a loop of kernels/wasm/assembly, with one of the
 * constants beside that loop. Features of one form share it.
 */
export interface WasmExport {
  readonly exportName: string;
  readonly loop: string;
  /** The loop's first argument; of loops that have but one form absent. */
  readonly kind?: string;
}

export interface FeatureDeclaration<P extends z.ZodObject, I extends Names = Names, O extends Names = Names> {
  /** Without the prefix `feature.`. */
  readonly name: string;
  readonly version: number;
  /** Shapes, units and the source of the convention; ends with a full stop. */
  readonly doc: string;
  readonly family: string;
  /** A strict object: every option named, with default and `.describe()`. */
  readonly parameters: P;
  /**
   * `["value"]` for a feature of one column, which can be applied to many; else the conventional names of its columns.
   */
  readonly inputs: I;
  /** Inputs that may be left out; they are then missing on every bar. Others must be in the table. */
  readonly optionalInputs?: readonly I[number][];
  readonly outputs: O;
  /** How many bars before the current one touch an output; Infinity for a recurrence that never forgets. */
  lookback(params: z.output<P>): number;
  readonly nulls: string;
  readonly costNs: number;
  /** The state before the first bar, with the parameters in it. Its length depends on the parameters only. */
  create(params: z.output<P>): Float64Array;
  /** Appends bars [from, to): writes the same range of every output and advances the state. */
  run(state: Float64Array, inputs: Columns<I>, from: number, to: number, outputs: Columns<O>): void;
  /** Its form in WebAssembly, many columns to a call. */
  readonly wasm?: WasmExport;
}
