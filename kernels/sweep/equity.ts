/**
 * One combination looked at closely, by the same simulation as the sweep: its equity curve and its trades; and the
 * benchmark.
 */
import { Table } from "apache-arrow";
import { z } from "zod";
import { VolleyError } from "../../proto/errors.js";
import { boolVector, dayVector, float64Vector, int32Vector } from "../columns/building.js";
import { defineKernel, tableArg } from "../kernel.js";
import { type Bars, barsOf, type SweepSettings, splitOf, sweepSettings } from "./bars.js";
import { type FamilyName, familyName, familyOf, shareOf } from "./families.js";
import { openAccount, type Recorder, simulate } from "./simulate.js";
import { bothSides } from "./sweep.js";
import { parametersIn, SweepRows } from "./table.js";

/** Parameters by name, or a table of them (as sweep.select gives) of which the first row counts. */
const chosen = z.union([tableArg, z.record(z.string(), z.number())]).default({});

function parametersOf(name: FamilyName, choice: z.output<typeof chosen>): number[] {
  const family = familyOf(name);
  const given =
    choice instanceof Table
      ? parametersIn(choice, family, 0)
      : family.parameters.map((parameter) => choice[parameter] ?? Number.NaN);
  given.forEach((value, i) => {
    if (Number.isNaN(value))
      throw new VolleyError(
        "INVALID_ARGUMENT",
        `chosen.${family.parameters[i]} is missing: ${name} has the parameters ${family.parameters.join(", ")}`,
      );
  });
  if (!family.allows(given))
    throw new VolleyError(
      "INVALID_ARGUMENT",
      `chosen is ${family.parameters.map((p, i) => `${p} ${given[i]}`).join(", ")}: ${family.doc}`,
    );
  return given;
}

function record(
  bars: Bars,
  settings: SweepSettings,
  name: FamilyName,
  choice: z.output<typeof chosen>,
  recorder: Recorder,
): void {
  const split = splitOf(bars, settings);
  const rule = familyOf(name).rule(bars, parametersOf(name, choice), shareOf());
  const account = openAccount(rule);
  recorder.value(0, account.value, false);
  simulate(bars, rule, settings, 1, split, account, recorder);
  simulate(bars, rule, settings, split, bars.close.length, account, recorder);
}

export const sweepEquity = defineKernel({
  name: "sweep.equity",
  version: 1,
  causality: "causal",
  doc: "The equity curve of one combination: per bar the account's value (it starts with 1), the fall from its peak so far, and whether it is long at the close.",
  lookback: () => Number.POSITIVE_INFINITY,
  lag: 0,
  args: [
    ["prices", tableArg],
    ["family", familyName],
    ["chosen", chosen],
    ["settings", sweepSettings],
  ],
  run: ({ prices, family, chosen: choice, settings }) => {
    const bars = barsOf(prices);
    const equity = new Float64Array(bars.days.length);
    const drawdown = new Float64Array(bars.days.length);
    const held: boolean[] = [];
    let peak = 0;
    record(bars, settings, family, choice, {
      value: (bar, value, long) => {
        peak = Math.max(peak, value);
        equity[bar] = value;
        drawdown[bar] = value / peak - 1;
        held[bar] = long;
      },
      fill: () => undefined,
    });
    return new Table({
      date: dayVector(bars.days),
      equity: float64Vector(equity),
      drawdown: float64Vector(drawdown),
      long: boolVector(held),
    });
  },
});

export const sweepTrades = defineKernel({
  name: "sweep.trades",
  version: 1,
  causality: "label",
  doc: "The trades of one combination: days and prices (slippage in, fees out) of entry and exit, size, bars held, and the return after fees. A position still open at the end is marked at the last close (`open` is true). The row of an entry says how it came out: it is known at its exit.",
  args: [
    ["prices", tableArg],
    ["family", familyName],
    ["chosen", chosen],
    ["settings", sweepSettings],
  ],
  run: ({ prices, family, chosen: choice, settings }) => {
    const bars = barsOf(prices);
    const fills: { bar: number; price: number; size: number }[] = [];
    record(bars, settings, family, choice, {
      value: () => undefined,
      fill: (bar, _side, price, size) => fills.push({ bar, price, size }),
    });
    const last = bars.days.length - 1;
    const trades = fills.filter((_, i) => i % 2 === 0).map((entry, i) => ({ entry, exit: fills[2 * i + 1] }));
    const net = (entryPrice: number, exitPrice: number, exitFees: number): number =>
      (exitPrice * (1 - exitFees)) / (entryPrice * (1 + settings.fees)) - 1;
    return new Table({
      entryDate: dayVector(Int32Array.from(trades, ({ entry }) => bars.days[entry.bar] as number)),
      entryPrice: float64Vector(Float64Array.from(trades, ({ entry }) => entry.price)),
      exitDate: dayVector(Int32Array.from(trades, ({ exit }) => bars.days[exit?.bar ?? last] as number)),
      exitPrice: float64Vector(Float64Array.from(trades, ({ exit }) => exit?.price ?? (bars.close[last] as number))),
      open: boolVector(trades.map(({ exit }) => exit === undefined)),
      size: float64Vector(Float64Array.from(trades, ({ entry }) => entry.size)),
      bars: int32Vector(Int32Array.from(trades, ({ entry, exit }) => (exit?.bar ?? last) - entry.bar)),
      return: float64Vector(
        Float64Array.from(trades, ({ entry, exit }) =>
          exit ? net(entry.price, exit.price, settings.fees) : net(entry.price, bars.close[last] as number, 0),
        ),
      ),
    });
  },
});

export const sweepBenchmark = defineKernel({
  name: "sweep.benchmark",
  version: 1,
  causality: "summary",
  doc: "Buy and hold over the same bars, fills and fees: the statistics of a sweep in one row.",
  args: [
    ["prices", tableArg],
    ["settings", sweepSettings],
  ],
  run: ({ prices, settings }) => {
    const bars = barsOf(prices);
    const family = familyOf("buy-and-hold");
    const rows = new SweepRows(family, [[]]);
    rows.set(0, bothSides(bars, family.rule(bars, [], shareOf()), settings, splitOf(bars, settings)));
    return rows.table();
  },
});
