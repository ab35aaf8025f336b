/** The look-ahead check on a real cluster: it finds each of six planted mistakes, and passes the right form of each. */
import { type Table, tableFromArrays } from "apache-arrow";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type LocalCluster, startLocalCluster } from "../local/local-cluster.js";
import type { AuditInput, Cluster, Library, RemoteFunction } from "./api.js";
import { connect } from "./connect.js";

type Mutants = Library<typeof import("./audit-mutants.js")>;
type OfTables = RemoteFunction<(...tables: Table[]) => Table>;

let local: LocalCluster;
let cluster: Cluster;
let mutants: Mutants;
beforeAll(async () => {
  local = await startLocalCluster({ workers: 1, slots: 2, gateway: false });
  cluster = await connect({ url: local.url });
  mutants = await cluster.deploy<typeof import("./audit-mutants.js")>(new URL("./audit-mutants.js", import.meta.url));
});
afterAll(async () => {
  await cluster?.close();
  await local?.stop();
});

const day = 86_400_000;
const days = 24;
/** Two symbols; the second is delisted after 16 days. Times are numbers of milliseconds; a bar is known at its date. */
const rows = Array.from({ length: days }, (_, d) => [{ d, symbol: "AAA" }, ...(d < 16 ? [{ d, symbol: "BBB" }] : [])]).flat();
const bars = tableFromArrays({
  date: Float64Array.from(rows, ({ d }) => d * day),
  symbol: rows.map(({ symbol }) => symbol),
  close: Float64Array.from(rows, ({ d, symbol }) => 100 + d + 3 * Math.sin(d * (symbol === "AAA" ? 1 : 2))),
});
/** Filed in the evening, half a day after that date's bar; the first quarter of AAA is restated ten days later. */
const filed = [
  { symbol: "AAA", period: 0, filed: 3.5, value: 1 },
  { symbol: "BBB", period: 0, filed: 4.5, value: 2 },
  { symbol: "AAA", period: 0, filed: 13.5, value: 0.5 },
  { symbol: "AAA", period: 15, filed: 18.5, value: 3 },
];
const filings = tableFromArrays({
  symbol: filed.map(({ symbol }) => symbol),
  period: Float64Array.from(filed, ({ period }) => period * day),
  filed: Float64Array.from(filed, (filing) => filing.filed * day),
  value: Float64Array.from(filed, ({ value }) => value),
});

const barsOnly: AuditInput[] = [{ table: bars, known: "date" }];
const both: AuditInput[] = [...barsOnly, { table: filings, known: "filed" }];

const cases: readonly { mistake: string; wrong: () => unknown; right: () => unknown; inputs: AuditInput[]; time?: string }[] = [
  { mistake: "shift(-1)", wrong: () => mutants.shiftWrong, right: () => mutants.shiftRight, inputs: barsOnly },
  { mistake: "a centred window", wrong: () => mutants.centredWrong, right: () => mutants.centredRight, inputs: barsOnly },
  { mistake: "a full-sample z-score", wrong: () => mutants.zscoreWrong, right: () => mutants.zscoreRight, inputs: barsOnly },
  { mistake: "a same-day filing", wrong: () => mutants.sameDayWrong, right: () => mutants.sameDayRight, inputs: both },
  { mistake: "a restated value", wrong: () => mutants.restatedWrong, right: () => mutants.restatedRight, inputs: both },
  { mistake: "a survivorship filter", wrong: () => mutants.survivorsWrong, right: () => mutants.survivorsRight, inputs: barsOnly, time: "date" },
];

test.each(cases)("finds $mistake, and passes the right way", async ({ wrong, right, inputs, time }) => {
  const options = { cuts: "all" as const, ...(time === undefined ? {} : { time }) };
  const guilty = await cluster.audit(wrong() as OfTables, inputs, options);
  expect(guilty.ok, guilty.text).toBe(false);
  expect(guilty.finding).toMatchObject({ column: "value" });
  const innocent = await cluster.audit(right() as OfTables, inputs, options);
  expect(innocent.text).toMatch(/^no look-ahead found at 23 of 23 cuts/);
  expect(innocent).toMatchObject({ ok: true, cuts: 23, cutsPossible: 23, compared: 46, errors: [] });
});

test("names the first offending row, column and cut", async () => {
  const { finding, text } = await cluster.audit(mutants.sameDayWrong as unknown as OfTables, both, { cuts: "all" });
  // The filing of day 3.5 shows at the bar of day 3, which is row 6.
  expect(finding).toMatchObject({ column: "value", row: 6, cut: 3 * day, mode: "truncate", withFuture: "1", withoutFuture: "NaN" });
  expect(text).toContain("looks ahead: column value, row 6 changes when what was known after 259200000 is taken away");
});

test("a sample of the cuts is stated; a column that is missing is named", async () => {
  const report = await cluster.audit(mutants.shiftRight as unknown as OfTables, barsOnly, { cuts: 5 });
  expect(report).toMatchObject({ ok: true, cuts: 5, cutsPossible: 23 });
  await expect(cluster.audit(mutants.shiftRight as unknown as OfTables, { table: bars, known: "when" })).rejects.toThrow(/"when" is missing/);
});
