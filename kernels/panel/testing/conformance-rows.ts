/**
 * The panel kernels against the columns that bench/peers/panel_fixtures.py got from pandas, numpy, scipy and polars, at
 * every scale.
 */
import { readFileSync } from "node:fs";
import { DataType, type Table } from "apache-arrow";
import { optionalFloat64Column } from "../../columns/reading.js";
import type { Kernel } from "../../kernel.js";
import { type ConformanceRow, Differences } from "../../testing/conformance.js";
import { compareStored, type StoredColumns } from "../../testing/conformance-blocks.js";
import { panelKernels } from "../index.js";
import { conformancePanel } from "./conformance-panel.js";

type Peer = "pandas" | "numpy" | "scipy" | "polars";

interface PeerCell {
  /** Without the prefix `panel.`. */
  readonly kernel: string;
  readonly params: Readonly<Record<string, unknown>>;
  /** The kernel is applied to it, unless it names what it reads; and the result's column. */
  readonly column: string;
  readonly peer: Peer;
  /** The peer's call. */
  readonly option: string;
  readonly rows: "panel" | "dates" | "buckets" | "pairs" | "summary";
  /** Of the kept columns, one for each scale. */
  readonly columns: readonly number[];
}

interface Fixture extends StoredColumns {
  readonly peers: Readonly<Record<Peer, string>>;
  readonly scales: readonly number[];
  readonly cells: readonly PeerCell[];
}

/** Fixtures are not copied to dist. */
const readFixture = (): Fixture =>
  JSON.parse(
    readFileSync(new URL("../../../../kernels/fixtures/panel-peers.json", import.meta.url), "utf8"),
  ) as Fixture;

function run(name: string, ...args: unknown[]): Table {
  const kernel = panelKernels.find((one) => one.name === `panel.${name}`) as Kernel;
  return kernel.run(...args) as Table;
}

const byColumn = new Set(["rank", "quantile", "select", "zscore", "demean", "winsorize", "neutralise"]);

/** The table that a kernel reads. */
function inputsAt(scale: number): (kernel: string) => Table {
  const panel = conformancePanel(scale);
  const withForward = run("forward_returns", panel, { date: "day", horizons: [1], keep: ["x", "tied"] });
  const wide = run("pivot", panel, { date: "day", columns: ["x"] });
  const inputs: Readonly<Record<string, Table>> = { ic: withForward, quantile_returns: withForward, unpivot: wide };
  return (kernel) => inputs[kernel] ?? panel;
}

function oursOf({ kernel, params, column, rows }: PeerCell, table: Table): Float64Array {
  const made = run(kernel, table, {
    date: "day",
    ...params,
    ...(byColumn.has(kernel) ? { columns: [column], as: "{column}" } : {}),
  });
  if (rows === "summary")
    return Float64Array.from(["n", "mean", "std", "ir"], (name) => made.getChild(name)?.get(0) as number);
  const vector = made.getChild(column);
  return vector && DataType.isBool(vector.type)
    ? Float64Array.from([...vector], Number)
    : optionalFloat64Column(made, column);
}

const optionOf = ({ params, column }: PeerCell): string =>
  [
    ...Object.entries(params).map(
      ([name, value]) => `${name} ${Array.isArray(value) ? `[${value.join(", ")}]` : value}`,
    ),
    `→ ${column}`,
  ].join(", ");

export function panelConformance(): ConformanceRow[] {
  const { peers, scales, cells, ...kept } = readFixture();
  const inputs = scales.map(inputsAt);
  const bars = scales.reduce((total, scale) => total + conformancePanel(scale).numRows, 0);
  const rows = cells.map((cell) => {
    const differences = new Differences();
    cell.columns.forEach((index, at) => {
      const table = inputs[at]?.(cell.kernel) as Table;
      compareStored(kept, index, oursOf(cell, table), differences, scales[at] === 1);
    });
    const peer = `${cell.peer} ${peers[cell.peer]}`;
    return {
      kernel: `panel.${cell.kernel}`,
      option: optionOf(cell),
      peer,
      peerOption: cell.option,
      bars,
      ...differences.result(),
    };
  });
  const order = new Map<string, number>(panelKernels.map(({ name }, i) => [name, i]));
  return rows.sort((a, b) => (order.get(a.kernel) ?? 0) - (order.get(b.kernel) ?? 0));
}
