/**
 * How much of their time slots execute. Tasks only wait (which takes no processor, so the machine's is not the limit)
 * and return 30 kB each; what is missing to 100 % is what a slot waited for the cluster: hand-overs, storing, commits,
 * the journal, the next lease.
 *
 *   per cent occupied = tasks x wait / (slots x time from the call to the last result)
 *
 * A session's time is this process's, from the call of map until every ref has settled. A durable job's is the
 * scheduler's, from its submission to its end: a client asks only now and then whether a job has ended.
 */
import { type Cluster, connect, type Library } from "volley";
import { startLocalCluster } from "../../cluster/local/local-cluster.js";
import { type Peer, startPeer } from "../peers/peer.js";
import { type Measure, measure, type Suite, type SuiteOptions } from "../report.js";

const waitsMs = [5, 30, 100] as const;
const workerCounts = [1, 2] as const;
const modes = ["session", "durable job"] as const;
/** Of waiting, each slot, each map. */
const secondsEach = 4;

type Waits = Library<typeof import("./waits.js")>;
type Mode = (typeof modes)[number];

interface Series {
  readonly mode: Mode;
  readonly workers: number;
  readonly waitMs: number;
  readonly ours: number[];
  readonly theirs: number[];
}

export const slotsSuite: Suite = {
  doc: "how much of their time slots execute, by tasks that only wait (peer: Ray)",
  async run(options) {
    const peer = await peerOf(options);
    const all: Series[] = [];
    try {
      for (const workers of workerCounts) {
        const series = modes.flatMap((mode) =>
          waitsMs.map((waitMs): Series => ({ mode, workers, waitMs, ours: [], theirs: [] })),
        );
        await onCluster(workers, series, peer, options);
        all.push(...series);
      }
    } finally {
      await peer?.stop();
    }
    return all.map((series) => measureOf(series, peer?.name));
  },
};

async function peerOf({ log }: SuiteOptions): Promise<Peer | undefined> {
  const python = process.env.VOLLEY_PEERS_PYTHON;
  if (python) return startPeer(python, "ray_slots.py");
  log("no peer: VOLLEY_PEERS_PYTHON names no Python with Ray (bench/peers/requirements-tasks.txt)");
  return undefined;
}

async function onCluster(
  workers: number,
  series: readonly Series[],
  peer: Peer | undefined,
  options: SuiteOptions,
): Promise<void> {
  const local = await startLocalCluster({ workers, slots: 1, gateway: false });
  try {
    await using cluster = await connect({ url: local.url });
    const waits: Waits = await cluster.deploy<typeof import("./waits.js")>(new URL("./waits.js", import.meta.url));
    // Code is loaded and compiled before anything counts.
    await inSession(cluster, waits, 40 * workers, 1);
    await inDurableJob(cluster, waits, 40 * workers, 1);
    for (let repeat = 1; repeat <= options.repeats; repeat++) {
      options.log(`${workers} ${workers === 1 ? "worker" : "workers"}, repeat ${repeat} of ${options.repeats}`);
      for (const one of series) await repeatOf(cluster, waits, one, peer);
    }
  } finally {
    await local.stop();
  }
}

async function repeatOf(cluster: Cluster, waits: Waits, series: Series, peer: Peer | undefined): Promise<void> {
  const { mode, workers, waitMs, ours, theirs } = series;
  const count = Math.ceil((secondsEach * 1000) / waitMs) * workers;
  const run = mode === "session" ? inSession : inDurableJob;
  const percent = (tookMs: number): number => (100 * count * waitMs) / (workers * tookMs);
  ours.push(percent(await run(cluster, waits, count, waitMs)));
  if (peer === undefined || mode !== "session") return;
  const { tookMs } = await peer.ask<{ tookMs: number }>({ measure: "waits", count, waitMs, slots: workers });
  theirs.push(percent(tookMs));
}

const itemsOf = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

/** Milliseconds of a map of so many tasks. */
async function inSession(cluster: Cluster, waits: Waits, count: number, waitMs: number): Promise<number> {
  const startedAt = performance.now();
  const refs = waits.wait.map(itemsOf(count), { shared: [waitMs] });
  const { ready } = await cluster.wait(refs);
  const tookMs = performance.now() - startedAt;
  if (ready.length !== count) throw new Error(`${ready.length} results for ${count} tasks`);
  return tookMs;
}

async function inDurableJob(cluster: Cluster, waits: Waits, count: number, waitMs: number): Promise<number> {
  const graph = cluster.graph("waits");
  graph.map(waits.wait, itemsOf(count), { shared: [waitMs] });
  const job = await cluster.run(graph);
  const { submittedAtMs, endedAtMs, succeeded } = await job.done();
  if (endedAtMs === undefined || succeeded !== count) throw new Error(`${succeeded} results for ${count} tasks`);
  return endedAtMs - submittedAtMs;
}

function measureOf({ mode, workers, waitMs, ours, theirs }: Series, name: string | undefined): Measure {
  const where = `${workers} ${workers === 1 ? "worker" : "workers"} of 1 slot`;
  return measure(`slots occupied, ${mode}, tasks of ${waitMs} ms, ${where}`, "%", ours, {
    better: "higher",
    ...(name === undefined ? {} : { peer: name }),
    peerRepeats: theirs,
    ...(mode === "durable job" ? { note: "results durable before they count; Ray has nothing like it" } : {}),
  });
}
