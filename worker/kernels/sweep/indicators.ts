/** Indicators of the sweeps, each computed once per window and shared by every combination that reads it. NaN during warm-up. */

/**
 * Simple moving average. The sliding sum is compensated (Neumaier), so its error does not grow with the number of bars: it stays within
 * a few ulps of the sum of each window.
 */
export function simpleMovingAverage(values: Float64Array, window: number): Float64Array {
  const out = new Float64Array(values.length).fill(Number.NaN);
  let sum = 0;
  let lost = 0;
  const add = (x: number): void => {
    const total = sum + x;
    lost += Math.abs(sum) >= Math.abs(x) ? sum - total + x : x - total + sum;
    sum = total;
  };
  for (let i = 0; i < values.length; i++) {
    add(values[i] as number);
    if (i >= window) add(-(values[i - window] as number));
    if (i >= window - 1) out[i] = (sum + lost) / window;
  }
  return out;
}

/**
 * Relative strength index with Wilder's smoothing, as TA-Lib: the first averages are the means of the first p gains and losses, then
 * (average · (p - 1) + x) / p; 100 · g / (g + l); first output at bar p; 0 where nothing has moved.
 */
export function wilderRsi(close: Float64Array, period: number): Float64Array {
  const out = new Float64Array(close.length).fill(Number.NaN);
  let gain = 0;
  let loss = 0;
  for (let i = 1; i < close.length; i++) {
    const change = (close[i] as number) - (close[i - 1] as number);
    const up = Math.max(change, 0);
    const down = Math.max(-change, 0);
    if (i <= period) {
      gain += up;
      loss += down;
      if (i < period) continue;
      gain /= period;
      loss /= period;
    } else {
      gain = (gain * (period - 1) + up) / period;
      loss = (loss * (period - 1) + down) / period;
    }
    const moved = gain + loss;
    out[i] = moved === 0 ? 0 : (100 * gain) / moved;
  }
  return out;
}

/**
 * The highest (or lowest) of the `window` values before each bar, the bar itself not counted. A queue of candidates in order: every
 * value enters and leaves it once, whatever the window.
 */
export function extremeOfPrevious(values: Float64Array, window: number, which: "highest" | "lowest"): Float64Array {
  const out = new Float64Array(values.length).fill(Number.NaN);
  const sign = which === "highest" ? 1 : -1;
  const queue = new Int32Array(values.length);
  let head = 0;
  let tail = 0;
  for (let i = 0; i < values.length; i++) {
    if (head < tail && (queue[head] as number) < i - window) head++;
    if (i >= window) out[i] = values[queue[head] as number] as number;
    const value = sign * (values[i] as number);
    while (head < tail && sign * (values[queue[tail - 1] as number] as number) <= value) tail--;
    queue[tail++] = i;
  }
  return out;
}
