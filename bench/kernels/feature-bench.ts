/**
 * How features are measured beside their peers: on 10,000 bars of 100 columns, on one core.
 *
 * Ours is what a worker's thread does for a kernel: columns lie in the shared memory, results are lent from it, and a
 * feature without a WebAssembly form runs in TypeScript into arrays of its own. The peers read their own layout and
 * allocate their results, which they free before the next run. Rounds of all kernels and peers are interleaved; figures
 * are medians, and the peer is the fastest that has the feature.
 */
import { rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { Float64, makeData, Table, Vector } from "apache-arrow";
import { setEngine } from "../../kernels/features/engine.js";
import type { Feature } from "../../kernels/features/feature.js";
import { features } from "../../kernels/features/index.js";
import { requireKernel } from "../../kernels/registry.js";
import { openWasmEngine, type WasmEngine } from "../../kernels/wasm/engine.js";
import { type Peer, startPeer } from "../peers/peer.js";
import { type Measure, measure, median, type SuiteOptions } from "../report.js";
import { draws } from "./draws.js";

const rows = 10_000;
const columns = 100;

/** What the peers get too, by the same names. */
export type Part = "high" | "low" | "close" | "volume" | "buy" | "sell" | "other" | "gaps" | "growth";
type Bars = Readonly<Record<Part, Float64Array>>;

export interface Work {
  readonly feature: string;
  /** What the peers' script calls it, if not by the feature's name. */
  readonly peersName?: string;
  readonly params: Record<string, unknown>;
  /** A part for each input. */
  readonly inputs: readonly (Part | "none")[];
  readonly shown: string;
}

export interface FeatureBench {
  /** In bench/peers. */
  readonly script: string;
  readonly parts: readonly Part[];
  readonly works: readonly Work[];
  /** Of each kernel and peer in a round, one after another. */
  readonly runs: number;
}

/** Random walks with ranges and volumes, the same on every run. */
function randomBars(parts: readonly Part[], room: () => Float64Array): Bars[] {
  const uniform = draws(88_172_645);
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
      const bar = {
        high: price * (1 + 0.01 * uniform()),
        low: price * (1 - 0.01 * uniform()),
        close: price,
        volume,
        buy: bought,
        sell: volume - bought,
      };
      const more = { other, gaps: uniform() < 0.1 ? Number.NaN : price, growth };
      const all: Record<Part, number> = { ...bar, ...more };
      for (const part of parts) bars[part][i] = all[part];
    }
    return bars;
  });
}

interface Placed {
  readonly engine: WasmEngine;
  readonly bars: readonly Bars[];
  readonly none: Float64Array;
}

/** An engine whose memory has room for the columns beside its own region, and the columns in it. */
function place(parts: readonly Part[]): Placed {
  const engine = openWasmEngine();
  if (!engine) throw new Error("the WebAssembly kernels are not built: npm run build");
  // Not a multiple of what the caches' sets repeat at.
  const stride = rows * 8 + 5 * 64;
  let at = engine.memory.grow(Math.ceil(((parts.length * columns + 1) * stride) / 65_536)) * 65_536;
  const room = (): Float64Array => {
    const column = new Float64Array(engine.memory.buffer, at, rows);
    at += stride;
    return column;
  };
  return { engine, bars: randomBars(parts, room), none: room().fill(Number.NaN) };
}

interface Job {
  readonly work: Work;
  readonly form: "WebAssembly" | "TypeScript";
  run(): void;
  byTypeScript(): void;
  /** From an Arrow table to an Arrow table, as a task calls the kernel. */
  byTable(): void;
  readonly ours: number[];
  readonly tables: number[];
  readonly reference: number[];
  readonly peers: Map<string, number[]>;
}

function jobOf(work: Work, placed: Placed): Job {
  const { engine, bars, none } = placed;
  const feature = features.find(({ name }) => name === work.feature) as Feature | undefined;
  if (!feature) throw new Error(`there is no feature ${work.feature}`);
  const params = feature.parse(work.params);
  const groups = () =>
    bars.map((bar) => ({
      state: feature.create(params),
      inputs: work.inputs.map((part) => (part === "none" ? none : bar[part])),
    }));
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
    if (!engine.run(feature.wasm?.exportName ?? "", feature.outputs.length, groups(), rows))
      throw new Error(`${feature.name} did not run`);
  };
  return {
    work,
    form: feature.wasm ? "WebAssembly" : "TypeScript",
    run: feature.wasm ? run : byTypeScript,
    byTypeScript,
    byTable: tableRun(feature, work, bars),
    ours: [],
    tables: [],
    reference: [],
    peers: new Map(),
  };
}

