/**
 * The features by their definitions, window by window, for the tests: slow, and with nothing in common with the
 * recurrences. Missing is NaN.
 */
type Column = readonly number[];
/** Parameters of all features, as the tests' arbitraries make them; a definition reads those of its own. */
export interface AnyParameters {
  readonly window: number;
  readonly minPeriods?: number;
  readonly fast?: number;
  readonly slow?: number;
  readonly signal?: number;
  readonly periods?: number;
  readonly limit?: number;
  readonly ddof?: number;
  readonly deviations?: number;
  readonly q: number;
  readonly scale?: number;
  readonly periodsPerYear: number;
  readonly seed?: string;
  readonly gaps?: string;
  readonly interpolation?: string;
  readonly method?: string;
  readonly smoothing?: string;
  readonly flat?: 0 | 100 | "null";
  readonly firstRange?: string;
  readonly returns?: string;
  readonly price?: string;
  readonly ascending?: boolean;
  readonly pct?: boolean;
  readonly bias?: boolean;
}
type Params = AnyParameters;
type Window = Pick<Params, "window" | "minPeriods">;

const present = (x: number): boolean => Number.isFinite(x);
const sum = (xs: Column): number => xs.reduce((a, b) => a + b, 0);
const mean = (xs: Column): number => sum(xs) / xs.length;
const deviations = (xs: Column, power: number): number => {
  const m = mean(xs);
  return sum(xs.map((x) => (x - m) ** power));
};
const variance = (xs: Column, ddof: number): number =>
  xs.length > ddof ? deviations(xs, 2) / (xs.length - ddof) : Number.NaN;
const ascending = (xs: Column): number[] => [...xs].sort((a, b) => a - b);

/** Of each bar: what `of` makes of the values present in the window, and of all of them. */
function windows(
  column: Column,
  { window, minPeriods = window }: Window,
  of: (values: number[], all: number[]) => number,
): number[] {
  return column.map((_, i) => {
    const all = column.slice(Math.max(0, i - window + 1), i + 1);
    const values = all.filter(present);
    return values.length >= minPeriods ? of(values, all) : Number.NaN;
  });
}

function quantile(xs: Column, q: number, interpolation: string): number {
  const sorted = ascending(xs);
  const at = (sorted.length - 1) * q;
  const below = sorted[Math.floor(at)] as number;
  const above = sorted[Math.ceil(at)] as number;
  if (interpolation === "lower") return below;
  if (interpolation === "higher") return above;
  if (interpolation === "midpoint") return (below + above) / 2;
  if (interpolation === "linear") return below + (above - below) * (at % 1);
  const nearest = at % 1 === 0.5 ? 2 * Math.round(at / 2) : Math.round(at);
  return sorted[nearest] as number;
}

function rank(x: number, xs: Column, { method, ascending: up, pct }: Params): number {
  const before = xs.filter((other) => (up ? other < x : other > x)).length;
  const equal = xs.filter((other) => other === x).length;
  const place = before + (method === "min" ? 1 : method === "max" ? equal : (equal + 1) / 2);
  return pct ? place / xs.length : place;
}

function shape(xs: Column, power: 3 | 4, bias: boolean): number {
  const n = xs.length;
  const g = (deviations(xs, power) / n / (deviations(xs, 2) / n) ** (power / 2)) as number;
  if (bias) return power === 3 ? g : g - 3;
  if (power === 3) return n < 3 ? Number.NaN : (g * Math.sqrt(n * (n - 1))) / (n - 2);
  return n < 4 ? Number.NaN : ((n - 1) / ((n - 2) * (n - 3))) * ((n + 1) * (g - 3) + 6);
}

/** Pairs of the window that are both present. */
function pairs(
  x: Column,
  y: Column,
  { window, minPeriods = window }: Window,
  of: (xs: number[], ys: number[]) => number,
): number[] {
  return x.map((_, i) => {
    const rows = x
      .slice(Math.max(0, i - window + 1), i + 1)
      .map((value, k) => [value, y[Math.max(0, i - window + 1) + k] as number] as const);
    const both = rows.filter(([a, b]) => present(a) && present(b));
    return both.length >= minPeriods
      ? of(
          both.map(([a]) => a),
          both.map(([, b]) => b),
        )
      : Number.NaN;
  });
}
const products = (xs: Column, ys: Column): number =>
  sum(xs.map((x, i) => (x - mean(xs)) * ((ys[i] as number) - mean(ys))));

