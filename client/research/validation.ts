/**
 * Validations as graphs that run on the cluster: stages, not loops. In JSON form, so the gateway takes the same graph.
 *
 *   splits      one task: the ranges of every split
 *   folds       one task per split: the grid on its training ranges, the best on its test ranges
 *   choices     all folds → what each split chose, a row per split
 *   paths       one task per path: its out-of-sample returns and account, bar by bar
 *   statistics  each path → its statistics
 *   report      everything → one row
 */
import { VolleyError } from "../../proto/errors.js";
import type { JsonGraphInput } from "../../proto/graph.js";

type Stage = JsonGraphInput["stages"][number];

/** What is validated: a strategy family of the sweep kernels over a grid of its parameters. */
export interface SweptStrategy {
  /**
   * Id of the table of daily bars, as `(await cluster.put(table)).id`: date, open, high, low, close, and adjclose if
   * there is one.
   */
  readonly prices: string;
  readonly family: "ma-cross" | "rsi-reversion" | "channel-breakout";
  /** Values of every parameter of the family, such as `{ fast: [5, 10], slow: [50, 100] }`. */
  readonly grid: Readonly<Record<string, readonly number[]>>;
  /** Fractions of the traded value and of the price, each way (defaults 0.001 and 0.0005). */
  readonly fees?: number;
  readonly slippage?: number;
  /** Default 252. */
  readonly periodsPerYear?: number;
  /** Combinations with fewer trades in training are not chosen (default 1); they still count as trials. */
  readonly tradesMin?: number;
  /** Name of the job. */
  readonly name?: string;
}

export interface WalkForward extends SweptStrategy {
  /** Number of splits, and of tasks. */
  readonly splits: number;
  /** Default "rolling". */
  readonly mode?: "rolling" | "expanding";
  /** Bars; the defaults are those of the kernel validation.walk_forward. */
  readonly train?: number;
  readonly test?: number;
  readonly purge?: number;
}

export interface CombinatorialPurged extends SweptStrategy {
  /** N groups of bars, of which k are the test set of a split: C(N, k) splits and C(N, k) k / N paths. */
  readonly groups: number;
  readonly testGroups: number;
  /** Bars that a label looks ahead, and bars left out behind a test range: at least the longest window of the grid. */
  readonly purge?: number;
  readonly embargo?: number;
}

const whole = (name: string, value: number, min: number, max: number): void => {
  if (!(Number.isInteger(value) && value >= min && value <= max))
    throw new VolleyError("INVALID_ARGUMENT", `${name} is ${value}; expected a whole number from ${min} to ${max}`, {
      details: { path: name },
    });
};

/** Those that are given. */
const given = (options: Readonly<Record<string, unknown>>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));

const costsOf = ({ fees, slippage, periodsPerYear = 252 }: SweptStrategy): Record<string, unknown> =>
  given({ fees, slippage, periodsPerYear });

function validationGraph(
  strategy: SweptStrategy,
  splits: Stage,
  splitCount: number,
  pathCount: number,
  name: string,
): JsonGraphInput {
  const { prices, family, grid, tradesMin, periodsPerYear = 252 } = strategy;
  const params = given({ family, grid, settings: costsOf(strategy), tradesMin });
  const folds = { stage: "folds", edge: "all" as const };
  const stages: Stage[] = [
    splits,
    {
      name: "folds",
      fn: { kernel: "validation.sweep_fold" },
      count: splitCount,
      args: [{ object: prices }, { stage: "splits", edge: "broadcast" }, { index: true }, { value: params }],
    },
    { name: "choices", fn: { kernel: "validation.choices" }, args: [folds] },
    { name: "paths", fn: { kernel: "validation.path" }, count: pathCount, args: [folds, { index: true }] },
    {
      name: "statistics",
      fn: { kernel: "stats.returns" },
      args: [{ stage: "paths", edge: "one-to-one" }, { value: { columns: ["return"], periodsPerYear } }],
    },
    {
      name: "report",
      fn: { kernel: "validation.report" },
      args: [
        { stage: "statistics", edge: "all" },
        { stage: "choices", edge: "broadcast" },
      ],
    },
  ];
  return { name: strategy.name ?? name, stages, outputs: ["report", "choices", "paths"] };
}

/**
 * Trains on the past, tests on what comes next, steps on. Outputs: `report` (one row), `choices` (a row per split) and
 * `paths`, the out-of-sample account bar by bar. Throws INVALID_ARGUMENT.
 */
