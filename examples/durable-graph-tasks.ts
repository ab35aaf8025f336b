/** What durable-graph.ts runs on the cluster. */
import { taskContext } from "volley";

/** Dice of a seeded generator: the same in every attempt, on every worker. */
export function roll(count: number): number[] {
  let state = Number(BigInt(taskContext().seed ?? 1) & 0xffff_ffffn) || 1;
  return Array.from({ length: count }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return 1 + (state % 6);
  });
}

export const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;
export const summary = (
  means: readonly number[],
  rolls: readonly number[][],
): { parts: number; rolls: number; mean: number } => ({
  parts: means.length,
  rolls: rolls.reduce((sum, part) => sum + part.length, 0),
  mean: mean(means),
});
