/**
 * What panel kernels refuse: each time a coded error that names column or parameter and value. And tables without rows.
 */
import { Bool, DateDay, Float64, Table, Utf8, type Vector, vectorFromArray } from "apache-arrow";
import { describe, expect, it } from "vitest";
import { isVolleyError } from "../../proto/errors.js";
import { requireKernel } from "../registry.js";
import { panelKernels } from "./index.js";

const texts = (...values: (string | null)[]): Vector => vectorFromArray(values, new Utf8());
const floats = (...values: (number | null)[]): Vector => vectorFromArray(values, new Float64());
const days = (...values: (number | null)[]): Vector =>
  vectorFromArray(
    values.map((value) => (value === null ? null : new Date(value * 86_400_000))),
    new DateDay(),
  );
const flags = (...values: (boolean | null)[]): Vector => vectorFromArray(values, new Bool());

const good = {
  date: days(0, 0, 1, 1),
  symbol: texts("A", "B", "A", "B"),
  x: floats(1, 2, 3, 4),
  y: floats(4, 3, 2, 1),
  close: floats(1, 2, 3, 4),
  sector: texts("s", "t", "s", null),
  use: flags(true, true, null, false),
};
const table = new Table(good);
const intervals = new Table({ symbol: texts("A", "B"), from: days(0, 0), to: days(1, null) });
const delistings = new Table({ symbol: texts("B"), date: days(0) });

/** Code and message of what the kernel throws; a program reads kernel and column in the details. */
function refusal(kernel: string, ...args: unknown[]): string {
  try {
    requireKernel(`panel.${kernel}`, 1).run(...args);
  } catch (error) {
    if (!isVolleyError(error)) throw error;
    const column = /: column "([^"]*)" /.exec(error.message)?.[1];
    expect(error.details).toMatchObject({ kernel: `panel.${kernel}`, ...(column === undefined ? {} : { column }) });
    return `${error.code} ${error.message}`;
  }
  return "nothing was refused";
}

/** Parameters with which each kernel runs, on the table and those beside it. */
const calls: Readonly<
  Record<
    string,
    {
      readonly params: Record<string, unknown>;
      readonly beside?: readonly unknown[];
      readonly columns: readonly string[];
    }
  >
> = {
  rank: { params: { columns: ["x"] }, columns: ["date", "symbol", "x"] },
  quantile: { params: { columns: ["x"], buckets: 2, meaning: "count" }, columns: ["date", "symbol", "x"] },
  select: { params: { columns: ["x"], side: "top", n: 1 }, columns: ["date", "symbol", "x_selected"] },
  zscore: { params: { columns: ["x"], keep: ["y"] }, columns: ["date", "symbol", "y", "x"] },
  demean: { params: { columns: ["x", "y"], as: "{column}_0" }, columns: ["date", "symbol", "x_0", "y_0"] },
  winsorize: { params: { columns: ["x"] }, columns: ["date", "symbol", "x"] },
  neutralise: { params: { columns: ["x"], method: "regress", exposures: ["y"] }, columns: ["date", "symbol", "x"] },
  universe: {
    params: { bounds: "closed", keep: ["x"] },
    beside: [intervals, delistings],
    columns: ["date", "symbol", "x", "member"],
  },
  pivot: { params: { columns: ["x"], symbols: ["B", "600519"] }, columns: ["date", "B", "600519"] },
  forward_returns: { params: { horizons: [1] }, columns: ["date", "symbol", "forward_1"] },
  ic: { params: { factor: "x", returns: ["y"] }, columns: ["date", "ic_y", "n_y"] },
  ic_decay: { params: { factor: "x", horizons: [1] }, columns: ["horizon", "n", "mean", "std", "ir", "t", "hit"] },
  quantile_returns: {
    params: { factor: "x", returns: ["y"], buckets: 2, meaning: "qcut" },
    columns: ["date", "bucket", "n", "y"],
  },
  turnover: { params: { factor: "x", buckets: 2, meaning: "count" }, columns: ["date", "bucket", "n", "turnover"] },
  rank_autocorrelation: { params: { factor: "x" }, columns: ["date", "autocorrelation", "n"] },
};
const onPanels = Object.entries(calls);
const names = (made: unknown): string[] => (made as Table).schema.fields.map((field) => field.name);