/** The values present, through `of`, back at their bars. */
function onPresent(column: Column, of: (values: number[]) => number[]): number[] {
  const results = of(column.filter(present));
  let k = 0;
  return column.map((x) => (present(x) ? (results[k++] as number) : Number.NaN));
}

/** Exponential average of numbers of which leading ones may be NaN. */
function smooth(values: Column, k: number, window: number, seed: string): number[] {
  const start = values.findIndex(present);
  if (start < 0) return [...values];
  const head = values.slice(0, start);
  const xs = values.slice(start);
  if (seed === "sma" && xs.length < window) return values.map(() => Number.NaN);
  const out: number[] = [];
  xs.forEach((x, i) => {
    if (seed === "sma")
      out.push(
        i < window - 1
          ? Number.NaN
          : i === window - 1
            ? mean(xs.slice(0, window))
            : (out[i - 1] as number) * (1 - k) + x * k,
      );
    else if (seed === "first") out.push(i === 0 ? x : (out[i - 1] as number) * (1 - k) + x * k);
    else {
      const weights = xs.slice(0, i + 1).map((_, age) => (1 - k) ** (i - age));
      out.push(sum(weights.map((w, j) => w * (xs[j] as number))) / sum(weights));
    }
  });
  return [...head, ...out];
}

/** Weights by age in bars, the present ones divided by their sum: pandas' ignore_na=False, spelled out. */
function decaying(column: Column, k: number, { window, seed, minPeriods = window }: Params): number[] {
  const places = column.flatMap((x, i) => (present(x) ? [i] : []));
  let average = Number.NaN;
  let weight = 0;
  return column.map((x, i) => {
    const count = places.filter((place) => place <= i).length;
    if (!present(x)) {
      weight *= 1 - k;
      return Number.NaN;
    }
    const seeding = seed === "sma" && count <= window;
    const fresh = seed === "adjust" || count === 1 ? 1 : k;
    if (seeding) average = mean(places.slice(0, count).map((place) => column[place] as number));
    else average = count === 1 ? x : (weight * average + fresh * x) / (weight + fresh);
    weight = (seed === "adjust" ? weight + 1 : 1) * (1 - k);
    return count >= minPeriods && !(seeding && count < window) ? average : Number.NaN;
  });
}

const atLeast = (count: number, values: number[]): number[] =>
  values.map((value, i) => (i + 1 >= count ? value : Number.NaN));

function average(column: Column, k: number, params: Params): number[] {
  const { window, seed = "sma", gaps = "skip", minPeriods = window } = params;
  if (gaps === "decay") return decaying(column, k, { ...params, seed });
  return onPresent(column, (values) => atLeast(minPeriods, smooth(values, k, window, seed)));
}

function repeated(
  column: Column,
  { window, seed = "sma" }: Params,
  of: (e1: number, e2: number, e3: number) => number,
): number[] {
  const k = 2 / (window + 1);
  return onPresent(column, (values) => {
    const e1 = smooth(values, k, window, seed);
    const e2 = smooth(e1, k, window, seed);
    const e3 = smooth(e2, k, window, seed);
    return atLeast(
      window,
      e1.map((e, i) => of(e, e2[i] as number, e3[i] as number)),
    );
  });
}

function strength(column: Column, { window = 14, smoothing = "wilder", flat = 0 }: Params): number[] {
  return onPresent(column, (values) => {
    const change = values.slice(1).map((x, i) => x - (values[i] as number));
    const averaged = (xs: number[]): number[] =>
      smoothing === "sma" ? windows(xs, { window }, mean) : smooth(xs, 1 / window, window, "sma");
    const gains = averaged(change.map((c) => Math.max(c, 0)));
    const losses = averaged(change.map((c) => Math.max(-c, 0)));
    const still = flat === "null" ? Number.NaN : (flat as number);
    return [
      Number.NaN,
      ...gains.map((g, i) => (g + (losses[i] as number) === 0 ? still : (100 * g) / (g + (losses[i] as number)))),
    ].slice(0, values.length);
  });
}

