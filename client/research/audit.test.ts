/** The look-ahead check on a real cluster: it finds each of six planted mistakes, and passes the right form of each. */
import { DateDay, Table, tableFromArrays, vectorFromArray } from "apache-arrow";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { LocalCluster } from "../../cluster/local/local-cluster.js";
import { startTestCluster } from "../../cluster/local/testing/test-cluster.js";
import type { Library, RemoteFunction } from "../sdk/api.js";
import { connect } from "../sdk/connect.js";
import { type AuditInput, type AuditingCluster, auditing } from "./audit.js";

type Mutants = Library<typeof import("./testing/audit-mutants.js")>;
type OfTables = RemoteFunction<(...tables: Table[]) => Table>;

let local: LocalCluster;
let cluster: AuditingCluster;
let mutants: Mutants;
beforeAll(async () => {
  local = await startTestCluster({ workers: 1, slots: 2, gateway: false });
  cluster = auditing(await connect({ url: local.url }));
  mutants = await cluster.deploy<typeof import("./testing/audit-mutants.js")>(
    new URL("./testing/audit-mutants.js", import.meta.url),
  );
});
afterAll(async () => {
  await cluster?.close();
  await local?.stop();
});

const day = 86_400_000;
const days = 24;
/** Two symbols; the second is delisted after 16 days. Times are numbers of milliseconds; a bar is known at its date. */
const rows = Array.from({ length: days }, (_, d) => [
  { d, symbol: "AAA" },
  ...(d < 16 ? [{ d, symbol: "BBB" }] : []),
]).flat();
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

type Mode = "truncate" | "poison";

/**
 * `at` is the first row that shows what its bar could not know, and the first cut at which it does, by the meaning of
 * each mistake. Which symbols are still there at the end is a matter of rows, not of values: no future that is spoilt
 * but there can tell.
 */
const cases: readonly {
  mistake: string;
  wrong: () => unknown;
  right: () => unknown;
  inputs: AuditInput[];
  time?: string;
  at: { row: number; day: number };
  modes: readonly Mode[];
}[] = [
  // Rows are AAA and BBB of day 0, of day 1, …: the second row of day 0 reads the first of day 1.
  {
    mistake: "shift(-1)",
    wrong: () => mutants.shiftWrong,
    right: () => mutants.shiftRight,
    inputs: barsOnly,
    at: { row: 1, day: 0 },
    modes: ["truncate", "poison"],
  },
  // Two rows to either side: the first row reads the first of day 1.
  {
    mistake: "a centred window",
    wrong: () => mutants.centredWrong,
    right: () => mutants.centredRight,
    inputs: barsOnly,
    at: { row: 0, day: 0 },
    modes: ["truncate", "poison"],
  },
  {
    mistake: "a full-sample z-score",
    wrong: () => mutants.zscoreWrong,
    right: () => mutants.zscoreRight,
    inputs: barsOnly,
    at: { row: 0, day: 0 },
    modes: ["truncate", "poison"],
  },
  // Filed on day 3.5, shown at AAA's bar of day 3.
  {
    mistake: "a same-day filing",
    wrong: () => mutants.sameDayWrong,
    right: () => mutants.sameDayRight,
    inputs: both,
    at: { row: 6, day: 3 },
    modes: ["truncate", "poison"],
  },
  // Restated on day 13.5, shown from the first bar that has the filing: AAA's of day 4.
  {
    mistake: "a restated value",
    wrong: () => mutants.restatedWrong,
    right: () => mutants.restatedRight,
    inputs: both,
    at: { row: 8, day: 4 },
    modes: ["truncate", "poison"],
  },
  // A row per date; on day 0 both cost 100.
  {
    mistake: "a survivorship filter",
    wrong: () => mutants.survivorsWrong,
    right: () => mutants.survivorsRight,
    inputs: barsOnly,
    time: "date",
    at: { row: 1, day: 1 },
    modes: ["truncate"],
  },
];

test.each(cases)(
  "finds $mistake by each check that can tell, and passes the right way",
  async ({ wrong, right, inputs, time, at, modes }) => {
    const options = { cuts: "all" as const, ...(time === undefined ? {} : { time }) };
    for (const mode of ["truncate", "poison"] as const) {
      const guilty = await cluster.audit(wrong() as OfTables, inputs, { ...options, modes: [mode] });
      if (modes.includes(mode))
        expect(guilty).toMatchObject({ ok: false, finding: { column: "value", row: at.row, cut: at.day * day, mode } });
      else expect(guilty).toMatchObject({ ok: true, compared: 23 });
    }
    const guilty = await cluster.audit(wrong() as OfTables, inputs, options);
    expect(guilty).toMatchObject({
      ok: false,
      finding: { column: "value", row: at.row, cut: at.day * day, mode: "truncate" },
    });
    expect(guilty.text).toContain(
      `looks ahead: column value, row ${at.row} changes when what was known after ${at.day * day} is taken away`,
    );
    const innocent = await cluster.audit(right() as OfTables, inputs, options);
    expect(innocent.text).toMatch(/^no look-ahead found at 23 of 23 cuts, truncated and poisoned$/);
    expect(innocent).toMatchObject({ ok: true, cuts: 23, cutsPossible: 23, compared: 46, errors: [] });
  },
);

