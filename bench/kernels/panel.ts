/**
 * Cross-sections beside pandas and polars: 2,500 dates of 400 symbols, of which 5 % have no value. Ours is the whole
 * kernel, an Arrow table in and an Arrow table out, with the order of its rows checked; the peers compute the column
 * alone, and pandas on both of the forms that its users have a panel in, long and wide.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DateDay, Dictionary, Float64, Int32, makeData, Table, Utf8, Vector, vectorFromArray } from "apache-arrow";
import { requireKernel } from "volley/kernels";
import { type Peer, startPeer } from "../peers/peer.js";
import { type Measure, measure, median } from "../report.js";
import { draws } from "./draws.js";

const dates = 2_500;
const symbols = 400;
const rows = dates * symbols;

interface Work {
  readonly name: string;
  readonly kernel: string;
  readonly params: Record<string, unknown>;
  /** Columns of the result that the peers make too. */
  readonly column: string;
}

const columns = ["x"];
const ic = { factor: "x", returns: ["y"] };
const works: Readonly<Record<string, Work>> = {
  rank: { name: "rank", kernel: "panel.rank", params: { columns }, column: "x" },
  zscore: { name: "z-score", kernel: "panel.zscore", params: { columns }, column: "x" },
  demean: { name: "demean", kernel: "panel.demean", params: { columns }, column: "x" },
  winsorize: { name: "winsorize at 1 % and 99 %", kernel: "panel.winsorize", params: { columns }, column: "x" },
  quantile: {
    name: "5 quantile buckets",
    kernel: "panel.quantile",
    params: { columns, buckets: 5, meaning: "qcut" },
    column: "x",
  },
  ic: { name: "information coefficient, Spearman", kernel: "panel.ic", params: ic, column: "ic_y" },
  "ic-pearson": {
    name: "information coefficient, Pearson",
    kernel: "panel.ic",
    params: { ...ic, correlation: "pearson" },
    column: "ic_y",
  },
};

interface Input {
  /** NaN where missing. */
  readonly x: Float64Array;
  readonly y: Float64Array;
}

function input(): Input {
  const draw = draws(1);
  const normal = (): number => Math.sqrt(-2 * Math.log(1 - draw())) * Math.cos(2 * Math.PI * draw());
  const [x, y] = [new Float64Array(rows), new Float64Array(rows)];
  for (let row = 0; row < rows; row++) {
    const value = 100 + 15 * normal();
    x[row] = draw() < 0.05 ? Number.NaN : value;
    y[row] = draw() < 0.05 ? Number.NaN : 0.1 * value + 10 * normal();
  }
  return { x, y };
}

function nullable(values: Float64Array): Vector {
  const nullBitmap = new Uint8Array((rows + 7) >> 3);
  values.forEach((value, i) => {
    if (!Number.isNaN(value)) nullBitmap[i >> 3] = (nullBitmap[i >> 3] as number) | (1 << (i & 7));
  });
  const nullCount = values.reduce((count, value) => count + (Number.isNaN(value) ? 1 : 0), 0);
  const data = values.map((value) => (Number.isNaN(value) ? 0 : value));
  return new Vector([makeData({ type: new Float64(), length: rows, nullCount, nullBitmap, data })]);
}

/** Symbols as text, or as a dictionary of it. */
function tableOf({ x, y }: Input, asText: boolean): Table {
  const days = Int32Array.from({ length: rows }, (_, row) => 12_000 + Math.floor(row / symbols));
  const names = Array.from({ length: symbols }, (_, s) => `S${String(s).padStart(4, "0")}`);
  const codes = Int32Array.from({ length: rows }, (_, row) => row % symbols);
  const dictionary = vectorFromArray(names, new Utf8());
  const coded = new Vector([
    makeData({ type: new Dictionary(new Utf8(), new Int32()), length: rows, nullCount: 0, data: codes, dictionary }),
  ]);
  return new Table({
    date: new Vector([makeData({ type: new DateDay(), length: rows, nullCount: 0, data: days })]),
    symbol: asText
      ? vectorFromArray(
          Array.from(codes, (code) => names[code] as string),
          new Utf8(),
        )
      : coded,
    x: nullable(x),
    y: nullable(y),
  });
}

interface Sum {
  readonly sum: number;
  readonly n: number;
}