function tableRun(feature: Feature, work: Work, bars: readonly Bars[]): () => void {
  const kernel = requireKernel(`feature.${feature.name}`, feature.version);
  const vectorOf = (data: Float64Array): Vector =>
    new Vector([makeData({ type: new Float64(), length: rows, nullCount: 0, data })]);
  const named = feature.inputs
    .map((input, i) => ({ input, part: work.inputs[i] ?? "none" }))
    .flatMap(({ input, part }) => (part === "none" ? [] : [{ input, part }]));
  if (feature.inputs.length === 1) {
    const table = new Table(
      Object.fromEntries(bars.map((bar, c) => [`column${c}`, vectorOf(bar[named[0]?.part as Part])])),
    );
    return () => kernel.run(table, work.params);
  }
  const tables = bars.map(
    (bar) => new Table(Object.fromEntries(named.map(({ input, part }) => [input, vectorOf(bar[part])]))),
  );
  return () => {
    for (const table of tables) kernel.run(table, work.params);
  };
}

function timed(times: number[], run: () => void): void {
  const start = performance.now();
  run();
  times.push(performance.now() - start);
}

async function load(
  peer: Peer,
  parts: readonly Part[],
  bars: readonly Bars[],
  log: (line: string) => void,
): Promise<string[]> {
  const file = path.join(tmpdir(), `volley-bars-${process.pid}.f64`);
  writeFileSync(
    file,
    Buffer.concat(parts.flatMap((part) => bars.map((bar) => Buffer.from(Float64Array.from(bar[part]).buffer)))),
  );
  try {
    const { peers, missing } = await peer.ask<{ peers: string[]; missing: Record<string, string> }>({
      measure: "load",
      path: file,
      rows,
      columns,
      parts,
    });
    for (const [what, why] of Object.entries(missing)) log(`${what} is left out: ${why}`);
    return peers;
  } finally {
    rmSync(file);
  }
}

interface Round {
  readonly jobs: readonly Job[];
  readonly engine: WasmEngine;
  readonly peer: Peer | undefined;
  readonly names: readonly string[];
  readonly runs: number;
}

async function round({ jobs, engine, peer, names, runs }: Round): Promise<void> {
  for (const job of jobs) {
    // One after another, as the peers' runs are.
    for (let i = 0; i < runs; i++) {
      engine.lend();
      timed(job.ours, job.run);
    }
    for (const name of names) {
      const { times } = (await peer?.ask<{ times: number[] }>({
        measure: job.work.peersName ?? job.work.feature,
        peer: name,
        runs,
      })) ?? { times: [] };
      if (times.length > 0) job.peers.set(name, [...(job.peers.get(name) ?? []), ...times]);
    }
  }
}

/** After the rounds, as what these leave to the garbage collector would be cleared away under the others. */
function besides({ jobs, engine, runs }: Round): void {
  for (const job of jobs) {
    for (let i = 0; i < runs; i++) {
      engine.lend();
      timed(job.tables, job.byTable);
    }
    if (job.form === "WebAssembly") timed(job.reference, job.byTypeScript);
  }
}

function measureOf({ work, form, ours, tables, reference, peers }: Job): Measure {
  const byTime = [...peers].sort(([, a], [, b]) => median(a) - median(b));
  const [best] = byTime;
  const others = byTime.map(([name, times]) => `${name} ${median(times).toFixed(2)}`).join(", ");
  const slower = reference.length > 0 ? `, in TypeScript ${median(reference).toFixed(2)} ms` : "";
  return measure(`${work.shown}, ${rows} x ${columns}`, "ms", ours, {
    better: "lower",
    ...(best ? { peer: best[0], peerRepeats: best[1] } : {}),
    note: `${form}; from Arrow table to Arrow table ${median(tables).toFixed(2)} ms${slower}${others ? `; ${others}` : ""}`,
  });
}

export async function measureFeatures(
  { script, parts, works, runs }: FeatureBench,
  { repeats, log }: SuiteOptions,
): Promise<Measure[]> {
  const python = process.env.VOLLEY_PEERS_PYTHON;
  const peer = python ? await startPeer(python, script) : undefined;
  try {
    const placed = place(parts);
    const { engine } = placed;
    setEngine({ run: (...work) => engine.run(...work), validity: (values) => engine.validity(values) });
    const names = peer ? await load(peer, parts, placed.bars, log) : [];
    const jobs = works.map((work) => jobOf(work, placed));
    const all = { jobs, engine, peer, names, runs };
    // The compilers see all of it before anything counts.
    await round(all);
    besides(all);
    for (const { ours, tables, reference, peers } of jobs) {
      for (const times of [ours, tables, reference]) times.length = 0;
      peers.clear();
    }
    for (let repeat = 0; repeat < repeats; repeat++) await round(all);
    for (let repeat = 0; repeat < repeats; repeat++) besides(all);
    return jobs.map(measureOf);
  } finally {
    setEngine(undefined);
    await peer?.stop();
  }
}
