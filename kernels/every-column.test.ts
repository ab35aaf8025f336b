/** A column that is missing or of another type: every kernel that reads columns says so in one form. */
import { Int64, Table, vectorFromArray } from "apache-arrow";
import { describe, expect, it } from "vitest";
import { isVolleyError, type VolleyError } from "../proto/errors.js";
import { boolVector, int32Vector, textVector } from "./columns/building.js";
import { columnNames, dayColumn } from "./columns/reading.js";
import { features } from "./features/index.js";
import { listKernels, requireKernel } from "./registry.js";

const settings = { inSampleEnd: "2020-01-01" };
const strategy = { family: "ma-cross", grid: { fast: [2], slow: [5] } };
const rated = { factor: "x", meaning: "count", buckets: 2 };

/**
 * What each kernel is called with, all tables the same one; features and the kernels of `reading nothing` are below.
 */
const calls: Readonly<Record<string, (table: Table) => unknown[]>> = {
  "sweep.ma_cross": (table) => [table, { fast: [2], slow: [5] }, settings],
  "sweep.rsi_reversion": (table) => [table, { period: [2], lower: [30], upper: [70] }, settings],
  "sweep.channel_breakout": (table) => [table, { entry: [5], exit: [2] }, settings],
  "sweep.select": (table) => [[table], "ma-cross"],
  "sweep.surface": (table) => [[table], "ma-cross"],
  "sweep.benchmark": (table) => [table, settings],
  "sweep.equity": (table) => [table, "ma-cross", { fast: 2, slow: 5 }, settings],
  "sweep.trades": (table) => [table, "ma-cross", { fast: 2, slow: 5 }, settings],
  "sweep.verdict": (table) => [[table], ["ma-cross"], table],
  "backtest.signals": (table) => [table],
  "backtest.weights": (table) => [table],
  "asof.join": (table) => [table, table, { on: "t" }],
  "asof.pit": (table) => [table, table],
  "audit.cut": (table) => [table, { known: "known", at: 0, mode: "truncate" }],
  "audit.cuts": (table) => [table, { known: "known" }],
  "audit.compare": (table) => [table, table, { time: "time", at: 0, rows: 1 }],
  "stats.returns": (table) => [table, { periodsPerYear: 252, columns: ["x"] }],
  "stats.drawdowns": (table) => [table, { columns: ["x"] }],
  "stats.sharpe_probabilistic": (table) => [table, { columns: ["x"] }],
  "stats.sharpe_deflated": (table) => [table, null, { columns: ["x"], trials: 2, variance: 1, periodsPerYear: 252 }],
  "validation.purged_kfold": (table) => [table, { splits: 2, labelEnd: "end" }],
  "validation.cpcv": (table) => [table, { groups: 2, testGroups: 1, labelEnd: "end" }],
  "validation.sweep_fold": (table) => [table, table, 0, strategy],
  "validation.sweep_returns": (table) => [table, strategy],
  "validation.path": (table) => [[{ choice: table, returns: table }], 0],
  "validation.report": (table) => [[table], table],
  "validation.pbo": (table) => [[table], { columns: ["x", "y"], blocks: 2 }],
  "validation.bootstrap": (table) => [table, { columns: ["x"], seed: 1, periodsPerYear: 252 }],
  "validation.bootstrap_interval": (table) => [[table]],
  "panel.rank": (table) => [table, { columns: ["x"] }],
  "panel.quantile": (table) => [table, { columns: ["x"], meaning: "count", buckets: 2 }],
  "panel.select": (table) => [table, { columns: ["x"], side: "top", n: 1 }],
  "panel.zscore": (table) => [table, { columns: ["x"] }],
  "panel.demean": (table) => [table, { columns: ["x"] }],
  "panel.winsorize": (table) => [table, { columns: ["x"] }],
  "panel.neutralise": (table) => [table, { columns: ["x"], group: "sector" }],
  "panel.universe": (table) => [table, table, null, { bounds: "closed" }],
  "panel.pivot": (table) => [table, { columns: ["x"] }],
  "panel.unpivot": (table) => [table, { columns: ["x"] }],
  "panel.forward_returns": (table) => [table, { horizons: [1] }],
  "panel.ic": (table) => [table, { factor: "x", returns: ["y"] }],
  "panel.ic_summary": (table) => [table, { columns: ["x"] }],
  "panel.ic_decay": (table) => [table, { factor: "x", horizons: [1] }],
  "panel.quantile_returns": (table) => [table, { ...rated, returns: ["y"] }],
  "panel.turnover": (table) => [table, rated],
  "panel.rank_autocorrelation": (table) => [table, { factor: "x" }],
};

