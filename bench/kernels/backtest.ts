/**
 * Backtests beside vectorbt: its own two benchmarks of signals (P1: in and out of 1,000 symbols on every bar; P2: 5 %
 * of the prices missing), and a sweep of 10,000 moving-average crossovers over 5,000 bars. Ours is the whole kernel, an
 * Arrow table in and the Arrow table of orders or statistics out; the peer is its simulation alone, arrays in and
 * records out, and its Portfolio, whichever engine is faster.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  Bool,
  DateDay,
  Dictionary,
  Float64,
  Int32,
  makeData,
  Table,
  Utf8,
  Vector,
  vectorFromArray,
} from "apache-arrow";
import { requireKernel } from "volley/kernels";
import { type Peer, startPeer } from "../peers/peer.js";
import { type Measure, measure, median } from "../report.js";
import { draws } from "./draws.js";

interface Signals {
  readonly name: string;
  readonly rows: number;
  readonly columns: number;
  readonly close: Float64Array;
  readonly entries: Uint8Array;
  readonly exits: Uint8Array;
}

function everyBar(): Signals {
  const [rows, columns] = [1_000, 1_000];
  const draw = draws(1);
  const close = Float64Array.from({ length: rows * columns }, () => 100 + draw());
  const entries = Uint8Array.from({ length: rows * columns }, (_, i) => ((i % rows) % 2 === 0 ? 1 : 0));
  return {
    name: "1,000 bars x 1,000 symbols, an order on every bar",
    rows,
    columns,
    close,
    entries,
    exits: entries.map((flag) => 1 - flag),
  };
}

function withGaps(): Signals {
  const [rows, columns] = [10_000, 100];
  const draw = draws(2);
  const length = rows * columns;
  const close = Float64Array.from({ length }, () => (draw() < 0.05 ? Number.NaN : 100 + draw()));
  const flags = (): Uint8Array => Uint8Array.from({ length }, () => (draw() < 0.1 ? 1 : 0));
  return {
    name: "10,000 bars x 100 symbols, 5 % of the prices missing",
    rows,
    columns,
    close,
    entries: flags(),
    exits: flags(),
  };
}

function bitsOf(flags: Uint8Array): Vector {
  const data = new Uint8Array((flags.length + 7) >> 3);
  flags.forEach((flag, i) => {
    data[i >> 3] = (data[i >> 3] as number) | (flag << (i & 7));
  });
  return new Vector([makeData({ type: new Bool(), length: flags.length, nullCount: 0, data })]);
}

const daysOf = (length: number, rows: number): Vector =>
  new Vector([
    makeData({ type: new DateDay(), length, nullCount: 0, data: Int32Array.from({ length }, (_, i) => i % rows) }),
  ]);
const numbers = (data: Float64Array): Vector =>
  new Vector([makeData({ type: new Float64(), length: data.length, nullCount: 0, data })]);

function tableOf({ rows, columns, close, entries, exits }: Signals): Table {
  const { length } = close;
  const names = vectorFromArray(
    Array.from({ length: columns }, (_, c) => `S${c}`),
    new Utf8(),
  );
  const codes = Int32Array.from({ length }, (_, i) => Math.floor(i / rows));
  return new Table({
    date: daysOf(length, rows),
    symbol: new Vector([
      makeData({ type: new Dictionary(new Utf8(), new Int32()), length, nullCount: 0, data: codes, dictionary: names }),
    ]),
    close: numbers(close),
    entries: bitsOf(entries),
    exits: bitsOf(exits),
  });
}

/**
 * Runs until the compiler has seen all of it, as in a worker's thread that has been at it for a second. (The peer is
 * compiled by its first run.)
 */
const warmUps = 10;
/** Of ours and each form of the peer in a repeat. */
const runs = 3;

const timed = <T>(run: () => T): { ms: number; result: T } => {
  const start = performance.now();
  const result = run();
  return { ms: performance.now() - start, result };
};

interface Answer {
  readonly ms: number;
  readonly orders: number;
  readonly money: number;
}

async function signalsMeasure(
  input: Signals,
  repeats: number,
  peer: Peer | undefined,
  folder: string,
): Promise<Measure> {
  const { name, rows, columns, close, entries, exits } = input;
  const path = join(folder, "signals.bin");
  await writeFile(path, Buffer.concat([close, entries, exits].map((part) => Buffer.from(part.buffer))));
  const engines = peer
    ? (await peer.ask<{ engines: string[] }>({ measure: "load", name, path, rows, columns })).engines
    : [];
  const table = tableOf(input);
  const kernel = requireKernel("backtest.signals", 1);
  const ours = (): { ms: number; result: Table } =>
    timed(() => (kernel.run(table, { fill: "same-close", outputs: ["orders"] }) as { orders: Table }).orders);
  for (let warm = 0; warm < warmUps; warm++) ours();
  const times: number[] = [];
  const theirs = new Map<string, number[]>();
  for (let repeat = 0; repeat < repeats; repeat++) {
    let orders: Table | undefined;
    for (let run = 0; run < runs; run++) {
      const { ms, result } = ours();
      times.push(ms);
      orders = result;
    }
    for (const engine of engines) {
      for (const form of ["core", "portfolio"]) {
        const key = `${engine}, ${form}`;
        for (let run = 0; run < runs; run++) {
          const answer = await (peer as Peer).ask<Answer>({ measure: "signals", name, engine, form });
          theirs.set(key, [...(theirs.get(key) ?? []), answer.ms]);
          if (repeat === 0) agree(answer, orders as Table);
        }
      }
    }
  }
  const [best] = [...theirs].sort(([, a], [, b]) => median(a) - median(b));
  const all = [...theirs].map(([key, ms]) => `${key} ${median(ms).toFixed(1)}`).join("; ");
  return measure(`backtest.signals: ${name}`, "ms", times, {
    better: "lower",
    ...(peer && best
      ? { peer: `${peer.name}: ${best[0]}`, peerRepeats: best[1], note: `table to table, ours; the peer in ms: ${all}` }
      : {}),
  });
}