test("finds by a spoilt future what refuses to run without one", async () => {
  const wrong = mutants.wholeYearWrong as unknown as OfTables;
  const report = await cluster.audit(wrong, barsOnly, { cuts: "all" });
  expect(report).toMatchObject({ ok: false, finding: { column: "value", row: 0, cut: 0, mode: "poison" } });
  await expect(cluster.audit(wrong, barsOnly, { cuts: "all", modes: ["truncate"] })).rejects.toThrow(
    /failed at every cut, so nothing was compared: .*the year is not complete/,
  );
});

test("a sample of the cuts is stated; a column that is missing is named", async () => {
  const report = await cluster.audit(mutants.shiftRight as unknown as OfTables, barsOnly, { cuts: 5 });
  expect(report).toMatchObject({ ok: true, cuts: 5, cutsPossible: 23 });
  await expect(
    cluster.audit(mutants.shiftRight as unknown as OfTables, { table: bars, known: "when" }),
  ).rejects.toThrow(/"when" is missing/);
});

test("a kernel that gives labels looks ahead by design, and says so; where its labels are known it passes", async () => {
  const [given] = barsOnly as [AuditInput];
  const options = { cuts: "all" as const, time: "date", args: [{ horizons: [1] }] };
  const alone = await cluster.audit(cluster.kernel("panel.forward_returns"), given, options);
  expect(alone).toMatchObject({ ok: false, causality: "label", finding: { column: "forward_1", row: 0, cut: 0 } });
  expect(alone.text).toMatch(
    /^by design, panel\.forward_returns with these arguments gives labels, .*lagged by their horizon\. It looks ahead: column forward_1, row 0 /,
  );
  const ahead = { cuts: 3, args: [{ on: { left: "date", right: "filed" }, by: "symbol", direction: "forward" }] };
  expect(await cluster.audit(cluster.kernel("asof.join"), both, ahead)).toMatchObject({
    ok: false,
    causality: "label",
  });
  const back = { cuts: 3, args: [{ on: { left: "date", right: "filed" }, by: "symbol" }] };
  expect(await cluster.audit(cluster.kernel("asof.join"), both, back)).toMatchObject({ ok: true, causality: "causal" });
  const early = await cluster.audit(mutants.labelled as unknown as OfTables, given, { cuts: "all" });
  expect(early.ok).toBe(false);
  expect(early).not.toHaveProperty("causality");
  expect(await cluster.audit(mutants.labelledLater as unknown as OfTables, given, { cuts: "all" })).toMatchObject({
    ok: true,
    compared: 46,
  });
});

test("a kernel that gives figures of its whole input says so", async () => {
  const report = await cluster.audit(cluster.kernel("stats.returns"), barsOnly, {
    cuts: 3,
    args: [{ columns: ["close"], periodsPerYear: 252 }],
  });
  expect(report).toMatchObject({ ok: false, causality: "summary" });
  expect(report.text).toMatch(/^by design, stats\.returns gives figures of its whole input, which belong to its end/);
});

test("nothing to compare is no pass", async () => {
  const right = mutants.shiftRight as unknown as OfTables;
  await expect(cluster.audit(right, { table: bars.slice(0, 2), known: "date" })).rejects.toThrow(
    /column "date" of the first table has one time or none/,
  );
  await expect(cluster.audit(right, { table: bars.slice(0, 0), known: "date" })).rejects.toThrow(
    /column "date" of the first table has one time or none/,
  );
  await expect(cluster.audit(right, barsOnly, { modes: [] })).rejects.toThrow(
    /options\.modes is \[\]: give truncate, poison or both/,
  );
});

test("dates are written as dates, and a table that was put is an input", async () => {
  const dated = new Table({
    date: vectorFromArray(
      Array.from({ length: 10 }, (_, d) => new Date(d * day)),
      new DateDay(),
    ),
    close: vectorFromArray(Float64Array.from({ length: 10 }, (_, d) => 100 + d)),
  });
  const wrong = await cluster.audit(mutants.zscoreWrong as unknown as OfTables, { table: dated, known: "date" });
  expect(wrong.text).toMatch(/what was known after 1970-01-01 is taken away/);
  const right = await cluster.audit(
    cluster.kernels.sma,
    { table: await cluster.put(dated), known: "date" },
    { args: [{ window: 3 }] },
  );
  expect(right).toMatchObject({ ok: true, cuts: 9 });
});

test("rows out of order are refused where they say which output is whose, with the way out", async () => {
  const late = tableFromArrays({ date: Float64Array.of(2 * day, 0, day), close: Float64Array.of(1, 2, 3) });
  await expect(
    cluster.audit(cluster.kernels.sma, { table: late, known: "date" }, { args: [{ window: 2 }] }),
  ).rejects.toMatchObject({
    code: "INVALID_ARGUMENT",
    message: expect.stringMatching(/not in the order of "date" \(row 1 is earlier.*option time/),
  });
});
