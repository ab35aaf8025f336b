/**
 * Features on 10,000 bars of 100 columns beside vectorbt (Numba on both layouts, and its Rust engine), TA-Lib and polars, on one core.
 *
 * Ours is what a worker's thread does for a kernel: columns lie in the shared memory, results are lent from it. The peers read their own
 * layout and allocate their results. Rounds of all kernels and peers are interleaved; figures are medians, and the peer is the fastest.
 */
import { rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import type { Feature } from "../../worker/kernels/features/form.js";
import { features } from "../../worker/kernels/features/index.js";
import { openWasmEngine, type WasmEngine } from "../../worker/kernels/wasm/engine.js";
import { type Peer, startPeer } from "../peers/peer.js";
import { type Measure, measure, median, type SuiteOptions } from "../report.js";

const rows = 10_000;
const columns = 100;
/** Of each kernel and peer in a round. */
const runs = 5;

interface Work {
  /** What the peers' script calls it. */
  readonly name: string;
  readonly feature: string;
  readonly params: Record<string, unknown>;
  readonly shown: string;
}

const works: readonly Work[] = [
  { name: "rolling_mean", feature: "rolling_mean", params: { window: 20 }, shown: "rolling mean, window 20" },
  { name: "rolling_std", feature: "rolling_std", params: { window: 20 }, shown: "rolling std, window 20" },
  { name: "rolling_min", feature: "rolling_min", params: { window: 20 }, shown: "rolling min, window 20" },
  { name: "ewm_mean", feature: "ema", params: { window: 20 }, shown: "ewm mean, span 20" },
  { name: "pct_change", feature: "pct_change", params: {}, shown: "pct_change, 1 bar" },
  { name: "rsi", feature: "rsi", params: {}, shown: "RSI 14, Wilder" },
  { name: "macd", feature: "macd", params: {}, shown: "MACD 12/26/9" },
  { name: "atr", feature: "atr", params: {}, shown: "ATR 14, Wilder" },
];

interface Bars {
  readonly high: Float64Array;
  readonly low: Float64Array;
  readonly close: Float64Array;
}

/** Random walks with ranges around them, the same on every run. */
function randomBars(room: (rows: number) => Float64Array): Bars[] {
  let state = 88_172_645;
  const uniform = (): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
  return Array.from({ length: columns }, () => {
    const bars = { high: room(rows), low: room(rows), close: room(rows) };
    let price = 20 + 200 * uniform();
    for (let i = 0; i < rows; i++) {
      price *= 1 + 0.02 * (uniform() - 0.5);
      bars.close[i] = price;
      bars.high[i] = price * (1 + 0.01 * uniform());
      bars.low[i] = price * (1 - 0.01 * uniform());
    }
    return bars;
  });
}

/** An engine whose memory has room for the columns beside its own region, and the columns in it. */
function place(): { engine: WasmEngine; bars: Bars[] } {
  const engine = openWasmEngine();
  if (!engine) throw new Error("the WebAssembly kernels are not built: npm run build");
  const stride = rows * 8 + 64;
  let at = engine.memory.grow(Math.ceil((3 * columns * stride) / 65_536)) * 65_536;
  const room = (length: number): Float64Array => {
    const column = new Float64Array(engine.memory.buffer, at, length);
    at += stride;
    return column;
  };
  return { engine, bars: randomBars(room) };
}

function inputsOf(feature: Feature, { high, low, close }: Bars): Float64Array[] {
  return feature.inputs.map((input) => (input === "high" ? high : input === "low" ? low : close));
}

interface Job {
  readonly work: Work;
  run(): void;
  readonly lent: number[];
  readonly own: number[];
  readonly peers: Map<string, number[]>;
}

function jobOf(work: Work, engine: WasmEngine, bars: readonly Bars[]): Job {
  const feature = features.find(({ name }) => name === work.feature);
  if (!feature?.wasm) throw new Error(`${work.feature} has no WebAssembly form`);
  const { exportName } = feature.wasm;
  const params = feature.parse(work.params);
  const run = (): void => {
    const groups = bars.map((bar) => ({ state: feature.create(params), inputs: inputsOf(feature, bar) }));
    if (!engine.run(exportName, feature.outputs.length, groups, rows)) throw new Error(`${exportName} did not run`);
  };
  return { work, run, lent: [], own: [], peers: new Map() };
}

function timed(times: number[], run: () => void): void {
  const start = performance.now();
  run();
  times.push(performance.now() - start);
}

async function load(peer: Peer, bars: readonly Bars[], log: (line: string) => void): Promise<string[]> {
  const file = path.join(tmpdir(), `volley-bars-${process.pid}.f64`);
  const parts = (["high", "low", "close"] as const).flatMap((part) => bars.map((bar) => Buffer.from(Float64Array.from(bar[part]).buffer)));
  writeFileSync(file, Buffer.concat(parts));
  try {
    const { peers, missing } = await peer.ask<{ peers: string[]; missing: Record<string, string> }>({ measure: "load", path: file, rows, columns });
    for (const [what, why] of Object.entries(missing)) log(`${what} is left out: ${why}`);
    return peers;
  } finally {
    rmSync(file);
  }
}

async function round(jobs: readonly Job[], engine: WasmEngine, peer: Peer | undefined, names: readonly string[]): Promise<void> {
  for (const job of jobs) {
    // One after another, as the peers' runs are.
    for (let i = 0; i < runs; i++) {
      engine.lend();
      timed(job.lent, job.run);
    }
    engine.own();
    for (let i = 0; i < runs; i++) timed(job.own, job.run);
    for (const name of names) {
      const { times } = (await peer?.ask<{ times: number[] }>({ measure: job.work.name, peer: name, runs })) ?? { times: [] };
      if (times.length > 0) job.peers.set(name, [...(job.peers.get(name) ?? []), ...times]);
    }
  }
}

function measureOf({ work, lent, own, peers }: Job): Measure {
  const byTime = [...peers].sort(([, a], [, b]) => median(a) - median(b));
  const [best] = byTime;
  const others = byTime.map(([name, times]) => `${name} ${median(times).toFixed(2)}`).join(", ");
  return measure(`${work.shown}, ${rows} x ${columns}`, "ms", lent, {
    better: "lower",
    ...(best ? { peer: best[0], peerRepeats: best[1] } : {}),
    note: `${median(own).toFixed(2)} ms with results copied out of the shared memory${others ? `; ${others}` : ""}`,
  });
}

export async function featureMeasures({ repeats, log }: SuiteOptions): Promise<Measure[]> {
  const python = process.env.VOLLEY_PEERS_PYTHON;
  const peer = python ? await startPeer(python, "feature_peers.py") : undefined;
  try {
    const { engine, bars } = place();
    const names = peer ? await load(peer, bars, log) : [];
    const jobs = works.map((work) => jobOf(work, engine, bars));
    // The compilers see all of it before anything counts.
    await round(jobs, engine, peer, names);
    for (const job of jobs) {
      job.lent.length = 0;
      job.own.length = 0;
      job.peers.clear();
    }
    for (let repeat = 0; repeat < repeats; repeat++) await round(jobs, engine, peer, names);
    return jobs.map(measureOf);
  } finally {
    await peer?.stop();
  }
}
