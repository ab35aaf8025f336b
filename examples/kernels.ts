/**
 * The kernel library on twenty years of the S&P 500 (npm package vega-datasets): features, an as-of join of the monthly
 * closes on the days after them, and a backtest of what the RSI says. Kernels feed each other by refs; nothing comes
 * back before it is asked for.
 *
 *   node dist/examples/kernels.js
 */
import { readFile } from "node:fs/promises";
import { Bool, DateDay, Float64, Table, vectorFromArray } from "apache-arrow";
import { parse } from "csv-parse/sync";
import { connect } from "volley";

const csv = await readFile(new URL("../data/sp500-2000.csv", import.meta.resolve("vega-datasets")));
const rows: Record<string, string>[] = parse(csv, { columns: true });
const numbers = (name: string) =>
  vectorFromArray(
    rows.map((row) => Number(row[name])),
    new Float64(),
  );
const days = rows.map(({ date }) => new Date(`${date}T00:00:00Z`));
const prices = new Table({
  date: vectorFromArray(days, new DateDay()),
  open: numbers("open"),
  close: numbers("close"),
});

await using cluster = await connect();
const { rsi, rolling_std, asof, backtest } = cluster.kernels;

const bars = await cluster.put(prices);
const strength = await cluster.get(rsi.submit(bars, { window: 14, columns: ["close"], as: "rsi" }));
const spread = await cluster.get(rolling_std.submit(bars, { window: 20, columns: ["close"], as: "std" }));
console.log(
  `day 15: RSI ${strength.getChild("rsi")?.get(14).toFixed(2)}; day 20: standard deviation ${spread.getChild("std")?.get(19).toFixed(2)}`,
);

// Every day with the close of the last month that had ended before it.
const ends = rows.flatMap((row, i) => (row.date?.slice(0, 7) === rows[i + 1]?.date?.slice(0, 7) ? [] : [i]));
const months = new Table({
  date: vectorFromArray(
    ends.map((i) => days[i] as Date),
    new DateDay(),
  ),
  monthClose: vectorFromArray(
    ends.map((i) => Number(rows[i]?.close)),
    new Float64(),
  ),
});
const joined = await cluster.get(asof.join.submit(bars, months, { on: "date", exact: false, columns: ["monthClose"] }));
console.log(`${joined.numRows} days, ${joined.getChild("monthClose")?.nullCount} before the first month's end`);

// Buy below 30, sell above 55, filled at the next open, for 5 basis points and as much slippage.
const says = (test: (value: number) => boolean) =>
  vectorFromArray(
    [...(strength.getChild("rsi") ?? [])].map((value) => value !== null && test(value)),
    new Bool(),
  );
const signals = prices.assign(new Table({ entries: says((value) => value < 30), exits: says((value) => value > 55) }));
const { trades, equity } = await cluster.get(
  backtest.signals.submit(signals, { cash: 100_000, fees: 0.0005, slippage: 0.0005, outputs: ["trades", "equity"] }),
);
console.log(
  `${trades?.numRows} trades on ${equity?.numRows} days; 100,000 became ${equity?.getChild("value")?.at(-1).toFixed(0)}`,
);
