import { Table, tableToIPC, type Vector } from "apache-arrow";
import { describe, expect, it } from "vitest";
import { float64Column } from "../columns/reading.js";
import { requireKernel } from "../registry.js";
import { faultOf, rowsOf, tableOf } from "../statistics/testing/statistics-oracle.js";
import { barsOf } from "../sweep/bars.js";
import { realPrices } from "../sweep/testing/real-prices.js";

const columns = (table: Table): Record<string, Vector> =>
  Object.fromEntries(table.schema.fields.map(({ name }) => [name, table.getChild(name) as Vector]));

const bytes = (table: Table): string => Buffer.from(tableToIPC(table)).toString("base64");

interface Fold {
  choice: Table;
  returns: Table;
}
const prices = realPrices().slice(0, 1_200);
const bars = barsOf(prices);
const grid = { fast: [20, 5, 10], slow: [50, 30, 20] };
const params = { family: "ma-cross", grid, settings: { fees: 0.001, slippage: 0.0005 } };
const run = (kernel: string, ...args: unknown[]): unknown => requireKernel(kernel, 1).run(...args);
const fold = (splits: Table, split: number, more: Record<string, unknown> = {}): Fold =>
  run("validation.sweep_fold", prices, splits, split, { ...params, ...more }) as Fold;
const cpcv = run("validation.cpcv", prices, { groups: 5, testGroups: 2, embargo: 50 }) as Table;
const folds = Array.from({ length: 10 }, (_, split) => fold(cpcv, split));

/**
 * The account of one range by the definition, bar by bar: averages summed anew, nothing shared with the kernel but the
 * prices.
 */
function returnsByHand(fast: number, slow: number, from: number, to: number): number[] {
  const average = (bar: number, window: number): number =>
    bar < window - 1
      ? Number.NaN
      : bars.close.subarray(bar - window + 1, bar + 1).reduce((sum, x) => sum + x, 0) / window;
  let [cash, shares] = [1, 0];
  const out: number[] = [];
  let before = 1;
  for (let bar = Math.max(from, 1); bar < to; bar++) {
    const [quick, calm] = [average(bar - 1, fast), average(bar - 1, slow)];
    const open = bars.open[bar] as number;
    if (shares === 0 && quick > calm) {
      shares = cash / 1.001 / (open * 1.0005);
      cash = 0;
    } else if (shares > 0 && quick < calm) {
      cash = shares * open * 0.9995 * 0.999;
      shares = 0;
    }
    const value = cash + shares * (bars.close[bar] as number);
    out.push(value / before - 1);
    before = value;
  }
  return out;
}
function sharpeOf(returns: readonly number[]): number {
  const mean = returns.reduce((sum, r) => sum + r, 0) / returns.length;
  return (
    (mean / Math.sqrt(returns.reduce((sum, r) => sum + (r - mean) ** 2, 0) / (returns.length - 1))) * Math.sqrt(252)
  );
}
const rangesOf = (split: number, set: string): { from: number; to: number }[] =>
  rowsOf(cpcv).filter((row) => row.split === split && row.set === set) as unknown as { from: number; to: number }[];

