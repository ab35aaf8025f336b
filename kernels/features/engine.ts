/** Where a faster form of the features plugs in. Without one the TypeScript form runs: same operations, same bits. */

import type { Validity } from "../columns/building.js";

/** One application of a feature: its state, which the run advances, and its input columns. */
export interface FeatureGroup {
  readonly state: Float64Array;
  readonly inputs: readonly Float64Array[];
}

export interface FeatureEngine {
  /**
   * Appends `rows` bars to every group and returns the outputs of each; undefined if it does not have this export,
   * nothing changed.
   */
  run(exportName: string, outputs: number, groups: readonly FeatureGroup[], rows: number): Float64Array[][] | undefined;
  /**
   * Where results have values, as of a column that is NaN elsewhere; NaN is set to 0. Undefined for values that it does
   * not hold.
   */
  validity?(values: Float64Array): Validity | undefined;
  /** The caller is done with all results so far; an engine that lends its memory for them takes it back. */
  renew?(): void;
}

let current: FeatureEngine | undefined;

export const engineOf = (): FeatureEngine | undefined => current;

/** For this thread, from now on; undefined takes it away. */
export function setEngine(engine: FeatureEngine | undefined): void {
  current = engine;
}
