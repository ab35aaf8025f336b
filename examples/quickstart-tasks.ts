/** What quickstart.ts runs on the cluster: plain functions, exported. */
export function simulate(lookback: number, prices: readonly number[]): { lookback: number; gain: number } {
  let gain = 0;
  for (let day = lookback; day + 1 < prices.length; day++) {
    const rising = (prices[day] ?? 0) > (prices[day - lookback] ?? 0);
    if (rising) gain += Math.log((prices[day + 1] ?? 1) / (prices[day] ?? 1));
  }
  return { lookback, gain };
}

export const best = (runs: readonly { lookback: number; gain: number }[]): { lookback: number; gain: number } =>
  runs.reduce((a, b) => (b.gain > a.gain ? b : a));