describe("validation.sweep_fold", () => {
  it("chooses by the training ranges alone and trades the test ranges, as the definition does bar by bar", () => {
    for (const split of [0, 4, 7]) {
      const tried = [5, 10, 20].flatMap((fast) =>
        [20, 30, 50].filter((slow) => slow > fast).map((slow) => ({ fast, slow })),
      );
      const sharpes = tried.map(({ fast, slow }) =>
        sharpeOf(rangesOf(split, "train").flatMap(({ from, to }) => returnsByHand(fast, slow, from, to))),
      );
      const best = sharpes.indexOf(Math.max(...sharpes));
      const { choice, returns } = folds[split] as Fold;
      const [row] = rowsOf(choice);
      expect(row).toMatchObject({
        split,
        ...tried[best],
        parameters: `fast ${tried[best]?.fast}, slow ${tried[best]?.slow}`,
        trials: 8,
      });
      expect(row?.sharpeTrain as number).toBeCloseTo(sharpes[best] as number, 8);
      const traded = rangesOf(split, "test").flatMap(({ from, to }) =>
        returnsByHand(tried[best]?.fast as number, tried[best]?.slow as number, from, to),
      );
      const ours = [...float64Column(returns, "return")];
      expect(ours).toHaveLength(traded.length);
      ours.forEach((r, i) => expect(Math.abs(r - (traded[i] as number)), `bar ${i}`).toBeLessThan(1e-12));
      expect(row?.sharpeTest as number).toBeCloseTo(sharpeOf(traded), 8);
      expect(row?.totalReturnTest as number).toBeCloseTo(traded.reduce((product, r) => product * (1 + r), 1) - 1, 10);
    }
  });

  it("the choice does not see the test bars: other prices there, the same parameters", () => {
    const splits = run("validation.walk_forward", prices, { splits: 3, mode: "expanding", test: 200 }) as Table;
    const first = rowsOf(splits).find((row) => row.set === "test")?.from as number;
    const changed = new Table(
      Object.fromEntries(
        prices.schema.fields.map(({ name }) => {
          const column = prices.getChild(name) as NonNullable<ReturnType<Table["getChild"]>>;
          if (name === "date") return [name, column];
          const values = Float64Array.from(column as Iterable<number>, (value, bar) =>
            bar >= first ? value * (1.5 + Math.sin(bar) / 3) : value,
          );
          return [name, tableOf({ [name]: [...values] }).getChild(name) as typeof column];
        }),
      ),
    );
    const before = fold(splits, 0);
    const after = run("validation.sweep_fold", changed, splits, 0, params) as Fold;
    const train = ["fast", "slow", "trials", "sharpeTrain", "deflatedSharpe", "barsTrain"] as const;
    const pick = ({ choice }: Fold): unknown[] => train.map((name) => rowsOf(choice)[0]?.[name]);
    expect(pick(after)).toEqual(pick(before));
    expect([...float64Column(after.returns, "return")]).not.toEqual([...float64Column(before.returns, "return")]);
  });

  it("gives the same bits whatever the order of the grid", () => {
    const other = fold(cpcv, 3, { grid: { slow: [20, 30, 50], fast: [5, 10, 20] } });
    expect(bytes(other.returns)).toBe(bytes((folds[3] as Fold).returns));
  });

  it.each<[string, Record<string, unknown>, number, RegExp]>([
    [
      "a parameter that is missing",
      { grid: { fast: [5] } },
      0,
      /params\.grid\.slow is missing: ma-cross has fast, slow/,
    ],
    [
      "a parameter that the family has not",
      { grid: { ...grid, period: [5] } },
      0,
      /params\.grid\.period is no parameter: ma-cross has fast, slow/,
    ],
    [
      "a grid of nothing",
      { grid: { fast: [50], slow: [20] } },
      0,
      /params\.grid has no combination that ma-cross allows/,
    ],
    ["an unknown family", { family: "magic" }, 0, /params\.family is "magic"/],
    ["fees above half", { settings: { fees: 0.6 } }, 0, /params\.settings\.fees is 0\.6/],
    [
      "more trades than there were",
      { tradesMin: 1_000 },
      2,
      /none of the 8 combinations of ma-cross has 1000 trades in the training bars of split 2/,
    ],
    ["a split that is not there", {}, 10, /split is 10: .*it has splits 0 to 9/],
  ])("refuses %s", (_, more, split, message) => {
    const fault = faultOf(() => fold(cpcv, split, more));
    expect(fault.code).toBe("INVALID_ARGUMENT");
    expect(fault.message).toMatch(message);
  });
});

