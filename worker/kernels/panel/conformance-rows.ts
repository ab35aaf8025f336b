/** The panel kernels against the values that bench/peers/panel_fixtures.py got from pandas, numpy and scipy. */
import { readFileSync } from "node:fs";
import { Int32, Table, Utf8, vectorFromArray } from "apache-arrow";
import { float64Vector, optionalFloat64Column } from "../columns.js";
import { type ConformanceRow, Differences } from "../conformance.js";
import type { Kernel } from "../kernel.js";
import { panelKernels } from "./index.js";

type Peer = "pandas" | "numpy" | "scipy";

export interface PeerCell {
  /** Without the prefix `panel.`. */
  readonly kernel: string;
  readonly params: Readonly<Record<string, unknown>>;
  readonly column: string;
  readonly peer: Peer;
  /** The peer's call. */
  readonly option: string;
  readonly rows: "panel" | "dates" | "buckets" | "summary";
  /** float64, little-endian, base64. */
  readonly values: string;
}

interface Fixture {
  readonly peers: Readonly<Record<Peer, string>>;
  readonly symbol: readonly string[];
  readonly sector: readonly (string | null)[];
  readonly numbers: Readonly<Record<string, string>>;
  readonly cells: readonly PeerCell[];
}

/** Fixtures are not copied to dist. */
const readFixture = (): Fixture =>
  JSON.parse(readFileSync(new URL("../../../../worker/kernels/fixtures/panel-peers.json", import.meta.url), "utf8")) as Fixture;

function decode(text: string): Float64Array {
  const bytes = Buffer.from(text, "base64");
  return Float64Array.from({ length: bytes.length / 8 }, (_, i) => bytes.readDoubleLE(8 * i));
}

function run(name: string, ...args: unknown[]): Table {
  const kernel = panelKernels.find((one) => one.name === `panel.${name}`) as Kernel;
  return kernel.run(...args) as Table;
}

/** Kernels that take no `columns`, but name what they read. */
const byRole = new Set(["forward_returns", "ic", "ic_decay", "quantile_returns", "turnover", "rank_autocorrelation"]);

export interface Comparison {
  readonly cell: PeerCell;
  readonly ours: Float64Array;
  readonly theirs: Float64Array;
}

/** Every cell with our values beside the peer's, NaN for null. */
export function peerComparisons({ symbol, sector, numbers, cells }: Pick<Fixture, "symbol" | "sector" | "numbers" | "cells"> = readFixture()): Comparison[] {
  const columns = Object.fromEntries(Object.entries(numbers).map(([name, text]) => [name, float64Vector(decode(text))]));
  const day = vectorFromArray([...decode(numbers.day as string)], new Int32());
  const panel = new Table({ ...columns, day, symbol: vectorFromArray(symbol, new Utf8()), sector: vectorFromArray(sector, new Utf8()) });
  const withForward = run("forward_returns", panel, { date: "day", horizons: [1], keep: ["x", "tied"] });
  return cells.map((cell) => {
    const { kernel, params, column, rows } = cell;
    const reads = kernel === "ic" || kernel === "quantile_returns" ? withForward : panel;
    const table = run(kernel, reads, { date: "day", ...params, ...(byRole.has(kernel) ? {} : { columns: [column] }) });
    const summary = ["n", "mean", "std", "ir"].map((name) => table.getChild(name)?.get(0) as number);
    return { cell, ours: rows === "summary" ? Float64Array.from(summary) : optionalFloat64Column(table, column), theirs: decode(cell.values) };
  });
}

const optionOf = ({ params, column }: PeerCell): string =>
  [...Object.entries(params).map(([name, value]) => `${name} ${Array.isArray(value) ? `[${value.join(", ")}]` : value}`), `→ ${column}`].join(", ");

export function panelConformance(): ConformanceRow[] {
  const fixture = readFixture();
  const order = new Map(panelKernels.map(({ name }, i) => [name, i]));
  const rows = peerComparisons(fixture).map(({ cell, ours, theirs }) => {
    const differences = new Differences();
    differences.add(ours, theirs, true);
    const peer = `${cell.peer} ${fixture.peers[cell.peer]}`;
    return { kernel: `panel.${cell.kernel}`, option: optionOf(cell), peer, peerOption: cell.option, ...differences.result() };
  });
  return rows.sort((a, b) => (order.get(a.kernel) ?? 0) - (order.get(b.kernel) ?? 0));
}
