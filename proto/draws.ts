/**
 * Which places in a seed's sequence tasks take. Two tasks of one seed never take the same place, whatever way they were
 * submitted: in one tick or one after the other, as a map or as single calls, as one stage of a graph or as several.
 */
import type { FunctionRef, StageOptions, StageSpec } from "./messages/stage.js";

/** The options of a stage whose tasks take the places from `first` on. */
export const drawing = (options: StageOptions, first: number): StageOptions =>
  options.seed === undefined || first === 0 ? options : { ...options, seedFrom: first };

const nameOf = (fn: FunctionRef): string =>
  "kernel" in fn ? `${fn.kernel}@${fn.version}` : `${fn.bundle}:${fn.export}`;

/**
 * Stages of one function and seed take one place after the other, in the order of the graph: so the same graph has the
 * same draws.
 */
export function withDraws(stages: readonly StageSpec[]): StageSpec[] {
  const taken = new Map<string, number>();
  return stages.map((stage) => {
    const { fn, options, count } = stage;
    if (options.seed === undefined) return stage;
    const name = `${nameOf(fn)}:${options.seed}`;
    const first = taken.get(name) ?? 0;
    taken.set(name, first + count);
    return { ...stage, options: drawing(options, first) };
  });
}
