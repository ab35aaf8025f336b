/**
 * How much of a moving-average cross is luck? Twenty years of the S&P 500 (npm package vega-datasets), validated on the
 * cluster: walk-forward, combinatorial purged cross-validation, the probability of overfitting, and a bootstrap of what
 * is left. Each is one durable job, a task per split.
 *
 *   node dist/examples/walk-forward.js
 */
import { readFile } from "node:fs/promises";
import { Float64, Table, Utf8, vectorFromArray } from "apache-arrow";
import { parse } from "csv-parse/sync";
import { connect, type JsonGraphInput } from "volley";
import { parseGraph } from "volley/proto";
import { bootstrapGraph, cpcvGraph, overfittingGraph, walkForwardGraph } from "volley/research";

const csv = await readFile(new URL("../data/sp500-2000.csv", import.meta.resolve("vega-datasets")));
const rows: Record<string, string>[] = parse(csv, { columns: true });
const prices = new Table({
  date: vectorFromArray(
    rows.map(({ date }) => date),
    new Utf8(),
  ),
  ...Object.fromEntries(
    ["open", "high", "low", "close"].map((name) => [
      name,
      vectorFromArray(
        rows.map((row) => Number(row[name])),
        new Float64(),
      ),
    ]),
  ),
});

await using cluster = await connect();
const put = await cluster.put(prices);
const strategy = {
  prices: put.id,
  family: "ma-cross",
  grid: { fast: [5, 10, 20, 40], slow: [60, 100, 150, 200] },
} as const;
/** Results by output stage: a table for each of its tasks. */
async function run(graph: JsonGraphInput): Promise<Record<string, Table[]>> {
  const compiled = parseGraph(graph);
  const job = await cluster.run(compiled);
  return Object.fromEntries(
    await Promise.all(
      compiled.outputs.map(async (stage) => [compiled.stages[stage]?.name, await job.results<Table>(stage)]),
    ),
  );
}
const row = (table: Table | undefined): Record<string, number> =>
  (table?.get(0)?.toJSON() ?? {}) as Record<string, number>;
/** A year in cash has no Sharpe ratio. */
const two = (x: number | null | undefined): string => x?.toFixed(2) ?? "none";

// Eight years to choose, one year to trade, one step after the other.
const { report, choices, paths } = await run(walkForwardGraph({ ...strategy, splits: 12, train: 2_016, test: 252 }));
for (const { split, parameters, sharpeTrain, sharpeTest } of choices?.[0]?.toArray() ?? [])
  console.log(`split ${split}: ${parameters}, Sharpe ${two(sharpeTrain)} in training, ${two(sharpeTest)} after`);
const { trials, sharpeMean, efficiency } = row(report?.[0]);
const account = paths?.[0];
console.log(
  `walk-forward: ${trials} trials, Sharpe ${two(sharpeMean)} on ${account?.numRows} days out of sample, ${two(efficiency)} of the one in training`,
);

const cross = row((await run(cpcvGraph({ ...strategy, groups: 8, testGroups: 2, embargo: 200 }))).report?.[0]);
console.log(
  `CPCV: ${cross.splits} splits, ${cross.paths} paths, Sharpe ${two(cross.sharpeMin)} to ${two(cross.sharpeMax)}, ${two(cross.lossShare)} of the paths lost`,
);

const { choices: ways, pbo } = row((await run(overfittingGraph({ ...strategy, blocks: 10 }))).overfitting?.[0]);
console.log(`overfitting: in ${two(pbo)} of ${ways} ways to choose, the best is below the median afterwards`);

if (!account) throw new Error("the walk-forward has no account");
const { id } = await cluster.put(account);
const again = {
  returns: id,
  columns: ["return"],
  seed: 7,
  replicates: 400,
  meanBlock: 20,
  statistics: ["sharpe"],
  periodsPerYear: 252,
};
const interval = row((await run(bootstrapGraph(again))).intervals?.[0]);
const same = row((await run(bootstrapGraph({ ...again, tasks: 5 }))).intervals?.[0]);
const { lower, upper } = interval;
console.log(
  `bootstrap: Sharpe ${two(lower)} to ${two(upper)} at 95 %, the same from 16 tasks and from 5: ${JSON.stringify(interval) === JSON.stringify(same)}`,
);
