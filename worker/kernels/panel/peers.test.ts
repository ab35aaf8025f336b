/** Against the values that bench/peers/panel_fixtures.py got from pandas, numpy and scipy. */
import { readFileSync } from "node:fs";
import { Int32, Table, Utf8, vectorFromArray } from "apache-arrow";
import { describe, expect, it } from "vitest";
import { float64Vector, optionalFloat64Column } from "../columns.js";
import { requireKernel } from "../registry.js";

interface Cell {
  readonly kernel: string;
  readonly params: Readonly<Record<string, unknown>>;
  readonly column: string;
  /** The peer's call. */
  readonly option: string;
  readonly rows: "panel" | "dates" | "buckets" | "summary";
  readonly values: string;
}

interface Fixture {
  readonly symbol: readonly string[];
  readonly sector: readonly (string | null)[];
  readonly numbers: Readonly<Record<string, string>>;
  readonly cells: readonly Cell[];
}

const fixture = JSON.parse(readFileSync(new URL("../../../../worker/kernels/fixtures/panel-peers.json", import.meta.url), "utf8")) as Fixture;

function decode(text: string): Float64Array {
  const bytes = Buffer.from(text, "base64");
  return Float64Array.from({ length: bytes.length / 8 }, (_, i) => bytes.readDoubleLE(8 * i));
}

const panel = new Table({
  day: vectorFromArray([...decode(fixture.numbers.day as string)], new Int32()),
  symbol: vectorFromArray(fixture.symbol, new Utf8()),
  sector: vectorFromArray(fixture.sector, new Utf8()),
  ...Object.fromEntries(["x", "tied", "y", "size", "close"].map((name) => [name, float64Vector(decode(fixture.numbers[name] as string))])),
});

const run = (kernel: string, ...args: unknown[]): Table => requireKernel(`panel.${kernel}`, 1).run(...args) as Table;
const withForward = run("forward_returns", panel, { date: "day", horizons: [1], keep: ["x", "tied"] });

function ours({ kernel, params, column, rows }: Cell): number[] {
  if (["ic", "quantile_returns"].includes(kernel)) return [...optionalFloat64Column(run(kernel, withForward, { date: "day", ...params }), column)];
  const applied = ["forward_returns", "ic_decay", "turnover", "rank_autocorrelation"].includes(kernel) ? {} : { columns: [column] };
  const table = run(kernel, panel, { date: "day", ...params, ...applied });
  if (rows === "summary") return ["n", "mean", "std", "ir"].map((name) => table.getChild(name)?.get(0) as number);
  return [...optionalFloat64Column(table, column)];
}

describe("panel kernels against pandas, numpy and scipy", () => {
  const named = fixture.cells.map((cell) => [`${cell.kernel} ${JSON.stringify(cell.params)} of ${cell.column}`, cell.option, cell] as const);

  it.each(named)("%s: %s", (_, __, cell) => {
    const theirs = decode(cell.values);
    const made = ours(cell);
    expect(made.length).toBe(theirs.length);
    // Whole numbers are to be the same; others differ by the order of additions.
    const tolerance = cell.kernel === "rank" || cell.kernel === "quantile" ? 0 : cell.params.method === "regress" ? 1e-11 : 1e-13;
    const scale = theirs.reduce((most, value) => Math.max(most, Number.isNaN(value) ? 0 : Math.abs(value)), 0);
    const wrong = [...theirs].flatMap((value, i) => {
      const mine = made[i] as number;
      return (Number.isNaN(value) && Number.isNaN(mine)) || Math.abs(value - mine) <= tolerance * scale ? [] : [{ row: i, theirs: value, ours: mine }];
    });
    expect(wrong).toEqual([]);
  });

  it("covers every kernel that a peer has", () => {
    expect(new Set(fixture.cells.map(({ kernel }) => kernel))).toEqual(
      new Set([
        ...["rank", "quantile", "zscore", "demean", "neutralise", "winsorize", "forward_returns"],
        ...["ic", "ic_decay", "quantile_returns", "turnover", "rank_autocorrelation"],
      ]),
    );
    expect(panel.numRows).toBeGreaterThan(300);
  });
});
