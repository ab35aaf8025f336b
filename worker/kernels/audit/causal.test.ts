/** The kernels beside features that promise to be causal (lag 0) pass the look-ahead check, in process, at every date. */
import { Table as ArrowTable, type Data, Field, makeData, RecordBatch, Schema, Struct, type Table, type Vector } from "apache-arrow";
import { describe, expect, test } from "vitest";
import { boolVector, dayVector, float64Vector, textVector } from "../columns.js";
import { requireKernel } from "../registry.js";
import { firstDifference } from "./compare.js";
import { poisonAfter, truncateAt } from "./cut.js";
import { knownAt } from "./knowledge.js";

function tableOf(columns: Readonly<Record<string, Vector>>, rows: number): Table {
  const fields = Object.entries(columns).map(([name, vector]) => new Field(name, vector.type, true));
  const schema = new Schema(fields);
  const children = Object.values(columns).map((vector) => vector.data[0] as Data);
  return new ArrowTable(schema, [new RecordBatch(schema, makeData({ type: new Struct(fields), length: rows, nullCount: 0, children }))]);
}

const dates = 30;
const symbols = ["AAA", "BBB", "CCC", "DDD", "EEE"];
/** Sorted by date, then symbol; CCC has no bars after date 19. */
const cells = Array.from({ length: dates }, (_, d) => symbols.flatMap((symbol, s) => (symbol === "CCC" && d > 19 ? [] : [{ d, s, symbol }]))).flat();
const floats = (of: (cell: (typeof cells)[number]) => number): Vector => float64Vector(Float64Array.from(cells, of));
const price = ({ d, s }: { d: number; s: number }): number => 50 + 10 * s + 5 * Math.sin(d * (s + 1)) + d / 3;
const panel = tableOf(
  {
    date: dayVector(Int32Array.from(cells, ({ d }) => 12_000 + d)),
    symbol: textVector(cells.map(({ symbol }) => symbol)),
    sector: textVector(cells.map(({ s }) => (s % 2 === 0 ? "even" : "odd"))),
    value: floats((cell) => (cell.d === 7 && cell.s === 1 ? Number.NaN : price(cell))),
    open: floats((cell) => price(cell) - 0.5),
    high: floats((cell) => price(cell) + 2),
    low: floats((cell) => price(cell) - 2),
    close: floats(price),
    volume: floats(({ d, s }) => 1_000 + 10 * d + s),
    entries: boolVector(cells.map(({ d, s }) => (d + s) % 7 === 0)),
    exits: boolVector(cells.map(({ d, s }) => (d + s) % 7 === 4)),
  },
  cells.length,
);
/** Filed days after their period, one of them restated later. */
const filings = [
  { symbol: "AAA", period: 0, known: 3, eps: 1 },
  { symbol: "BBB", period: 0, known: 5, eps: 2 },
  { symbol: "AAA", period: 0, known: 14, eps: 0.5 },
  { symbol: "AAA", period: 10, known: 17, eps: 3 },
];
const facts = tableOf(
  {
    symbol: textVector(filings.map(({ symbol }) => symbol)),
    period: dayVector(Int32Array.from(filings, ({ period }) => 12_000 + period)),
    known: dayVector(Int32Array.from(filings, ({ known }) => 12_000 + known)),
    eps: float64Vector(Float64Array.from(filings, ({ eps }) => eps)),
  },
  filings.length,
);

interface Case {
  readonly kernel: string;
  readonly run: (bars: Table, filed: Table) => Table;
  /** Column of the output with a row's date, where rows are not the input's. */
  readonly time?: string;
}

const ofPanel = (kernel: string, params: Record<string, unknown>): Case => ({ kernel, run: (bars) => requireKernel(kernel, 1).run(bars, params) as Table });
const columns = ["value"];
const cases: readonly Case[] = [
  ofPanel("panel.rank", { columns }),
  ofPanel("panel.quantile", { columns, meaning: "qcut", buckets: 3 }),
  ofPanel("panel.zscore", { columns }),
  ofPanel("panel.demean", { columns }),
  ofPanel("panel.winsorize", { columns }),
  ofPanel("panel.neutralise", { columns, group: "sector" }),
  {
    kernel: "asof.join",
    run: (bars, filed) => requireKernel("asof.join", 1).run(bars, filed, { on: { left: "date", right: "known" }, by: ["symbol"] }) as Table,
  },
  {
    kernel: "asof.pit",
    run: (bars, filed) => requireKernel("asof.pit", 1).run(bars, filed, { time: "date", event: "period", known: "known", by: ["symbol"] }) as Table,
  },
  {
    kernel: "backtest.signals",
    run: (bars) => (requireKernel("backtest.signals", 1).run(bars, { outputs: ["equity"] }) as { equity: Table }).equity,
    time: "date",
  },
];

describe("look-ahead", () => {
  const barsKnown = knownAt("test", panel, "date");
  const factsKnown = knownAt("test", facts, "known");

  test.each(cases.map((one) => [one.kernel, one] as const))("%s does not change when the future does", (_kernel, { run, time }) => {
    const full = run(panel, facts);
    expect(full.numRows).toBeGreaterThan(dates - 1);
    for (const at of new Set(barsKnown)) {
      const rows = barsKnown.filter((known) => known <= at).length;
      const truncated = run(truncateAt(panel, barsKnown, at), truncateAt(facts, factsKnown, at));
      const poisoned = run(poisonAfter(panel, barsKnown, at, "date"), poisonAfter(facts, factsKnown, at, "known"));
      for (const part of [truncated, poisoned]) expect(firstDifference(full, part, { time, at, rows })).toBe(undefined);
    }
  });
});