describe("every kernel on a panel", () => {
  it("is in the list of this test", () => {
    const beside = ["panel.unpivot", "panel.ic_summary"];
    expect(new Set([...onPanels.map(([name]) => `panel.${name}`), ...beside])).toEqual(
      new Set(panelKernels.map(({ name }) => name)),
    );
  });

  it.each(onPanels)(
    "panel.%s gives the columns it says, and of a table without rows none",
    (kernel, { params, beside = [], columns }) => {
      const run = requireKernel(`panel.${kernel}`, 1).run;
      expect(names(run(table, ...beside, params))).toEqual(columns);
      const empty = run(table.slice(0, 0), ...beside, params) as Table;
      expect(names(empty)).toEqual(columns);
      expect(empty.numRows).toBe(kernel === "ic_decay" ? 1 : 0);
      const built = new Table(
        Object.fromEntries(Object.entries(good).map(([name, vector]) => [name, vectorFromArray([], vector.type)])),
      );
      expect((run(built, ...beside, params) as Table).numRows).toBe(empty.numRows);
    },
  );

  it.each(onPanels)(
    "panel.%s refuses rows that are out of order or there twice, and keys that are missing",
    (kernel, { params, beside = [] }) => {
      const of = (columns: Record<string, Vector>): string =>
        refusal(kernel, new Table({ ...good, ...columns }), ...beside, params);
      const head = `INVALID_ARGUMENT panel.${kernel}: column`;
      expect(of({ date: days(0, 0, 1, 0) })).toContain(
        `${head} "date" of the panel table is not ascending: row 3 is 1970-01-01T00:00:00.000Z, before 1970-01-02T00:00:00.000Z in row 2; sort`,
      );
      expect(of({ symbol: texts("B", "A", "A", "B") })).toContain(
        `${head} "symbol" of the panel table is not ascending on 1970-01-01T00:00:00.000Z: row 1 is "A", after "B"; sort the table by date, then symbol`,
      );
      expect(of({ symbol: texts("A", "B", "B", "B") })).toContain(
        `${head} "symbol" of the panel table has "B" twice on 1970-01-02T00:00:00.000Z, in rows 2 and 3`,
      );
      expect(of({ date: days(0, null, 1, 1) })).toContain(`${head} "date" of the panel table is null in row 1`);
      expect(of({ date: floats(0, 0, Number.NaN, 1) })).toContain(`${head} "date" of the panel table is NaN in row 2`);
      expect(of({ symbol: texts("A", "B", null, "B") })).toContain(
        `${head} "symbol" of the panel table is null in row 2`,
      );
      expect(of({ symbol: floats(1, 2, 1, 2) })).toContain(
        `${head} "symbol" of the panel table is Float64; a symbol is text or a whole number`,
      );
      expect(of({ date: flags(true, true, true, true) })).toContain(
        `${head} "date" of the panel table is Bool; a time is`,
      );
      expect(refusal(kernel, table, ...beside, { ...params, date: "day" })).toContain(
        `${head} "day" is missing in the panel table, which has date, symbol, x`,
      );
      expect(refusal(kernel, table, ...beside, { ...params, symbol: "ticker" })).toContain(
        `${head} "ticker" is missing`,
      );
      expect(refusal(kernel, [1], ...beside, params)).toContain(
        `INVALID_ARGUMENT panel.${kernel}: table is [1]: expected an Arrow table`,
      );
      expect(refusal(kernel, table, ...beside, { ...params, colour: "red" })).toMatch(/INVALID_ARGUMENT .*colour/);
    },
  );
});