/** Kernels that read no column by name. */
const readingNothing = [
  "volley.noop",
  "volley.echo",
  "volley.sleep",
  "volley.concat",
  "validation.walk_forward",
  "validation.choices",
];

const ofFeatures = Object.fromEntries(
  features.map(({ kernel, inputs }) => [
    kernel.name,
    (table: Table): unknown[] => [table, { ...requiredOf(kernel), ...(inputs.length === 1 ? { columns: ["x"] } : {}) }],
  ]),
);

/** A 5 for every parameter that must be given, and bars for a year. */
function requiredOf(kernel: { argSchema(name: string): unknown }): Record<string, unknown> {
  const { required = [] } = kernel.argSchema("params") as { required?: string[] };
  return Object.fromEntries(required.map((name) => [name, name === "q" ? 0.5 : name === "periodsPerYear" ? 252 : 5]));
}

function refusalOf(kernel: string, args: readonly unknown[]): VolleyError {
  try {
    requireKernel(kernel, 1).run(...args);
  } catch (error) {
    if (isVolleyError(error)) return error;
    throw error;
  }
  throw new Error(`${kernel} took it`);
}

const two = Int32Array.of(0, 1);

describe("a kernel that is given a table of other columns", () => {
  const all: Readonly<Record<string, (table: Table) => unknown[]>> = { ...calls, ...ofFeatures };

  it("is every kernel", () => {
    expect([...Object.keys(all), ...readingNothing].sort()).toEqual(
      listKernels()
        .map(({ name }) => name)
        .sort(),
    );
  });

  for (const [kernel, argsOf] of Object.entries(all)) {
    it(`${kernel} names itself, the column, what it is, what is expected and what there is`, () => {
      const columns: Record<string, ReturnType<typeof int32Vector>> = {
        before: int32Vector(two),
        after: int32Vector(two),
      };
      const missing = new Set<string>();
      for (;;) {
        const table = new Table(columns);
        const { code, message, details } = refusalOf(kernel, argsOf(table));
        const column = details?.column as string;
        expect(code).toBe("INVALID_ARGUMENT");
        expect(details?.kernel).toBe(kernel);
        expect(message.startsWith(`${kernel}: column ${JSON.stringify(column)} `), message).toBe(true);
        expect(message).toContain(columnNames(table));
        if (columns[column]) {
          // The column that was missing is there, and nothing takes booleans for dates, keys or numbers.
          expect(message).toMatch(/ is Bool; (expected [a-z]|a [a-z]+ is )/);
          break;
        }
        expect(message).toMatch(/ is missing.*; expected [a-z]/);
        missing.add(column);
        columns[column] = boolVector([true, false]) as unknown as ReturnType<typeof int32Vector>;
      }
      expect(missing.size).toBeGreaterThan(0);
    });
  }
});

describe("the list of columns in a message", () => {
  it("ends after thirty, and is not empty of a table without any", () => {
    const many = new Table(Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`c${i}`, int32Vector(two)])));
    expect(columnNames(many)).toMatch(/^c0, c1, .*, c29 and 10 more$/);
    expect(columnNames(new Table())).toBe("no columns");
  });
});

describe("a column of dates", () => {
  it("is refused by its type where it is none, whole numbers of 64 bits too", () => {
    expect([...dayColumn(new Table({ days: textVector(["2020-01-02"]) }), "days")]).toEqual([18_263]);
    for (const [type, days] of [
      ["Int32", int32Vector(two)],
      ["Int64", vectorFromArray([5n, 6n], new Int64())],
    ] as const)
      expect(() => dayColumn(new Table({ days }), "days")).toThrow(`column "days" is ${type}; expected dates`);
  });
});
