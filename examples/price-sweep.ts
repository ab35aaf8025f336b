/**
 * A parameter sweep over 20 years of S&P 500 daily closes (npm package vega-datasets): the prices are put once as an
 * Arrow table, every combination is one task, and the best are chosen on the cluster.
 *
 *   node dist/examples/price-sweep.js
 */
import { readFile } from "node:fs/promises";
import { tableFromArrays } from "apache-arrow";
import { parse } from "csv-parse/sync";
import { connect } from "volley";
import type { Cross } from "./price-sweep-tasks.js";

const csv = await readFile(new URL("../data/sp500-2000.csv", import.meta.resolve("vega-datasets")));
const rows: { date: string; close: string }[] = parse(csv, { columns: true });
const prices = tableFromArrays({ close: Float64Array.from(rows, ({ close }) => Number(close)) });

const combinations: Cross[] = [];
for (let fast = 5; fast <= 60; fast += 5)
  for (let slow = fast + 10; slow <= 250; slow += 10) combinations.push({ fast, slow });

await using cluster = await connect();
const tasks = await cluster.deploy<typeof import("./price-sweep-tasks.js")>(
  new URL("./price-sweep-tasks.ts", import.meta.url),
  { pure: true },
);
const outcomes = tasks.cross.map(combinations, { shared: [await cluster.put(prices)] });
const best = await cluster.get(tasks.top.submit(outcomes, 3));

console.log(`${combinations.length} combinations on ${prices.numRows} days, ${rows[0]?.date} to ${rows.at(-1)?.date}`);
for (const { fast, slow, sharpe, growth, trades } of best) {
  console.log(
    `fast ${fast}, slow ${slow}: Sharpe ${sharpe.toFixed(2)}, growth ${growth.toFixed(2)}x, ${trades} trades`,
  );
}
