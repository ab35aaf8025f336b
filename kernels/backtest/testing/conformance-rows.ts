/**
 * Backtests against vectorbt over 10,240 bars at three scales: account values that bench/peers/backtest_conformance.py
 * has kept. For the tests.
 */
import { readFileSync } from "node:fs";
import { Table } from "apache-arrow";
import { boolVector, dayVector, float64Vector, textVector } from "../../columns/building.js";
import { optionalFloat64Column } from "../../columns/reading.js";
import { conformanceColumns, conformanceRows, type Gaps } from "../../features/testing/conformance-bars.js";
import { type ConformanceRow, Differences } from "../../testing/conformance.js";
import { compareStored, type StoredColumns } from "../../testing/conformance-blocks.js";
import { backtestSignals } from "../signals.js";
import { backtestWeights } from "../weights.js";

interface Fixture extends StoredColumns {
  readonly vectorbt: string;
  /** By the script's names: of each scale the number of orders, and which of the columns is the account's value. */
  readonly runs: Readonly<
    Record<string, readonly { readonly scale: number; readonly orders: number; readonly value: number }[]>
  >;
}

/** Fixtures are not copied to dist. */
const readFixture = (): Fixture =>
  JSON.parse(
    readFileSync(new URL("../../../../kernels/fixtures/backtest-vectorbt.json", import.meta.url), "utf8"),
  ) as Fixture;

interface Run {
  /** `money`: what amounts of money are multiplied with. */
  params(money: number): Record<string, unknown>;
  /** vectorbt's options. */
  readonly call: string;
  readonly gaps?: Gaps;
}

const sized = (by: string, size: number): Record<string, unknown> => ({ sizing: { by, size } });

/** By the script's names. */
const signalRuns: Readonly<Record<string, Run>> = {
  "all cash, long": { params: () => ({}), call: "" },
  "all cash, short": { params: () => ({ direction: "short" }), call: 'direction="shortonly", ' },
  "all cash, both directions": { params: () => ({ direction: "both" }), call: 'direction="both", ' },
  "value 20, both directions": {
    params: (money) => ({ direction: "both", ...sized("value", 20 * money) }),
    call: 'size=20, size_type="value", direction="both", ',
  },
  "value 20, short": {
    params: (money) => ({ direction: "short", ...sized("value", 20 * money) }),
    call: 'size=20, size_type="value", direction="shortonly", ',
  },
  "value 150, fixed fees": {
    params: (money) => ({ ...sized("value", 150 * money), fees: { fraction: 0.0005, fixed: 0.01 * money } }),
    call: 'size=150, size_type="value", fixed_fees=…, ',
  },
  "percent 0.6": { params: () => sized("percent", 0.6), call: 'size=0.6, size_type="percent", ' },
  "amount 0.2, four signals": {
    params: () => sized("amount", 0.2),
    call: "size=0.2, short_entries=…, short_exits=…, ",
  },
  "stopLoss 0.03, takeProfit 0.05": {
    params: () => ({ stops: { stopLoss: 0.03, takeProfit: 0.05 } }),
    call: "sl_stop=0.03, tp_stop=0.05, ",
  },
  "trailing 0.04": { params: () => ({ stops: { trailing: 0.04 } }), call: "sl_stop=0.04, sl_trail=True, " },
  "next open, both directions": {
    params: () => ({ fill: "next-open", direction: "both" }),
    call: 'entries and exits of the bar before, price=open, direction="both", ',
    gaps: "none",
  },
};
const weightRuns: Readonly<Record<string, Run>> = {
  "weights, long": { params: () => ({}), call: "" },
  "weights, long and short": { params: () => ({ direction: "both" }), call: "" },
};

const bars = Array.from({ length: conformanceRows }, (_, i) => i);
const date = (): ReturnType<typeof dayVector> => dayVector(Int32Array.from(bars));
const every = (period: number, at: number): ReturnType<typeof boolVector> =>
  boolVector(bars.map((i) => i % period === at));

function signalBars(scale: number, gaps: Gaps, four: boolean): Table {
  const { open, close, high, low } = conformanceColumns(scale, gaps) as Record<
    "open" | "close" | "high" | "low",
    Float64Array
  >;
  const prices = {
    open: float64Vector(open),
    high: float64Vector(high),
    low: float64Vector(low),
    close: float64Vector(close),
  };
  const short = four ? { shortEntries: every(13, 6), shortExits: every(17, 9) } : {};
  return new Table({ date: date(), ...prices, entries: every(7, 3), exits: every(11, 5), ...short });
}

/** Two symbols behind one another; weights every 64 bars, where there is a price. */
function weightBars(scale: number, both: boolean): Table {
  const { close, y } = conformanceColumns(scale, "some") as Record<"close" | "y", Float64Array>;
  const at = (of: (turn: number) => number): number[] =>
    bars.map((i) => (i % 64 !== 10 || Number.isNaN(close[i]) ? Number.NaN : of(Math.floor(i / 64)) / 10));
  const weights = [...at((turn) => (turn * 3) % 5), ...at((turn) => ((turn * 2) % 6) * (both ? -1 : 1))];
  return new Table({
    date: dayVector(Int32Array.from([...bars, ...bars])),
    symbol: textVector([...bars.map(() => "A"), ...bars.map(() => "B")]),
    close: float64Vector(Float64Array.from([...close, ...y])),
    weight: float64Vector(Float64Array.from(weights)),
  });
}

function compare(
  fixture: Fixture,
  name: string,
  tableAt: (scale: number) => { bars: Table; params: Record<string, unknown> },
): Differences {
  const differences = new Differences();
  for (const { scale, orders, value } of fixture.runs[name] ?? []) {
    const { bars: table, params } = tableAt(scale);
    const kernel = name in weightRuns ? backtestWeights : backtestSignals;
    const tables = kernel.run(table, params) as { equity: Table; statistics: Table };
    compareStored(fixture, value, optionalFloat64Column(tables.equity, "value"), differences, scale === 1);
    const ours = Number(tables.statistics.getChild("orders")?.get(0));
    differences.difference(Math.abs(ours - orders), Math.abs(ours - orders) / orders, scale === 1);
  }
  return differences;
}

export function backtestConformance(): ConformanceRow[] {
  const fixture = readFixture();
  return Object.entries({ ...signalRuns, ...weightRuns }).map(([name, { params, call, gaps = "some" }]) => {
    const weighted = name in weightRuns;
    const differences = compare(fixture, name, (scale) => {
      // The money grows with great prices, because vectorbt takes sizes near 1e-9 for nothing.
      const money = Math.max(1, scale);
      const table = weighted
        ? weightBars(scale, name.includes("short"))
        : signalBars(scale, gaps, name.includes("four"));
      const common = {
        fill: "same-close",
        cash: 100 * money,
        fees: 0.0005,
        slippage: 0.0002,
        outputs: ["equity", "statistics"],
      };
      return { bars: table, params: { ...common, ...params(money) } };
    });
    const fill = name.startsWith("next") ? "" : "fill same-close, ";
    return {
      kernel: weighted ? backtestWeights.name : backtestSignals.name,
      option: `${fill}${name}, fees, slippage`,
      peer: `vectorbt ${fixture.vectorbt}`,
      peerOption: weighted
        ? 'Portfolio.from_orders(size_type="targetpercent", cash_sharing=True, call_seq="auto", fees=…, slippage=…)'
        : `Portfolio.from_signals(${call}fees=…, slippage=…)`,
      ...differences.result(),
    };
  });
}
