/**
 * The bars of bench/peers/feature_bars.py, number for number: a walk in whole cents from a 32-bit xorshift. For the
 * tests.
 */
export const conformanceRows = 10_240;
const seed = 2463534242;
const otherSeed = 88675123;

type Walk = Readonly<Record<"open" | "high" | "low" | "close" | "volume", number[]>>;

function walk(from: number): Walk {
  let state = from >>> 0;
  const draw = (below: number): number => {
    state = (state ^ (state << 13)) >>> 0;
    state ^= state >>> 17;
    state = (state ^ (state << 5)) >>> 0;
    return state % below;
  };
  const out: Walk = { open: [], high: [], low: [], close: [], volume: [] };
  let last = 10_000;
  for (let i = 0; i < conformanceRows; i++) {
    const reach = Math.max(4, Math.floor(last / 64));
    const quarter = Math.floor(reach / 4);
    const half = Math.floor(reach / 2);
    let open = last + draw(2 * quarter + 1) - quarter;
    let close = Math.max(500, last + draw(2 * reach + 1) - reach);
    let high = Math.max(open, close) + draw(half + 1);
    let low = Math.max(100, Math.min(open, close) - draw(half + 1));
    const volume = 1_000 + draw(100_000);
    // A suspension: the price stands still.
    if (i % 1499 >= 700 && i % 1499 < 760) open = high = low = close = last;
    last = close;
    const bar = { open, high, low, close, volume };
    for (const name of Object.keys(out) as (keyof Walk)[]) out[name].push(bar[name]);
  }
  return out;
}

/** A series with gaps lacks runs of five, single bars and the first one; one with a late start its first bars. */
export type Gaps = "none" | "leading" | "some";
const isMissing: Readonly<Record<Gaps, (i: number) => boolean>> = {
  none: () => false,
  leading: (i) => i < 37,
  some: (i) => i % 997 < 5 || i % 89 === 0,
};

let walks: { first: Walk; second: Walk } | undefined;

const changeOf = (prices: Float64Array): Float64Array =>
  prices.map((x, i) => {
    const before = prices[i - 1] ?? Number.NaN;
    return (x - before) / before;
  });

/**
 * Columns by the names that features give their inputs, and others that the script's cells name; prices times scale.
 */
export function conformanceColumns(scale: number, gaps: Gaps): Readonly<Record<string, Float64Array>> {
  walks ??= { first: walk(seed), second: walk(otherSeed) };
  const { first, second } = walks;
  const column = (whole: readonly number[], of: (x: number) => number): Float64Array =>
    Float64Array.from(whole, (x, i) => (isMissing[gaps](i) ? Number.NaN : of(x)));
  const price = (cents: number): number => (cents / 100) * scale;
  const identity = (x: number): number => x;
  const close = column(first.close, price);
  const other = column(second.close, price);
  const volume = column(first.volume, identity);
  const start = close.findIndex((x) => !Number.isNaN(x));
  return {
    ...{
      value: close,
      x: close,
      asset: close,
      close,
      open: column(first.open, price),
      high: column(first.high, price),
      low: column(first.low, price),
    },
    ...{ y: other, market: other, volume, buy: volume, sell: column(second.volume, identity) },
    session: column(
      first.close.map((_, i) => Math.floor(i / 78)),
      identity,
    ),
    growth: column(
      first.close.map((cents, i) => cents / (first.close[i - 1] ?? cents)),
      identity,
    ),
    ...{ change: changeOf(close), otherChange: changeOf(other) },
    /** All but the first that is there. */
    later: close.map((x, i) => (i === start ? Number.NaN : x)),
  };
}
