/** Backtests against vectorbt over 10,240 bars with gaps, at three scales: account values that bench/peers/backtest_fixtures.py has kept. For the tests. */
import { readFileSync } from "node:fs";
import { Table } from "apache-arrow";
import { boolVector, dayVector, float64Vector, optionalFloat64Column } from "../columns.js";
import { type ConformanceRow, Differences } from "../conformance.js";
import { conformanceColumns, conformanceRows } from "../features/conformance-bars.js";
import { backtestSignals } from "./signals.js";

interface Fixture {
  readonly vectorbt: string;
  readonly keep: number;
  readonly rows: readonly { readonly name: string; readonly scale: number; readonly orders: number; readonly value: number[] }[];
}

/** Fixtures are not copied to dist. */
const readFixture = (): Fixture =>
  JSON.parse(readFileSync(new URL("../../../../worker/kernels/fixtures/backtest-vectorbt.json", import.meta.url), "utf8")) as Fixture;

/** What the script calls a run, as our parameters and as vectorbt's. */
const runs: Readonly<Record<string, { readonly params: Record<string, unknown>; readonly value?: number; readonly call: string }>> = {
  "all cash, long": { params: {}, call: "" },
  "value 20, both directions": { params: { direction: "both" }, value: 20, call: 'size=20, size_type="value", direction="both", ' },
  "value 20, short": { params: { direction: "short" }, value: 20, call: 'size=20, size_type="value", direction="shortonly", ' },
  "stopLoss 0.03, takeProfit 0.05": { params: { stops: { stopLoss: 0.03, takeProfit: 0.05 } }, call: "sl_stop=0.03, tp_stop=0.05, " },
  "trailing 0.04": { params: { stops: { trailing: 0.04 } }, call: "sl_stop=0.04, sl_trail=True, " },
};

function barsOf(scale: number): Table {
  const { close, high, low } = conformanceColumns(scale, "some") as Record<"close" | "high" | "low", Float64Array>;
  const bars = Array.from({ length: conformanceRows }, (_, i) => i);
  return new Table({
    date: dayVector(Int32Array.from(bars)),
    close: float64Vector(close),
    high: float64Vector(high),
    low: float64Vector(low),
    entries: boolVector(bars.map((i) => i % 7 === 3)),
    exits: boolVector(bars.map((i) => i % 11 === 5)),
  });
}

export function backtestConformance(): ConformanceRow[] {
  const { vectorbt, keep, rows } = readFixture();
  return Object.entries(runs).map(([name, { params, value: sized, call }]) => {
    const differences = new Differences();
    for (const { scale, orders, value } of rows.filter((row) => row.name === name)) {
      // The money grows with great prices, because vectorbt takes sizes near 1e-9 for nothing.
      const money = Math.max(1, scale);
      const sizing = sized === undefined ? {} : { sizing: { by: "value", size: sized * money } };
      const options = { fill: "same-close", cash: 100 * money, fees: 0.0005, slippage: 0.0002, ...sizing, ...params, outputs: ["equity", "statistics"] };
      const tables = backtestSignals.run(barsOf(scale), options) as { equity: Table; statistics: Table };
      const ours = optionalFloat64Column(tables.equity, "value").filter((_, i) => i % keep === keep - 1);
      differences.add([...ours, tables.statistics.getChild("orders")?.get(0)], [...value, orders], scale === 1);
    }
    return {
      kernel: backtestSignals.name,
      option: `fill same-close, ${name}, fees, slippage`,
      peer: `vectorbt ${vectorbt}`,
      peerOption: `Portfolio.from_signals(${call}fees=…, slippage=…)`,
      ...differences.result(),
    };
  });
}
