/** The features against TA-Lib, pandas, polars and vectorbt: the values that bench/peers/feature_fixtures.py made, for the tests. */
import { readFileSync } from "node:fs";
import { VolleyError } from "../../../proto/errors.js";
import { type ConformanceRow, Differences, unexplainedRelMax } from "../conformance.js";
import { conformanceColumns, conformanceRows } from "./conformance-bars.js";
import { features } from "./index.js";

interface Cell {
  readonly kernel: string;
  readonly params: Readonly<Record<string, unknown>>;
  readonly output: string;
  readonly option: string;
  readonly scale: number;
  readonly gaps: boolean;
  /** The sample: the first bars, and every so many after them. */
  readonly first: number;
  readonly every: number;
  /** The peer fills bars whose input is missing; they are left out. */
  readonly present?: boolean;
  /** Columns in place of those of the inputs' names. */
  readonly inputs?: Readonly<Record<string, string>>;
  /** float64, little-endian, base64. */
  readonly values: string;
}

interface Fixture {
  readonly peer: string;
  readonly version: string;
  readonly cells: readonly Cell[];
}

const peers = ["ta-lib", "pandas", "polars", "vectorbt"];

const residue =
  "The peer takes the small difference of large running sums. Where a price stands still, a remainder stays of what should be " +
  "0, and its root or quotient is what is seen here; ours is exactly 0 there, and the quotient null.";
/** Notes by kernel and peer: why a row differs by more than rounding. */
const notes: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  rolling_std: { pandas: residue, vectorbt: residue },
  rolling_var: { pandas: residue },
  rolling_zscore: { pandas: residue },
  rolling_corr: {
    pandas: residue,
    polars: residue,
    "TA-Lib": "TA-Lib gives 0 where one of the series does not vary; ours is null, as a correlation is not defined there.",
  },
  rolling_cov: { pandas: residue, polars: residue },
  rolling_beta: { pandas: residue },
  bollinger: { pandas: residue, vectorbt: residue },
  macd: { "TA-Lib": "TA-Lib withholds the line until there is a signal, 8 bars; ours gives it as soon as it is defined." },
};

const read = (peer: string): Fixture =>
  JSON.parse(readFileSync(new URL(`../../../../worker/kernels/fixtures/features-${peer}.json`, import.meta.url), "utf8")) as Fixture;

function valuesOf(cell: Cell): Float64Array {
  const bytes = Buffer.from(cell.values, "base64");
  return Float64Array.from({ length: bytes.length / 8 }, (_, i) => bytes.readDoubleLE(8 * i));
}

/** The bars that a fixture keeps, as in bench/peers/feature_fixtures.py: the first ones, every so many after them, and the first suspension. */
function sampleOf({ first, every }: Cell): number[] {
  const all = Array.from({ length: conformanceRows }, (_, i) => i);
  return all.filter((i) => i < first || (i - first) % every === 0 || (i >= 696 && i < 784 && i % 4 === 0));
}

function compare(cell: Cell, into: Differences): void {
  const feature = features.find(({ name }) => name === cell.kernel);
  const place = feature?.outputs.indexOf(cell.output) ?? -1;
  if (!feature || place < 0) throw new VolleyError("INTERNAL", `a fixture names ${cell.kernel} ${cell.output}`);
  const columns = conformanceColumns(cell.scale, cell.gaps);
  const inputs = feature.inputs.map((input) => columns[cell.inputs?.[input] ?? input] ?? new Float64Array(conformanceRows).fill(Number.NaN));
  const ours = feature.batch(cell.params, ...inputs)[place] as Float64Array;
  const theirs = valuesOf(cell);
  const bars = sampleOf(cell);
  const kept = bars.flatMap((bar, i) => (cell.present && Number.isNaN(inputs[0]?.[bar]) ? [] : [{ bar, i }]));
  into.add(
    kept.map(({ bar }) => ours[bar] as number),
    kept.map(({ i }) => theirs[i] as number),
    cell.scale === 1,
  );
}

const optionOf = ({ params, output }: Cell, outputs: number): string =>
  [...Object.entries(params).map(([name, value]) => `${name} ${value}`), ...(outputs > 1 ? [`→ ${output}`] : [])].join(", ") || "–";

export function featureConformance(): ConformanceRow[] {
  const rows: ConformanceRow[] = [];
  for (const { peer, version, cells } of peers.map(read)) {
    const groups = new Map<string, Cell[]>();
    for (const each of cells) {
      const key = JSON.stringify([each.kernel, each.params, each.output, each.option]);
      groups.set(key, [...(groups.get(key) ?? []), each]);
    }
    for (const [cell, ...more] of groups.values()) {
      if (!cell) continue;
      const differences = new Differences();
      for (const each of [cell, ...more]) compare(each, differences);
      const outputs = features.find(({ name }) => name === cell.kernel)?.outputs.length ?? 1;
      const result = differences.result();
      const note = result.nullsDiffer > 0 || result.maxRel > unexplainedRelMax ? notes[cell.kernel]?.[peer] : undefined;
      rows.push({
        ...{ kernel: `feature.${cell.kernel}`, option: optionOf(cell, outputs), peer: `${peer} ${version}`, peerOption: cell.option },
        ...result,
        ...(note === undefined ? {} : { note }),
      });
    }
  }
  const order = new Map(features.map(({ name }, i) => [`feature.${name}`, i]));
  return rows.sort((a, b) => (order.get(a.kernel) ?? 0) - (order.get(b.kernel) ?? 0));
}