function convergence(column: Column, { fast = 12, slow = 26, signal = 9, seed = "sma" }: Params): number[][] {
  const lines = [0, 1].map((which) =>
    onPresent(column, (values) => {
      const lead = seed === "sma" ? slow - fast : 0;
      const quick = [
        ...values.slice(0, lead).map(() => Number.NaN),
        ...smooth(values.slice(lead), 2 / (fast + 1), fast, seed),
      ];
      const line = smooth(values, 2 / (slow + 1), slow, seed).map((e, i) => (quick[i] as number) - e);
      return which === 0
        ? atLeast(slow, line)
        : atLeast(slow + signal - 1, smooth(line, 2 / (signal + 1), signal, seed));
    }),
  );
  const [line = [], trigger = []] = lines;
  return [line, trigger, line.map((value, i) => value - (trigger[i] as number))];
}

function trueRange(
  [high = [], low = [], close = []]: readonly Column[],
  { window = 14, smoothing = "wilder", firstRange = "skip" }: Params,
): number[] {
  const whole = close.map((c, i) =>
    present(c) && present(high[i] as number) && present(low[i] as number) ? i : Number.NaN,
  );
  return onPresent(whole, (rows) => {
    const ranges = rows.map((row, i) => {
      const h = high[row] as number;
      const l = low[row] as number;
      const before = close[rows[i - 1] as number] as number;
      return i === 0
        ? firstRange === "skip"
          ? Number.NaN
          : h - l
        : Math.max(h - l, Math.abs(h - before), Math.abs(l - before));
    });
    return smoothing === "sma" ? windows(ranges, { window }, mean) : smooth(ranges, 1 / window, window, "sma");
  });
}

const ago = (column: Column, bars: number): number[] =>
  column.map((_, i) => (i >= bars ? (column[i - bars] as number) : Number.NaN));
const through = (column: Column, of: (values: number[]) => number): number[] =>
  column.map((x, i) => (present(x) ? of(column.slice(0, i + 1).filter(present)) : Number.NaN));

function weightedPrice(
  [high = [], low = [], close = [], volume = [], session = []]: readonly Column[],
  params: Params,
  bySession = false,
): number[] {
  const { window, minPeriods = window, price = "typical" } = params;
  let last = Number.NaN;
  let sessions = 0;
  const day = close.map((_, i) => {
    const s = session[i] as number;
    if (present(s) && s !== last) {
      last = s;
      sessions++;
    }
    return sessions;
  });
  const rows = close.map((c, i) => ({
    value: (price === "typical" ? ((high[i] as number) + (low[i] as number) + c) / 3 : c) * (volume[i] as number),
    weight: volume[i] as number,
    day: day[i],
  }));
  return rows.map((row, i) => {
    const reach = bySession
      ? rows.slice(0, i + 1).filter((other) => other.day === row.day)
      : rows.slice(Math.max(0, i - window + 1), i + 1);
    const whole = reach.filter(({ value }) => present(value));
    const weight = sum(whole.map((other) => other.weight));
    if (bySession ? !present(row.value) : whole.length < minPeriods) return Number.NaN;
    return weight > 0 ? sum(whole.map((other) => other.value)) / weight : Number.NaN;
  });
}

function weighted(column: Column, params: Params): number[] {
  return windows(column, params, (_, all) => {
    const lead = params.window - all.length;
    const rows = all.map((x, i) => [x, lead + i + 1] as const).filter(([x]) => present(x));
    return sum(rows.map(([x, w]) => x * w)) / sum(rows.map(([, w]) => w));
  });
}

function filled(column: Column, limit = Number.POSITIVE_INFINITY): number[] {
  return column.map((_, i) => {
    const last = column.slice(0, i + 1).findLastIndex(present);
    return last >= 0 && i - last <= limit ? (column[last] as number) : Number.NaN;
  });
}

function bands(x: Column, p: Params): number[][] {
  const window = p.window ?? 20;
  const middle = windows(x, { ...p, window }, mean);
  const distance = windows(
    x,
    { ...p, window },
    (values) => (p.deviations ?? 2) * Math.sqrt(variance(values, p.ddof ?? 0)),
  );
  return [middle.map((m, i) => m + (distance[i] as number)), middle, middle.map((m, i) => m - (distance[i] as number))];
}

const spread = (values: Column, p: Params): number => Math.sqrt(variance(values, p.ddof ?? 1));
const returnsOf = (x: Column, kind = "simple", bars = 1): number[] =>
  x.map((value, i) =>
    kind === "log" ? Math.log(value / (x[i - bars] as number)) : value / (x[i - bars] as number) - 1,
  );

/**
 * Outputs with a unit of their own, neither none nor the inputs': the size against which their rounding counts. A slope
 * is at most the ratio of the spreads, however near to 0 it is itself.
 */