describe("paths", () => {
  const paths = [0, 1, 2, 3].map((path) => run("validation.path", folds, path) as Table);

  it("each of them trades every bar but the first once, in order, and compounds to its account", () => {
    for (const path of paths) {
      expect([...float64Column(path, "bar")]).toEqual(Array.from({ length: 1_199 }, (_, i) => i + 1));
      const equity = float64Column(path, "equity");
      let [value, peak] = [1, 1];
      float64Column(path, "return").forEach((r, i) => {
        value *= 1 + r;
        peak = Math.max(peak, value);
        expect(equity[i]).toBe(value);
        expect(path.getChild("drawdown")?.get(i)).toBe(value / peak - 1);
      });
    }
  });

  it("come out the same whatever the order in which the folds arrive", () => {
    paths.forEach((path, i) =>
      expect(bytes(run("validation.path", [...folds].reverse(), i) as Table)).toBe(bytes(path)),
    );
  });

  it("are summed up in one row, with every trial counted", () => {
    const statistics = paths.map(
      (path) => run("stats.returns", path, { columns: ["return"], periodsPerYear: 252 }) as Table,
    );
    const choices = run("validation.choices", folds) as Table;
    expect(rowsOf(choices).map(({ split }) => split)).toEqual([...folds.keys()]);
    const [report] = rowsOf(run("validation.report", statistics, choices) as Table);
    const sharpes = statistics.map((table) => rowsOf(table)[0]?.sharpe as number);
    const mean = sharpes.reduce((sum, x) => sum + x, 0) / 4;
    expect(report).toMatchObject({
      splits: 10,
      paths: 4,
      trials: 80,
      bars: 1_199,
      sharpeMin: Math.min(...sharpes),
      sharpeMax: Math.max(...sharpes),
    });
    expect(report?.sharpeMean as number).toBeCloseTo(mean, 12);
    expect(report?.sharpeStd as number).toBeCloseTo(
      Math.sqrt(sharpes.reduce((sum, x) => sum + (x - mean) ** 2, 0) / 3),
      12,
    );
    const train = rowsOf(choices).reduce((sum, row) => sum + (row.sharpeTrain as number), 0) / 10;
    expect(report?.sharpeTrainMean as number).toBeCloseTo(train, 12);
    // Nothing made money in training in these years: there is no efficiency to speak of.
    expect(train < 0 && report?.efficiency === null).toBe(true);
    const better = new Table({
      ...columns(choices),
      sharpeTrain: tableOf({ x: Array.from({ length: 10 }, () => 0.5) }).getChild("x") as Vector,
    });
    expect(rowsOf(run("validation.report", statistics, better) as Table)[0]?.efficiency as number).toBeCloseTo(
      mean / 0.5,
      12,
    );
  });

  it("a path that is not there, and a bar that is there twice, are refused", () => {
    expect(faultOf(() => run("validation.path", folds, 4)).message).toMatch(
      /path is 4: none of the 10 splits tests a bar of it/,
    );
    expect(faultOf(() => run("validation.path", [folds[0], folds[0]], 0)).message).toMatch(/bar 1 is twice in path 0/);
    expect(faultOf(() => run("validation.path", [{}], 0)).message).toMatch(/folds\.0\.choice/);
  });
});

describe("validation.sweep_returns", () => {
  it("has a column of returns per combination, as the definition does bar by bar, and feeds validation.pbo", () => {
    const table = run("validation.sweep_returns", prices, params) as Table;
    expect(table.schema.fields.map(({ name }) => name)).toHaveLength(8);
    const ours = float64Column(table, "fast 10, slow 30");
    returnsByHand(10, 30, 0, 1_200).forEach((r, i) =>
      expect(Math.abs((ours[i] as number) - r), `bar ${i + 1}`).toBeLessThan(1e-12),
    );
    expect(rowsOf(run("validation.pbo", table, { blocks: 8 }) as Table)[0]).toMatchObject({ trials: 8, choices: 70 });
  });

  it("of a slice without a combination has no columns", () => {
    const table = run("validation.sweep_returns", prices, { ...params, grid: { fast: [50], slow: [20] } }) as Table;
    expect(table.numCols).toBe(0);
  });
});
