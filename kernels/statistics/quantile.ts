/** Quantiles of a sample. */

/** Ascending, in place; NaN is not allowed. */
export const sorted = (values: Float64Array): Float64Array => values.sort();

/**
 * The quantile of ascending values by linear interpolation (numpy's default, type 7 of Hyndman and Fan 1996). NaN of
 * none.
 */
export function quantileOf(ascending: Float64Array, probability: number): number {
  if (ascending.length === 0) return Number.NaN;
  const place = (ascending.length - 1) * probability;
  const below = Math.floor(place);
  const low = ascending[below] as number;
  const high = ascending[Math.min(below + 1, ascending.length - 1)] as number;
  return low === high ? low : low + (high - low) * (place - below);
}
