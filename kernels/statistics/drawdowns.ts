/** The falls of an account from its peaks, each from the peak to the bar that is back at it. */

export interface Drawdown {
  /** The bar of the peak; -1 is the starting value, before the first bar. */
  readonly peak: number;
  readonly valley: number;
  /** The first bar back at the peak or above it; undefined if the series ends below. */
  readonly recovery: number | undefined;
  /** < 0: value at the valley / value at the peak - 1. */
  readonly depth: number;
}

/**
 * In the order of time. The account starts with 1 and compounds the returns; of a peak that is touched twice the later
 * bar counts.
 */
export function drawdownsOf(returns: ArrayLike<number>): Drawdown[] {
  const found: Drawdown[] = [];
  let value = 1;
  let high = 1;
  let peak = -1;
  let valley = -1;
  let depth = 0;
  const close = (recovery: number | undefined): void => {
    if (depth < 0) found.push({ peak, valley, recovery, depth });
    depth = 0;
  };
  for (let i = 0; i < returns.length; i++) {
    value *= 1 + (returns[i] as number);
    if (value >= high) {
      close(i);
      high = value;
      peak = i;
      continue;
    }
    const fall = value / high - 1;
    if (fall < depth) {
      depth = fall;
      valley = i;
    }
  }
  close(undefined);
  return found;
}