/** The same orders for the same money on both sides, or the times mean nothing. */
function agree(answer: Answer, orders: Table): void {
  const [size, price] = ["size", "price"].map((name) => orders.getChild(name)?.toArray()) as [
    Float64Array,
    Float64Array,
  ];
  const filled = size.reduce((count, value) => count + (value > 0 ? 1 : 0), 0);
  const money = size.reduce((sum, value, i) => sum + (value > 0 ? value * (price[i] as number) : 0), 0);
  if (answer.orders !== filled || !(Math.abs(answer.money - money) <= 1e-9 * money))
    throw new Error(`the peer has ${answer.orders} orders for ${answer.money}, ours are ${filled} for ${money}`);
}

const sweepBars = 5_000;
const fasts = Array.from({ length: 100 }, (_, i) => 3 + i);
const slows = Array.from({ length: 100 }, (_, i) => 107 + 2 * i);

/**
 * vectorbt is quicker with 250 combinations at once than with a thousand; the engine that is faster on a tenth of them
 * goes on to the whole.
 */
const peerChunk = 250;

async function sweepMeasure(repeats: number, peer: Peer | undefined, folder: string): Promise<Measure> {
  const draw = draws(3);
  const normal = (): number => Math.sqrt(-2 * Math.log(1 - draw())) * Math.cos(2 * Math.PI * draw());
  const [open, close] = [new Float64Array(sweepBars), new Float64Array(sweepBars)];
  let price = 100;
  for (let i = 0; i < sweepBars; i++) {
    open[i] = price * Math.exp(0.003 * normal());
    price *= Math.exp(0.0003 + 0.01 * normal());
    close[i] = price;
  }
  const table = new Table({
    date: daysOf(sweepBars, sweepBars),
    open: numbers(open),
    high: numbers(close),
    low: numbers(close),
    close: numbers(close),
  });
  const settings = { fees: 0.001, slippage: 0.0005, inSampleEnd: "1980-01-01" };
  const kernel = requireKernel("sweep.ma_cross", 1);
  const ours = (): { ms: number; result: Table } =>
    timed(() => kernel.run(table, { fast: fasts, slow: slows }, settings) as Table);
  ours();
  const path = join(folder, "prices.bin");
  await writeFile(path, Buffer.concat([open, close].map((part) => Buffer.from(part.buffer))));
  const engine = peer ? await fasterEngine(peer, path) : undefined;
  const times: number[] = [];
  const theirs: number[] = [];
  for (let repeat = 0; repeat < repeats; repeat++) {
    const { ms, result } = ours();
    times.push(ms);
    // The peer needs many seconds a time: twice is enough to see that they agree.
    if (!peer || repeat >= 2) continue;
    const answer = await peer.ask<{ ms: number; growth: number }>({
      measure: "sweep",
      engine,
      fasts,
      slows,
      chunk: peerChunk,
    });
    theirs.push(answer.ms);
    const growth = growthOf(result);
    if (!(Math.abs(answer.growth - growth) <= 1e-9 * growth))
      throw new Error(`the peer's accounts grow to ${answer.growth}, ours to ${growth}`);
  }
  return measure("sweep.ma_cross: 10,000 combinations x 5,000 bars", "ms", times, {
    better: "lower",
    ...(peer ? { peer: `${peer.name}: ${engine}`, peerRepeats: theirs } : {}),
    note: "ours: nine statistics on both sides of a split; the peer: Sharpe ratio, drawdown, return and trades of the whole",
  });
}

async function fasterEngine(peer: Peer, path: string): Promise<string> {
  const { engines } = await peer.ask<{ engines: string[] }>({ measure: "prices", path, rows: sweepBars });
  const times: [string, number][] = [];
  for (const engine of engines) {
    for (const count of [1, 10]) {
      const { ms } = await peer.ask<{ ms: number }>({
        measure: "sweep",
        engine,
        fasts: fasts.slice(0, count),
        slows,
        chunk: peerChunk,
      });
      if (count === 10) times.push([engine, ms]);
    }
  }
  return times.sort(([, a], [, b]) => a - b)[0]?.[0] as string;
}

/** The sum over all combinations of end value / start value. */
function growthOf(result: Table): number {
  const [inside, outside] = ["totalReturnIn", "totalReturnOut"].map((name) => result.getChild(name)?.toArray()) as [
    Float64Array,
    Float64Array,
  ];
  return inside.reduce((sum, value, i) => sum + (1 + value) * (1 + (outside[i] as number)), 0);
}

/** Repeats of ours and the peer's are interleaved; without VOLLEY_PEERS_PYTHON ours alone. */
export async function backtestMeasures({ repeats }: { repeats: number }): Promise<Measure[]> {
  const python = process.env.VOLLEY_PEERS_PYTHON;
  const peer = python ? await startPeer(python, "backtest_vectorbt.py") : undefined;
  const folder = await mkdtemp(join(tmpdir(), "volley-bench-"));
  try {
    return [
      await signalsMeasure(everyBar(), repeats, peer, folder),
      await signalsMeasure(withGaps(), repeats, peer, folder),
      await sweepMeasure(repeats, peer, folder),
    ];
  } finally {
    await peer?.stop();
    await rm(folder, { recursive: true, force: true });
  }
}