describe("columns", () => {
  it("that are missing or of another type are named", () => {
    expect(refusal("rank", table, { columns: ["z"] })).toContain(
      'INVALID_ARGUMENT panel.rank: column "z" is missing in the panel table',
    );
    expect(refusal("rank", table, { columns: ["sector"] })).toContain(
      'panel.rank: column "sector" of the panel table is Utf8; expected numbers',
    );
    expect(refusal("rank", table, { mask: "x" })).toContain(
      'panel.rank: column "x" of the panel table is Float64; a mask is boolean',
    );
    expect(refusal("rank", table, { mask: "in" })).toContain('panel.rank: column "in" is missing');
    expect(refusal("zscore", table, { group: "x" })).toContain(
      'panel.zscore: column "x" of the panel table is Float64; a key is text',
    );
    expect(refusal("zscore", table, { keep: ["w"] })).toContain('panel.zscore: column "w" is missing');
    expect(refusal("neutralise", table, { method: "regress", exposures: ["sector"] })).toContain(
      'column "sector" of the panel table is Utf8; expected numbers',
    );
    expect(refusal("ic", table, { factor: "x", returns: ["w"] })).toContain('panel.ic: column "w" is missing');
    expect(refusal("forward_returns", table, { horizons: [1], price: "sector" })).toContain(
      'column "sector" of the panel table is Utf8; expected numbers',
    );
    expect(
      refusal("quantile_returns", table, { factor: "x", returns: ["y"], buckets: 2, meaning: "count", weight: "use" }),
    ).toContain('column "use" of the panel table is Bool; expected numbers');
    expect(refusal("rank", new Table({ date: good.date, symbol: good.symbol }), {})).toContain(
      "panel.rank: the table has no column of numbers to apply to; it has date, symbol",
    );
    expect(
      refusal("rank", new Table({ ...good, date: texts("1970-01-01", "1970-01-01", "soon", "soon") }), {}),
    ).toMatch(/INVALID_ARGUMENT .*column "date" is "soon"/);
  });

  it("of one name twice in the result are refused", () => {
    expect(refusal("rank", table, { columns: ["x"], keep: ["x"] })).toContain(
      'panel.rank: two columns of the result are named "x"',
    );
    expect(refusal("rank", table, { columns: ["x", "y"], as: "rank" })).toContain(
      'two columns of the result are named "rank"',
    );
    expect(refusal("forward_returns", table, { horizons: [1, 1] })).toContain(
      'two columns of the result are named "forward_1"',
    );
    expect(
      refusal("quantile_returns", new Table({ ...good, n: good.x }), {
        factor: "x",
        returns: ["n"],
        buckets: 2,
        meaning: "count",
      }),
    ).toContain('panel.quantile_returns: two columns of the result are named "n"');
    expect(
      refusal("universe", new Table({ ...good, member: good.use }), intervals, null, { bounds: "closed" }),
    ).toContain('two columns of the result are named "member"');
  });

  it("by default are those of numbers that have no other role", () => {
    expect(names(requireKernel("panel.rank", 1).run(table))).toEqual(["date", "symbol", "x", "y", "close"]);
    expect(
      names(requireKernel("panel.neutralise", 1).run(table, { method: "regress", exposures: ["y"], keep: ["close"] })),
    ).toEqual(["date", "symbol", "close", "x"]);
  });
});

describe("parameters", () => {
  const wrong: readonly (readonly [string, Record<string, unknown>, string])[] = [
    ["rank", { method: "first" }, 'params.method is "first"'],
    ["quantile", { buckets: 5 }, "params.meaning is undefined"],
    ["quantile", { meaning: "count" }, "params.buckets is undefined: give either buckets or edges"],
    ["quantile", { meaning: "count", buckets: 2, edges: [0.5] }, "params.buckets is 2: give either buckets or edges"],
    ["quantile", { meaning: "count", edges: [0.5, 0.2] }, "params.edges is [0.5,0.2]: edges do not ascend"],
    ["quantile", { meaning: "count", edges: [1] }, "params.edges.0 is 1"],
    ["quantile", { meaning: "count", buckets: 1 }, "params.buckets is 1"],
    ["select", { side: "middle", n: 1 }, 'params.side is "middle"'],
    ["select", { side: "top" }, "params.n is undefined: give either n or fraction"],
    ["select", { side: "top", n: 0 }, "params.n is 0"],
    ["select", { side: "top", fraction: 0.2 }, "params.meaning is undefined: a fraction needs a meaning"],
    [
      "select",
      { side: "top", fraction: 0.3, meaning: "qcut" },
      "params.fraction is 0.3: qcut needs a fraction that is 1 / n",
    ],
    ["zscore", { ddof: 2 }, "params.ddof is 2"],
    ["winsorize", { lower: 0.6, upper: 0.4 }, "params.upper is 0.4: lower and upper together are not below 1"],
    ["winsorize", { method: "std", k: 0 }, "params.k is 0"],
    ["neutralise", { exposures: ["y"] }, 'params.exposures is ["y"]: exposures need method "regress"'],
    ["forward_returns", { horizons: [] }, "params.horizons is []"],
    ["forward_returns", { horizons: [-1] }, "params.horizons.0 is -1"],
    ["ic", { returns: ["y"] }, "params.factor is undefined"],
    ["ic", { factor: "x", returns: ["y"], correlation: "kendall" }, 'params.correlation is "kendall"'],
    ["turnover", { factor: "x", buckets: 2, meaning: "count", lag: 0 }, "params.lag is 0"],
    ["pivot", {}, "params.columns is undefined"],
  ];

  it.each(wrong)("panel.%s refuses %j", (kernel, params, message) => {
    expect(refusal(kernel, table, params)).toContain(`INVALID_ARGUMENT panel.${kernel}: ${message}`);
  });
});

