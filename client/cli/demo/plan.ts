/**
 * What the demo runs: three strategy families over one table of prices, as the JSON graph that the gateway takes. The
 * SDK runs the very same graph, compiled, so both submissions have the same content addresses.
 *
 *   sweep-<family>    one task per slice of the family's grid
 *   best-<family>     all of them → the best combinations in sample
 *   surface-<family>  all of them → the Sharpe ratio over two parameters
 *   equity-<family>   the best of best-<family>, bar by bar
 *   benchmark, equity-buy-and-hold, and verdict: everything together
 */
import type { JsonGraphInput } from "../../../proto/graph.js";

export interface DemoFamily {
  readonly name: "ma-cross" | "rsi-reversion" | "channel-breakout";
  readonly title: string;
  /** Values of every parameter, in the kernel's order. */
  readonly grid: Readonly<Record<string, readonly number[]>>;
  /** Values of each parameter in one task. */
  readonly slice: Readonly<Record<string, number>>;
  readonly allows: (parameters: Readonly<Record<string, number>>) => boolean;
}

const range = (from: number, to: number, step: number): number[] =>
  Array.from({ length: Math.floor((to - from) / step) + 1 }, (_, i) => from + i * step);

export const demoFamilies: readonly DemoFamily[] = [
  {
    name: "ma-cross",
    title: "Moving-average cross",
    grid: { fast: range(2, 80, 1), slow: range(10, 300, 2) },
    slice: { fast: 8, slow: 21 },
    allows: ({ fast = 0, slow = 0 }) => fast < slow,
  },
  {
    name: "rsi-reversion",
    title: "RSI reversion",
    grid: { period: range(2, 30, 1), lower: range(10, 44, 2), upper: range(50, 90, 2) },
    slice: { period: 1, lower: 9, upper: 21 },
    allows: ({ lower = 0, upper = 0 }) => lower < upper,
  },
  {
    name: "channel-breakout",
    title: "Channel breakout",
    grid: { entry: range(4, 200, 2), exit: range(2, 120, 2) },
    slice: { entry: 9, exit: 15 },
    allows: () => true,
  },
];

/** Fees 0.1 % and slippage 0.05 % each way. */
export const demoSettings = { fees: 0.001, slippage: 0.0005, inSampleEnd: "2012-12-31", periodsPerYear: 252 } as const;

/**
 * What traded less often in thirteen years in sample is not chosen: its figures are an anecdote. It still counts as a
 * trial.
 */
export const tradesMin = 10;

const cut = (values: readonly number[], size: number): number[][] =>
  Array.from({ length: Math.ceil(values.length / size) }, (_, i) => values.slice(i * size, (i + 1) * size));

/** Every choice of one element per list, the last list fastest. */
const product = <T>(lists: readonly (readonly T[])[]): T[][] =>
  lists.reduce<T[][]>((rows, list) => rows.flatMap((row) => list.map((item) => [...row, item])), [[]]);

const countIn = (family: DemoFamily, grid: Readonly<Record<string, readonly number[]>>): number => {
  const names = Object.keys(grid);
  return product(Object.values(grid)).filter((row) =>
    family.allows(Object.fromEntries(names.map((name, i) => [name, row[i] as number]))),
  ).length;
};

export const combinationsIn = (family: DemoFamily): number => countIn(family, family.grid);

/** The family's grid in slices that hold at least one combination. */
export function slicesOf(family: DemoFamily): Record<string, number[]>[] {
  const names = Object.keys(family.grid);
  const pieces = names.map((name) => cut(family.grid[name] as number[], family.slice[name] as number));
  return product(pieces)
    .map((row) => Object.fromEntries(names.map((name, i) => [name, row[i] as number[]])))
    .filter((slice) => countIn(family, slice) > 0);
}

type Stage = JsonGraphInput["stages"][number];

function familyStages(family: DemoFamily, prices: string): Stage[] {
  const { name } = family;
  const all = { stage: `sweep-${name}`, edge: "all" as const };
  return [
    {
      name: `sweep-${name}`,
      fn: { kernel: `sweep.${name.replaceAll("-", "_")}` },
      args: [{ object: prices }, { items: slicesOf(family) }, { value: demoSettings }],
    },
    {
      name: `best-${name}`,
      fn: { kernel: "sweep.select" },
      args: [all, { value: name }, { value: 10 }, { value: tradesMin }],
    },
    { name: `surface-${name}`, fn: { kernel: "sweep.surface" }, args: [all, { value: name }, { value: tradesMin }] },
    {
      name: `equity-${name}`,
      fn: { kernel: "sweep.equity" },
      args: [
        { object: prices },
        { value: name },
        { stage: `best-${name}`, edge: "broadcast" },
        { value: demoSettings },
      ],
    },
  ];
}

/** `prices`: the id of the table of daily bars. Every stage is an output, so the job's digest covers every number. */
export function sweepGraph(prices: string): JsonGraphInput {
  const names = demoFamilies.map((family) => family.name);
  const stages: Stage[] = [
    ...demoFamilies.flatMap((family) => familyStages(family, prices)),
    { name: "benchmark", fn: { kernel: "sweep.benchmark" }, args: [{ object: prices }, { value: demoSettings }] },
    {
      name: "equity-buy-and-hold",
      fn: { kernel: "sweep.equity" },
      args: [{ object: prices }, { value: "buy-and-hold" }, { value: {} }, { value: demoSettings }],
    },
    {
      name: "verdict",
      fn: { kernel: "sweep.verdict" },
      args: [
        { list: names.map((name) => ({ stage: `best-${name}`, task: 0 })) },
        { value: names },
        { stage: "benchmark", edge: "broadcast" },
        { value: demoSettings.periodsPerYear },
      ],
    },
  ];
  return { name: "sp500-sweep", stages, outputs: stages.map((stage) => stage.name) };
}
