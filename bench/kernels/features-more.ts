/**
 * The features that vectorbt's own table (features.ts) does not have, on 10,000 bars of 100 columns beside TA-Lib, pandas, polars, vectorbt
 * and numpy, each on one core.
 *
 * Ours is what a worker's thread does for a kernel: columns lie in the shared memory, results are lent from it, and a feature without a
 * WebAssembly form runs in TypeScript into arrays of its own. The peers read their own layout and allocate their results. Rounds of all
 * kernels and peers are interleaved; figures are medians, and the peer is the fastest that has the feature.
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
const runs = 3;

/** What the peers get too, by the same names. */
const parts = ["high", "low", "close", "volume", "buy", "sell", "other", "gaps", "growth"] as const;
type Part = (typeof parts)[number];
type Bars = Readonly<Record<Part, Float64Array>>;

interface Work {
  readonly feature: string;
  readonly params: Record<string, unknown>;
  readonly inputs: readonly (Part | "none")[];
  readonly shown: string;
}

const window = 20;
const one = ["close"] as const;
const two = ["close", "other"] as const;

const works: readonly Work[] = [
  { feature: "wma", params: { window }, inputs: one, shown: "WMA 20" },
  { feature: "dema", params: { window }, inputs: one, shown: "DEMA 20" },
  { feature: "tema", params: { window }, inputs: one, shown: "TEMA 20" },
  { feature: "rolling_median", params: { window }, inputs: one, shown: "rolling median, window 20" },
  { feature: "rolling_quantile", params: { window, q: 0.25 }, inputs: one, shown: "rolling quantile 0.25, window 20" },
  { feature: "rolling_rank", params: { window }, inputs: one, shown: "rolling rank, window 20" },
  { feature: "rolling_skew", params: { window }, inputs: one, shown: "rolling skewness, window 20" },
  { feature: "rolling_kurt", params: { window }, inputs: one, shown: "rolling kurtosis, window 20" },
  { feature: "rolling_cov", params: { window }, inputs: two, shown: "rolling covariance, window 20" },
  { feature: "rolling_corr", params: { window }, inputs: two, shown: "rolling correlation, window 20" },
  { feature: "rolling_beta", params: { window }, inputs: two, shown: "rolling beta, window 20" },
  { feature: "log_return", params: {}, inputs: one, shown: "log return, 1 bar" },
  { feature: "shift", params: {}, inputs: one, shown: "shift, 1 bar" },
  { feature: "cumsum", params: {}, inputs: one, shown: "cumulative sum" },
  { feature: "cumprod", params: {}, inputs: ["growth"], shown: "cumulative product" },
  { feature: "cummax", params: {}, inputs: one, shown: "cumulative maximum" },
  { feature: "cummin", params: {}, inputs: one, shown: "cumulative minimum" },
  { feature: "ffill", params: {}, inputs: ["gaps"], shown: "ffill, a tenth missing" },
  { feature: "vwap", params: {}, inputs: ["high", "low", "close", "volume", "none"], shown: "VWAP since the beginning" },
  { feature: "rolling_vwap", params: { window, price: "close" }, inputs: ["high", "low", "close", "volume"], shown: "rolling VWAP, window 20" },
  { feature: "volume_power", params: { window }, inputs: ["buy", "sell"], shown: "volume power, window 20" },
  { feature: "realized_volatility", params: { window, periodsPerYear: 252 }, inputs: one, shown: "realized volatility, window 20" },
];

/** Random walks with ranges and volumes, the same on every run. */
function randomBars(room: () => Float64Array): Bars[] {
  let state = 88_172_645;
  const uniform = (): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
  return Array.from({ length: columns }, () => {
    const bars = Object.fromEntries(parts.map((part) => [part, room()])) as unknown as Bars;
    let price = 20 + 200 * uniform();
    let other = 20 + 200 * uniform();
    for (let i = 0; i < rows; i++) {
      const market = 0.01 * (uniform() - 0.5);
      const growth = 1 + market + 0.02 * (uniform() - 0.5);
      const volume = Math.round(1_000 + 9_000 * uniform());
      const bought = Math.round(volume * uniform());
      price *= growth;
      other *= 1 + market + 0.02 * (uniform() - 0.5);
      const bar = { high: price * (1 + 0.01 * uniform()), low: price * (1 - 0.01 * uniform()), close: price, volume, buy: bought, sell: volume - bought };
      const more = { other, gaps: uniform() < 0.1 ? Number.NaN : price, growth };
      for (const [part, value] of Object.entries({ ...bar, ...more })) bars[part as Part][i] = value;
    }
    return bars;
  });
}