export function walkForwardGraph(options: WalkForward): JsonGraphInput {
  const { prices, splits, mode, train, test, purge } = options;
  whole("splits", splits, 1, 10_000);
  const params = given({ splits, mode, train, test, purge });
  const stage: Stage = {
    name: "splits",
    fn: { kernel: "validation.walk_forward" },
    args: [{ object: prices }, { value: params }],
  };
  return validationGraph(options, stage, splits, 1, "walk-forward");
}

/** C(n, k). */
function choose(n: number, k: number): number {
  let count = 1;
  for (let i = 1; i <= Math.min(k, n - k); i++) count = (count * (n - i + 1)) / i;
  return Math.round(count);
}

/**
 * Combinatorial purged cross-validation: every choice of k of N groups is tested once, with parameters from the others.
 * Outputs: `report` (one row), `choices` (a row per split) and `paths`, an account bar by bar for each. Throws
 * INVALID_ARGUMENT.
 */
export function cpcvGraph(options: CombinatorialPurged): JsonGraphInput {
  const { prices, groups, testGroups, purge, embargo } = options;
  whole("groups", groups, 2, 1_000);
  whole("testGroups", testGroups, 1, groups - 1);
  const splits = choose(groups, testGroups);
  if (splits > 10_000)
    throw new VolleyError(
      "INVALID_ARGUMENT",
      `groups ${groups} and testGroups ${testGroups} give ${splits} splits, over the limit of 10000`,
    );
  const params = given({ groups, testGroups, purge, embargo });
  const stage: Stage = {
    name: "splits",
    fn: { kernel: "validation.cpcv" },
    args: [{ object: prices }, { value: params }],
  };
  return validationGraph(options, stage, splits, choose(groups - 1, testGroups - 1), "cpcv");
}

export interface Bootstrap {
  /** Id of the table of per-bar simple returns. */
  readonly returns: string;
  readonly columns?: readonly string[];
  readonly seed: number;
  readonly replicates: number;
  /** Tasks that share the replicates; whatever their number, the result is the same bit for bit. Default 16. */
  readonly tasks?: number;
  /** Mean block length in bars (default 10). */
  readonly meanBlock?: number;
  /** Of stats.returns; default mean, sharpe, cagr, maxDrawdown. */
  readonly statistics?: readonly string[];
  readonly periodsPerYear: number;
  /** Default 0.95. */
  readonly confidence?: number;
  readonly name?: string;
}

/** The stationary bootstrap, replicates shared by tasks, to a table of intervals. Throws INVALID_ARGUMENT. */
export function bootstrapGraph(options: Bootstrap): JsonGraphInput {
  const { returns, columns, seed, replicates, tasks = 16, meanBlock, statistics, periodsPerYear, confidence } = options;
  whole("replicates", replicates, 1, 10_000_000);
  whole("tasks", tasks, 1, replicates);
  const settings = given({ columns, seed, meanBlock, statistics, periodsPerYear });
  const items = Array.from({ length: tasks }, (_, i) => {
    const first = Math.floor((i * replicates) / tasks);
    return { ...settings, first, replicates: Math.floor(((i + 1) * replicates) / tasks) - first };
  });
  const stages: Stage[] = [
    { name: "replicates", fn: { kernel: "validation.bootstrap" }, args: [{ object: returns }, { items }] },
    {
      name: "intervals",
      fn: { kernel: "validation.bootstrap_interval" },
      args: [{ stage: "replicates", edge: "all" }, { value: given({ confidence }) }],
    },
  ];
  return { name: options.name ?? "bootstrap", stages, outputs: ["intervals"] };
}

export interface Overfitting extends Omit<SweptStrategy, "tradesMin"> {
  /** S, even (default 16): C(S, S/2) ways to choose which blocks are in sample. */
  readonly blocks?: number;
}

/**
 * The probability that the grid's best combination in sample is below the median out of sample (CSCV). One task per
 * value of the first parameter.
 */
export function overfittingGraph(options: Overfitting): JsonGraphInput {
  const { prices, family, grid, blocks } = options;
  const [first, ...rest] = Object.entries(grid);
  if (!first) throw new VolleyError("INVALID_ARGUMENT", "grid has no parameters");
  const [parameter, values] = first;
  const items = values.map((value) => ({
    family,
    grid: { [parameter]: [value], ...Object.fromEntries(rest) },
    settings: costsOf(options),
  }));
  const stages: Stage[] = [
    { name: "returns", fn: { kernel: "validation.sweep_returns" }, args: [{ object: prices }, { items }] },
    {
      name: "overfitting",
      fn: { kernel: "validation.pbo" },
      args: [{ stage: "returns", edge: "all" }, { value: given({ blocks }) }],
    },
  ];
  return { name: options.name ?? "overfitting", stages, outputs: ["overfitting"] };
}