export const ownUnits: Readonly<Record<string, (params: Params, ...inputs: Column[]) => number[]>> = {
  rolling_beta: (p, x, y = []) => pairs(x, y, p, (xs, ys) => Math.sqrt(products(xs, xs) / products(ys, ys))),
};

export const definitions: Readonly<Record<string, (params: Params, ...inputs: Column[]) => number[][]>> = {
  sma: (p, x) => [windows(x, p, mean)],
  wma: (p, x) => [weighted(x, p)],
  ema: (p, x) => [average(x, 2 / (p.window + 1), p)],
  rma: (p, x) => [average(x, 1 / p.window, p)],
  dema: (p, x) => [repeated(x, p, (e1, e2) => 2 * e1 - e2)],
  tema: (p, x) => [repeated(x, p, (e1, e2, e3) => 3 * e1 - 3 * e2 + e3)],
  rolling_sum: (p, x) => [windows(x, p, sum)],
  rolling_mean: (p, x) => [windows(x, p, mean)],
  rolling_std: (p, x) => [windows(x, p, (values) => spread(values, p))],
  rolling_var: (p, x) => [windows(x, p, (values) => variance(values, p.ddof ?? 1))],
  rolling_min: (p, x) => [windows(x, p, (values) => Math.min(...values))],
  rolling_max: (p, x) => [windows(x, p, (values) => Math.max(...values))],
  rolling_zscore: (p, x) => [
    windows(x, p, (values, all) => ((all.at(-1) as number) - mean(values)) / spread(values, p)),
  ],
  rolling_skew: (p, x) => [windows(x, p, (values) => shape(values, 3, p.bias ?? false))],
  rolling_kurt: (p, x) => [windows(x, p, (values) => shape(values, 4, p.bias ?? false))],
  rolling_median: (p, x) => [windows(x, p, (values) => quantile(values, 0.5, "linear"))],
  rolling_quantile: (p, x) => [windows(x, p, (values) => quantile(values, p.q, p.interpolation ?? "linear"))],
  rolling_rank: (p, x) => [
    windows(x, p, (values, all) =>
      present(all.at(-1) as number)
        ? rank(all.at(-1) as number, values, { method: "average", ascending: true, ...p })
        : Number.NaN,
    ),
  ],
  rolling_corr: (p, x, y = []) => [
    pairs(x, y, p, (xs, ys) => products(xs, ys) / Math.sqrt(products(xs, xs) * products(ys, ys))),
  ],
  rolling_cov: (p, x, y = []) => [
    pairs(x, y, p, (xs, ys) =>
      xs.length > (p.ddof ?? 1) ? products(xs, ys) / (xs.length - (p.ddof ?? 1)) : Number.NaN,
    ),
  ],
  rolling_beta: (p, x, y = []) => [pairs(x, y, p, (xs, ys) => products(xs, ys) / products(ys, ys))],
  pct_change: (p, x) => [returnsOf(x, "simple", p.periods ?? 1)],
  log_return: (p, x) => [returnsOf(x, "log", p.periods ?? 1).map((r) => (present(r) ? r : Number.NaN))],
  diff: (p, x) => [x.map((value, i) => value - (ago(x, p.periods ?? 1)[i] as number))],
  shift: (p, x) => [ago(x, p.periods ?? 1)],
  cumsum: (_, x) => [through(x, sum)],
  cumprod: (_, x) => [through(x, (values) => values.reduce((a, b) => a * b, 1))],
  cummax: (_, x) => [through(x, (values) => Math.max(...values))],
  cummin: (_, x) => [through(x, (values) => Math.min(...values))],
  ffill: (p, x) => [filled(x, p.limit)],
  rsi: (p, x) => [strength(x, p)],
  macd: (p, x) => convergence(x, p),
  atr: (p, ...bars) => [trueRange(bars, p)],
  bollinger: (p, x) => bands(x, p),
  realized_volatility: (p, x) => [
    windows(returnsOf(x, p.returns), p, (values) => Math.sqrt(p.periodsPerYear) * spread(values, p)),
  ],
  vwap: (p, ...bars) => [weightedPrice(bars, p, true)],
  rolling_vwap: (p, ...bars) => [weightedPrice(bars, p)],
  volume_power: (p, buy, sell = []) => [
    pairs(buy, sell, { ...p, window: p.window ?? 20 }, (bought, sold) =>
      sum(sold) > 0 ? ((p.scale ?? 1) * sum(bought)) / sum(sold) : Number.NaN,
    ),
  ],
};
