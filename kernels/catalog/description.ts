/** What is told of a kernel, as plain JSON: what the catalog lists, `volley kernels` prints, GET /v1/kernels gives. */
import type { CausalityFacts } from "./causality.js";

/** One column that a kernel reads or makes. `name` is the conventional one where parameters may choose another. */
export interface ColumnFact {
  readonly name: string;
  /** In words: `float64`, `number` (any float or integer), `date`, `text`, … */
  readonly type: string;
  readonly doc?: string;
}

export interface KernelDescription extends CausalityFacts {
  readonly name: string;
  readonly version: number;
  /** Earlier spellings of the name, which go on working. */
  readonly formerly?: readonly string[];
  readonly family: string;
  readonly doc: string;
  /** In the order of the wire, each with its JSON Schema; a table has `{}`. */
  readonly args: readonly { readonly name: string; readonly schema: unknown }[];
  readonly columns?: { readonly inputs: readonly ColumnFact[]; readonly outputs: readonly ColumnFact[] };
  /**
   * Bars before the current one that can touch an output, with the default parameters; absent where parameters are
   * required.
   */
  readonly lookback?: number | "unbounded";
  readonly lag?: number;
  readonly nulls?: string;
  readonly costNs?: number;
}
