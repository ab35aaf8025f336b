/**
 * The features against TA-Lib, pandas, polars and vectorbt: the values that bench/peers/feature_fixtures.py made, for
 * the tests.
 */
import { readFileSync } from "node:fs";
import { VolleyError } from "../../../proto/errors.js";
import { type ConformanceRow, Differences, unexplainedRelMax, worstOf } from "../../testing/conformance.js";
import { compareStored, type StoredColumns } from "../../testing/conformance-blocks.js";
import { features } from "../index.js";
import { conformanceColumns, conformanceRows, type Gaps } from "./conformance-bars.js";

interface Run {
  readonly scale: number;
  readonly gaps: Gaps;
  /** Which of the fixture's columns. */
  readonly column: number;
}

interface Cell {
  readonly kernel: string;
  readonly params: Readonly<Record<string, unknown>>;
  readonly output: string;
  readonly option: string;
  /** The peer fills bars whose input is missing; they are left out. */
  readonly present?: boolean;
  /** Columns in place of those of the inputs' names. */
  readonly inputs?: Readonly<Record<string, string>>;
  readonly runs: readonly Run[];
}

interface Fixture extends StoredColumns {
  readonly peer: string;
  readonly version: string;
  readonly cells: readonly Cell[];
}

const peers = ["ta-lib", "pandas", "polars", "vectorbt"];

const residue =
  "The peer takes small differences of large running sums, which costs digits, and most of them where a price stands still: a remainder stays of " +
  "what should be 0, and its root or quotient is what is seen here; ours is exactly 0 there, and the quotient null.";
const still = "TA-Lib gives 0 where one of the series does not vary; ours is null, as neither is defined there.";
const excuse = (note: string, rel: number, nullsDiffer = 0): Pick<ConformanceRow, "note" | "limits"> => ({
  note,
  limits: { rel, nullsDiffer },
});

/** Rows that differ by more than rounding, by kernel and peer: why, and by how much they may. */
const excuses: Readonly<Record<string, Pick<ConformanceRow, "note" | "limits">>> = {
  "rolling_std pandas": excuse(residue, 0.2),
  "rolling_std vectorbt": excuse(residue, 0.2),
  "rolling_var pandas": excuse(residue, 4e-7),
  "rolling_zscore pandas": excuse(residue, 6e-9, 287),
  "rolling_skew pandas": excuse(residue, 6e-9),
  "rolling_kurt pandas": excuse(residue, 2e-7),
  "rolling_quantile polars": excuse(
    "Of two places equally near polars takes the upper one; numpy, pandas and ours take the even one.",
    0.05,
  ),
  "rolling_corr TA-Lib": excuse(still, 5e-10, 1_176),
  "rolling_corr pandas": excuse(residue, 1e-7, 42),
  "rolling_corr polars": excuse(residue, 7e-9),
  "rolling_cov pandas": excuse(residue, 4e-7),
  "rolling_cov polars": excuse(residue, 5e-8),
  "rolling_beta TA-Lib": excuse(still, 1e-11, 1_148),
  "rolling_beta pandas": excuse(residue, 1e-4, 619),
  "bollinger pandas": excuse(residue, 2e-5),
  "bollinger vectorbt": excuse(residue, 2e-5),
  "macd TA-Lib": excuse(
    "TA-Lib withholds the line until there is a signal, 8 bars; ours gives it as soon as it is defined.",
    1e-9,
    32,
  ),
  "macd vectorbt": excuse(
    "vectorbt's signal starts at the first line that it gives, at bar 25; ours at the line of bar 0. The two come together.",
    0.4,
  ),
  "realized_volatility pandas": excuse(residue, 2e-3),
};

const read = (peer: string): Fixture =>
  JSON.parse(
    readFileSync(new URL(`../../../../kernels/fixtures/features-${peer}.json`, import.meta.url), "utf8"),
  ) as Fixture;

function compare(cell: Cell, { scale, gaps, column }: Run, fixture: Fixture, into: Differences): void {
  const feature = features.find(({ name }) => name === cell.kernel);
  const place = feature?.outputs.indexOf(cell.output) ?? -1;
  if (!feature || place < 0) throw new VolleyError("INTERNAL", `a fixture names ${cell.kernel} ${cell.output}`);
  const columns = conformanceColumns(scale, gaps);
  const inputs = feature.inputs.map(
    (input) => columns[cell.inputs?.[input] ?? input] ?? new Float64Array(conformanceRows).fill(Number.NaN),
  );
  const ours = feature.batch(cell.params, ...inputs)[place] as Float64Array;
  compareStored(fixture, column, ours, into, scale === 1);
}

const optionOf = ({ params, output }: Cell, outputs: number): string =>
  [...Object.entries(params).map(([name, value]) => `${name} ${value}`), ...(outputs > 1 ? [`→ ${output}`] : [])].join(
    ", ",
  ) || "–";

function rowOf(cell: Cell, fixture: Fixture): ConformanceRow {
  const differences = new Differences();
  for (const run of cell.runs) compare(cell, run, fixture, differences);
  const result = differences.result();
  const excused =
    result.nullsDiffer > 0 || worstOf(result) > unexplainedRelMax
      ? excuses[`${cell.kernel} ${fixture.peer}`]
      : undefined;
  const outputs = features.find(({ name }) => name === cell.kernel)?.outputs.length ?? 1;
  return {
    kernel: `feature.${cell.kernel}`,
    option: optionOf(cell, outputs),
    peer: `${fixture.peer} ${fixture.version}`,
    peerOption: cell.option,
    ...result,
    ...excused,
  };
}

export function featureConformance(): ConformanceRow[] {
  const rows = peers.map(read).flatMap((fixture) => fixture.cells.map((cell) => rowOf(cell, fixture)));
  const order = new Map(features.map(({ name }, i) => [`feature.${name}`, i]));
  return rows.sort((a, b) => (order.get(a.kernel) ?? 0) - (order.get(b.kernel) ?? 0));
}