describe("tables beside the panel", () => {
  const run = (given: unknown, ended: unknown, params: Record<string, unknown> = { bounds: "half-open" }): string =>
    refusal("universe", table, given, ended, params);

  it("intervals and delistings are checked with their columns", () => {
    expect(run(new Table({ symbol: texts("A"), from: days(0) }), null)).toContain(
      'panel.universe: column "to" is missing in the intervals table',
    );
    expect(run(new Table({ symbol: texts("A"), from: days(3), to: days(1) }), null)).toContain(
      'column "to" of the intervals table is 1970-01-02T00:00:00.000Z in row 0, before from 1970-01-04T00:00:00.000Z',
    );
    expect(run(new Table({ symbol: texts(null), from: days(0), to: days(1) }), null)).toContain(
      'column "symbol" of the intervals table is null in row 0',
    );
    expect(run(new Table({ symbol: texts("A"), from: floats(0), to: floats(1) }), null)).toContain(
      'column "from" of the intervals table is Float64, but column "date" of the panel table is Date32<DAY>',
    );
    expect(run(new Table({ symbol: vectorFromArray(new Int32Array([1])), from: days(0), to: days(1) }), null)).toMatch(
      /column "symbol" of the .* table is .*; cast one of them/,
    );
    expect(run(intervals, new Table({ symbol: texts("A"), date: days(null) }))).toContain(
      'column "date" of the delistings table is null in row 0',
    );
    expect(run(intervals, new Table({ symbol: texts("A"), day: days(1) }))).toContain(
      'column "date" is missing in the delistings table',
    );
    expect(run(intervals, null, {})).toContain("panel.universe: params.bounds is undefined");
    expect(run(3, null)).toContain("panel.universe: intervals is 3: expected an Arrow table");
    expect(run(intervals, undefined)).toContain("panel.universe: delistings is undefined");
  });

  it("wide tables have ascending dates, each once, and columns of numbers", () => {
    const wide = (date: Vector, more: Record<string, Vector> = {}): string =>
      refusal("unpivot", new Table({ date, A: floats(1, 2), ...more }));
    expect(wide(days(1, 0))).toContain(
      'INVALID_ARGUMENT panel.unpivot: column "date" of the wide table is not ascending',
    );
    expect(wide(days(1, 1))).toContain(
      'column "date" of the wide table has 1970-01-02T00:00:00.000Z in rows 0 and 1; a date comes once',
    );
    expect(refusal("unpivot", new Table({ date: days(0), A: texts("a") }), { columns: ["A"] })).toContain(
      'column "A" of the wide table is Utf8; expected numbers',
    );
    expect(refusal("unpivot", new Table({ date: days(0), A: floats(1) }), { columns: ["A", "A"] })).toContain(
      'column "A" of the wide table is named twice',
    );
    expect(refusal("unpivot", new Table({ date: days(0), A: floats(1) }), { value: "date" })).toContain(
      'params.value is "date": date, symbol and value are not three names',
    );
    expect(names(requireKernel("panel.unpivot", 1).run(new Table({ date: days(), A: floats() })))).toEqual([
      "date",
      "symbol",
      "value",
    ]);
  });

  it("a summary says which columns there are", () => {
    expect(refusal("ic_summary", new Table({ date: days(0), x: floats(1) }))).toContain(
      "panel.ic_summary: no column begins with ic_; give params.columns. The table has date, x",
    );
    expect(refusal("ic_summary", new Table({ x: texts("a") }), { columns: ["x"] })).toContain(
      'column "x" of the given table is Utf8; expected numbers',
    );
    const none = requireKernel("panel.ic_summary", 1).run(new Table({ ic_x: floats() })) as Table;
    expect([...(none.getChild("n") ?? []), ...(none.getChild("mean") ?? [])]).toEqual([0, null]);
  });
});