/** Of the magnitudes of what came out; nulls are stored as zero. */
function sumOf(table: Table, column: string): Sum {
  const vector = table.getChild(column) as Vector;
  let sum = 0;
  for (const value of vector.toArray() as Float64Array) sum += Math.abs(value);
  return { sum, n: vector.length - vector.nullCount };
}

const timed = (run: () => Table): { ms: number; result: Table } => {
  const start = performance.now();
  const result = run();
  return { ms: performance.now() - start, result };
};

/** Runs until the compiler has seen all of it. */
const warmUps = 8;
/** Of ours and each form of the peers in a repeat. */
const runs = 3;

/** pandas' qcut calls Python for every date, some seconds: once is enough to see what it makes. */
const slowMs = 1_000;

async function workMeasure(
  id: string,
  work: Work,
  table: Table,
  text: Table,
  repeats: number,
  peer: Peer | undefined,
  forms: readonly string[],
): Promise<Measure> {
  const kernel = requireKernel(work.kernel, 1);
  const ours = (on: Table): { ms: number; result: Table } => timed(() => kernel.run(on, work.params) as Table);
  for (let warm = 0; warm < warmUps; warm++) for (const on of [table, text]) ours(on);
  const [times, textTimes]: [number[], number[]] = [[], []];
  const theirs = new Map<string, number[]>();
  for (let repeat = 0; repeat < repeats; repeat++) {
    let result = table;
    for (let run = 0; run < runs; run++) {
      const made = ours(table);
      times.push(made.ms);
      result = made.result;
    }
    for (let run = 0; run < runs; run++) textTimes.push(ours(text).ms);
    for (const form of forms) {
      const known = theirs.get(form) ?? [];
      theirs.set(form, known);
      for (let run = 0; run < runs && !(median(known) > slowMs); run++) {
        const answer = await (peer as Peer).ask<Sum & { ms: number }>({ measure: "run", work: id, form });
        known.push(answer.ms);
        if (repeat === 0) agree(work, form, answer, sumOf(result, work.column));
      }
    }
  }
  const [best] = [...theirs].sort(([, a], [, b]) => median(a) - median(b));
  const all = [...theirs].map(([form, ms]) => `${form} ${median(ms).toFixed(1)}`).join("; ");
  return measure(`panel: ${work.name}, 2,500 dates x 400 symbols`, "ms", times, {
    better: "lower",
    ...(peer && best ? { peer: `${peer.name}: ${best[0]}`, peerRepeats: best[1] } : {}),
    note: `symbols as a dictionary; as text ${median(textTimes).toFixed(1)} ms${all ? `; the peers in ms: ${all}` : ""}`,
  });
}

/** The same numbers on both sides, or the times mean nothing. */
function agree(work: Work, form: string, theirs: Sum, ours: Sum): void {
  if (theirs.n !== ours.n || !(Math.abs(theirs.sum - ours.sum) <= 1e-9 * ours.sum))
    throw new Error(
      `${work.name}: ${form} has ${theirs.n} values of the sum ${theirs.sum}, ours are ${ours.n} of ${ours.sum}`,
    );
}

/** Repeats of ours and the peers' are interleaved; without VOLLEY_PEERS_PYTHON ours alone. */
export async function panelMeasures({ repeats }: { repeats: number }): Promise<Measure[]> {
  const python = process.env.VOLLEY_PEERS_PYTHON;
  const peer = python ? await startPeer(python, "panel_peers.py") : undefined;
  const folder = await mkdtemp(join(tmpdir(), "volley-bench-"));
  try {
    const given = input();
    const path = join(folder, "panel.bin");
    await writeFile(path, Buffer.concat([given.x, given.y].map((part) => Buffer.from(part.buffer))));
    const loaded = await peer?.ask<{ forms: Record<string, string[]> }>({ measure: "load", path, dates, symbols });
    const [table, text] = [tableOf(given, false), tableOf(given, true)];
    const measures: Measure[] = [];
    for (const [id, work] of Object.entries(works))
      measures.push(await workMeasure(id, work, table, text, repeats, peer, loaded?.forms[id] ?? []));
    return measures;
  } finally {
    await peer?.stop();
    await rm(folder, { recursive: true, force: true });
  }
}
