/** The measurements themselves, each one repeat; Volley's side. */
import type { Cluster, Library } from "volley";
import { cpuSeconds, readBytes, rssBytes, watchRss } from "../processes.js";

export type Noop = Library<typeof import("./noop.js")>;

const seconds = (sinceMs: number): number => (performance.now() - sinceMs) / 1_000;

/** Tasks per second, submitted one by one, `inFlight` of them at any time. */
export async function inFlight(cluster: Cluster, noop: Noop, tasks: number, width: number): Promise<number> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < tasks) {
      next++;
      await cluster.get(noop.nothing.submit());
    }
  };
  const start = performance.now();
  await Promise.all(Array.from({ length: width }, lane));
  return tasks / seconds(start);
}

/** Milliseconds there and back, each. */
export async function oneAtATime(cluster: Cluster, noop: Noop, tasks: number): Promise<number[]> {
  const times: number[] = [];
  for (let i = 0; i < tasks; i++) {
    const start = performance.now();
    await cluster.get(noop.nothing.submit());
    times.push(performance.now() - start);
  }
  return times;
}

/** Tasks per second of one map, from the call to the last result in this process. */
export async function bigMap(cluster: Cluster, noop: Noop, tasks: number): Promise<number> {
  const items = Array.from({ length: tasks }, (_, i) => i);
  const start = performance.now();
  const results = await cluster.get(noop.ignore.map(items));
  const rate = tasks / seconds(start);
  if (results.length !== tasks) throw new Error(`${results.length} results for ${tasks} tasks`);
  return rate;
}

export interface Cost {
  /** Processor time of the scheduler, microseconds a task. */
  readonly cpuUs: number;
  /** Bytes that nats-server read, from everybody, a task. */
  readonly wireBytes: number;
  readonly rssBefore: number;
  readonly rssPeak: number;
}

/** What `run` costs the scheduler and the wire. */
export async function costOf<T>(
  pids: { scheduler: number; nats: number },
  tasks: number,
  run: () => Promise<T>,
): Promise<{ value: T; cost: Cost }> {
  const rssBefore = await rssBytes(pids.scheduler);
  const [cpu, wire] = [await cpuSeconds(pids.scheduler), await readBytes(pids.nats)];
  const watch = watchRss(pids.scheduler);
  const value = await run();
  const cost = {
    cpuUs: ((await cpuSeconds(pids.scheduler)) - cpu) * (1e6 / tasks),
    wireBytes: ((await readBytes(pids.nats)) - wire) / tasks,
    rssBefore,
    rssPeak: await watch.stop(),
  };
  return { value, cost };
}
