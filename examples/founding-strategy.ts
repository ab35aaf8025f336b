/**
 * Small caps with low price-to-book, rebalanced once a year: point in time, and with each of the classic mistakes.
 *
 * The market is synthetic, and cheap small caps earn 15 % a year more than other small caps in it, because they were
 * made to. Annual statements are due on the last trading day of April, and half of the companies publish theirs on that
 * evening. We buy at that day's close.
 *
 *   node dist/examples/founding-strategy.js
 */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { connect } from "volley";
import { openLake } from "volley/lake";
import { closeMs, makeMarket, writeMarket } from "volley/synth";

const market = { seed: 2004, symbols: 500, years: 14, effect: 0.15 };
const folder = await mkdtemp(path.join(tmpdir(), "volley-market-"));
await writeMarket({ ...market, out: folder, by: "date" });

await using cluster = await connect();
const tasks = await cluster.deploy<typeof import("./founding-strategy-tasks.js")>(
  new URL("./founding-strategy-tasks.ts", import.meta.url),
  { pure: true },
);
const {
  asof: { pit },
  panel: { select },
} = cluster.kernels;

// One row a symbol and rebalance: of 168 monthly files the 14 of April are read, the statistics of the others say that
// they have no such day.
const { calendar } = makeMarket({ ...market, symbols: 1 });
const rebalances = Array.from(calendar.deadlines, (index) => new Date((calendar.days[index] as number) * 86_400_000));
const lake = await openLake(path.join(folder, "prices/*.parquet"), {
  columns: ["date", "symbol", "close", "shares", "factor"],
  where: [["date", "in", rebalances]],
});
const prices = await cluster.put(await lake.table());
const putFile = async (file: string) => cluster.put(await (await openLake(path.join(folder, file))).table());
const statements = await putFile("statements.parquet");
const symbols = await putFile("symbols.parquet");
const panel = tasks.measure.submit(prices);

interface Choice {
  /** The moment of the day, after midnight, up to which publications are seen. */
  readonly decisionMs?: number;
  /** Columns: the time up to which one looks, and when a statement counts as known. */
  readonly time?: string;
  readonly known?: string;
  readonly facts?: typeof statements;
  readonly survivorsOnly?: boolean;
}

function backtest({
  decisionMs = closeMs,
  time = "date",
  known = "known",
  facts = statements,
  survivorsOnly = false,
}: Choice = {}) {
  const seen = pit.submit(panel, facts, {
    time,
    event: "event",
    known,
    by: ["symbol"],
    decisionMs,
    columns: ["book"],
  });
  const small = select.submit(tasks.priceToBook.submit(seen), {
    columns: ["cap"],
    side: "bottom",
    fraction: 0.2,
    meaning: "count",
    as: "small",
    keep: ["pb", "value"],
  });
  const cheap = select.submit(small, {
    columns: ["pb"],
    mask: "small",
    side: "bottom",
    fraction: 1 / 3,
    meaning: "count",
    as: "cheap",
    keep: ["small", "value"],
  });
  return cluster.get(tasks.hold.submit(cheap, symbols, survivorsOnly));
}

const right = await backtest();
const percent = (value: number): string => `${(value * 100).toFixed(1)} %`;
console.log(
  `${lake.partitions.length} of ${lake.partitions.length + lake.pruned.files} price files read, ${right.held} positions in ${right.years} years`,
);
console.log(
  `point in time: cheap small caps ${percent(right.cheap)}, other small caps ${percent(right.others)}, difference ${percent(right.cheap - right.others)}`,
);

const mistakes: Record<string, Choice> = {
  "filing of the same evening": { decisionMs: 24 * 3_600_000 },
  "no publication lag": { known: "event" },
  "restated values": { facts: tasks.correctedFromTheStart.submit(statements) },
  "survivors only": { survivorsOnly: true },
  "returns of the same period": { time: "next" },
};
for (const [name, choice] of Object.entries(mistakes)) {
  const wrong = await backtest(choice);
  console.log(`${name}: cheap small caps ${percent(wrong.cheap)}, ${percent(wrong.cheap - right.cheap)} too much`);
}
const { planted } = JSON.parse(await readFile(path.join(folder, "market.json"), "utf8")) as { planted: string[][] };
console.log(`planted in ${planted.length} years: ${percent(market.effect)} a year`);
await rm(folder, { recursive: true });