/** An engine whose memory has room for the columns beside its own region, and the columns in it. */
function place(): { engine: WasmEngine; bars: Bars[]; none: Float64Array } {
  const engine = openWasmEngine();
  if (!engine) throw new Error("the WebAssembly kernels are not built: npm run build");
  const stride = rows * 8 + 5 * 64;
  let at = engine.memory.grow(Math.ceil(((parts.length * columns + 1) * stride) / 65_536)) * 65_536;
  const room = (): Float64Array => {
    const column = new Float64Array(engine.memory.buffer, at, rows);
    at += stride;
    return column;
  };
  return { engine, bars: randomBars(room), none: room().fill(Number.NaN) };
}

interface Job {
  readonly work: Work;
  readonly form: "WebAssembly" | "TypeScript";
  run(): void;
  byTypeScript(): void;
  readonly ours: number[];
  readonly reference: number[];
  readonly peers: Map<string, number[]>;
}

function jobOf(work: Work, { engine, bars, none }: ReturnType<typeof place>): Job {
  const feature = features.find(({ name }) => name === work.feature) as Feature | undefined;
  if (!feature) throw new Error(`there is no feature ${work.feature}`);
  const params = feature.parse(work.params);
  const groups = () => bars.map((bar) => ({ state: feature.create(params), inputs: work.inputs.map((part) => (part === "none" ? none : bar[part])) }));
  const byTypeScript = (): void => {
    for (const { state, inputs } of groups())
      feature.run(
        state,
        inputs,
        0,
        rows,
        feature.outputs.map(() => new Float64Array(rows)),
      );
  };
  const run = (): void => {
    if (!engine.run(feature.wasm?.exportName ?? "", feature.outputs.length, groups(), rows)) throw new Error(`${feature.name} did not run`);
  };
  return {
    work,
    form: feature.wasm ? "WebAssembly" : "TypeScript",
    run: feature.wasm ? run : byTypeScript,
    byTypeScript,
    ours: [],
    reference: [],
    peers: new Map(),
  };
}

function timed(times: number[], run: () => void): void {
  const start = performance.now();
  run();
  times.push(performance.now() - start);
}

async function load(peer: Peer, bars: readonly Bars[], log: (line: string) => void): Promise<string[]> {
  const file = path.join(tmpdir(), `volley-more-bars-${process.pid}.f64`);
  writeFileSync(file, Buffer.concat(parts.flatMap((part) => bars.map((bar) => Buffer.from(Float64Array.from(bar[part]).buffer)))));
  try {
    const { peers, missing } = await peer.ask<{ peers: string[]; missing: Record<string, string> }>({ measure: "load", path: file, rows, columns, parts });
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
      timed(job.ours, job.run);
    }
    engine.own();
    if (job.form === "WebAssembly") timed(job.reference, job.byTypeScript);
    for (const name of names) {
      const { times } = (await peer?.ask<{ times: number[] }>({ measure: job.work.feature, peer: name, runs })) ?? { times: [] };
      if (times.length > 0) job.peers.set(name, [...(job.peers.get(name) ?? []), ...times]);
    }
  }
}

function measureOf({ work, form, ours, reference, peers }: Job): Measure {
  const byTime = [...peers].sort(([, a], [, b]) => median(a) - median(b));
  const [best] = byTime;
  const others = byTime.map(([name, times]) => `${name} ${median(times).toFixed(2)}`).join(", ");
  const slower = reference.length > 0 ? `; in TypeScript ${median(reference).toFixed(2)} ms` : "";
  return measure(`${work.shown}, ${rows} x ${columns}`, "ms", ours, {
    better: "lower",
    ...(best ? { peer: best[0], peerRepeats: best[1] } : {}),
    note: `${form}${slower}${others ? `; ${others}` : ""}`,
  });
}

export async function moreFeatureMeasures({ repeats, log }: SuiteOptions): Promise<Measure[]> {
  const python = process.env.VOLLEY_PEERS_PYTHON;
  const peer = python ? await startPeer(python, "feature_more_peers.py") : undefined;
  try {
    const placed = place();
    const names = peer ? await load(peer, placed.bars, log) : [];
    const jobs = works.map((work) => jobOf(work, placed));
    // The compilers see all of it before anything counts.
    await round(jobs, placed.engine, peer, names);
    for (const job of jobs) {
      job.ours.length = 0;
      job.reference.length = 0;
      job.peers.clear();
    }
    for (let repeat = 0; repeat < repeats; repeat++) await round(jobs, placed.engine, peer, names);
    return jobs.map(measureOf);
  } finally {
    await peer?.stop();
  }
}
