/**
 * The fast path: no-op tasks one by one, alone and in a map, and Arrow tables to and from the cluster.
 *
 * The cluster is a local one with two workers of one slot each, on whatever machine this is. Repeats of all measures
 * are interleaved with each other and with the peer's, so that what else the machine does falls on all of them alike;
 * figures are medians of the repeats.
 */
import { connect } from "volley";
import { type LocalCluster, startLocalCluster } from "../../cluster/local/local-cluster.js";
import { arrow } from "../objects/measures.js";
import { ObjectRounds } from "../objects/suite.js";
import { type Peer, startPeer } from "../peers/peer.js";
import { type Measure, measure, median, quantile, type Suite, type SuiteOptions } from "../report.js";
import { bigMap, type Cost, costOf, inFlight, oneAtATime } from "./measures.js";

const workers = 2;
const slots = 1;
const width = 1_000;
const inFlightTasks = 100_000;
const oneTasks = 1_000;
const mapTasks = 1_000_000;
/** The peer has its share of the time, not of the tasks: it is slower. */
const peerInFlightTasks = 5_000;
const peerOneTasks = 300;
const peerMapTasks = 10_000;

interface Repeats {
  inFlight: number[];
  inFlightCost: Cost[];
  times: number[];
  medians: number[];
  map: number[];
  mapCost: Cost[];
  put: number[];
  get: number[];
}

interface PeerRepeats {
  inFlight: number[];
  times: number[];
  medians: number[];
  map: number[];
  put: number[];
  get: number[];
}

export const tasksSuite: Suite = {
  doc: "no-op tasks there and back, maps, put and get (peer: Ray)",
  async run(options) {
    const local = await startLocalCluster({ workers, slots, gateway: false });
    const peer = await peerOf(options);
    const objects = await ObjectRounds.start();
    try {
      const ours: Repeats = {
        inFlight: [],
        inFlightCost: [],
        times: [],
        medians: [],
        map: [],
        mapCost: [],
        put: [],
        get: [],
      };
      const theirs: PeerRepeats = { inFlight: [], times: [], medians: [], map: [], put: [], get: [] };
      await rounds(local, { peer, objects }, options, ours, theirs);
      return [...measuresOf(ours, theirs, peer?.name), ...objects.measures()];
    } finally {
      await objects.stop();
      await peer?.stop();
      await local.stop();
    }
  },
};

async function peerOf({ log }: SuiteOptions): Promise<Peer | undefined> {
  const python = process.env.VOLLEY_PEERS_PYTHON;
  if (!python) {
    log(
      "no peer: VOLLEY_PEERS_PYTHON names no Python with Ray (bench/peers/requirements-tasks.txt), so peer, peerValue and ratio are null",
    );
    return undefined;
  }
  return startPeer(python, "ray_tasks.py");
}

async function rounds(
  local: LocalCluster,
  { peer, objects }: { peer: Peer | undefined; objects: ObjectRounds },
  options: SuiteOptions,
  ours: Repeats,
  theirs: PeerRepeats,
): Promise<void> {
  await using cluster = await connect({ url: local.url });
  const noop = await cluster.deploy<typeof import("./noop.js")>(new URL("./noop.js", import.meta.url));
  const pidOf = (name: string): number => local.processes.find((process) => process.name === name)?.pid ?? process.pid;
  const pids = { scheduler: pidOf("scheduler"), nats: pidOf("nats") };
  // Compilers and caches of every process reach their steady state before anything counts.
  await inFlight(cluster, noop, inFlightTasks / 2, width);
  await bigMap(cluster, noop, mapTasks / 10);
  for (let repeat = 1; repeat <= options.repeats; repeat++) {
    options.log(`repeat ${repeat} of ${options.repeats}`);
    const flight = await costOf(pids, inFlightTasks, () => inFlight(cluster, noop, inFlightTasks, width));
    ours.inFlight.push(flight.value);
    ours.inFlightCost.push(flight.cost);
    if (peer)
      theirs.inFlight.push(
        (await peer.ask<{ value: number }>({ measure: "inFlight", count: peerInFlightTasks, width })).value,
      );
    const times = await oneAtATime(cluster, noop, oneTasks);
    ours.times.push(...times);
    ours.medians.push(median(times));
    if (peer) {
      const { times: peerTimes } = await peer.ask<{ times: number[] }>({ measure: "oneAtATime", count: peerOneTasks });
      theirs.times.push(...peerTimes);
      theirs.medians.push(median(peerTimes));
    }
    const map = await costOf(pids, mapTasks, () => bigMap(cluster, noop, mapTasks));
    ours.map.push(map.value);
    ours.mapCost.push(map.cost);
    if (peer) theirs.map.push((await peer.ask<{ value: number }>({ measure: "map", count: peerMapTasks })).value);
    const bytes = await objects.one(cluster, arrow);
    ours.put.push(bytes.put);
    ours.get.push(bytes.get);
    if (peer && repeat <= 2) {
      const answer = await peer.ask<{ put: number; get: number } | { error: string }>({
        measure: "putAndGet",
        bytes: arrow.bytes,
      });
      if ("error" in answer) options.log(`the peer's put and get failed: ${answer.error}`);
      else {
        theirs.put.push(answer.put);
        theirs.get.push(answer.get);
      }
    }
  }
}

function measuresOf(ours: Repeats, theirs: PeerRepeats, name: string | undefined): Measure[] {
  const named = name === undefined ? {} : { peer: name };
  const client = name === undefined ? {} : { peer: `${name} Client` };
  const mib = (bytes: number): number => bytes / 1024 / 1024;
  return [
    measure("tasks, one by one, 1,000 in flight", "tasks/s", ours.inFlight, {
      better: "higher",
      ...named,
      peerRepeats: theirs.inFlight,
      note: `${workers} workers of ${slots} slot`,
    }),
    measure("one task, there and back", "ms", ours.medians, {
      better: "lower",
      ...named,
      peerRepeats: theirs.medians,
      p50: quantile(ours.times, 0.5),
      p99: quantile(ours.times, 0.99),
    }),
    measure("map of 1,000,000", "tasks/s", ours.map, {
      better: "higher",
      ...named,
      peerRepeats: theirs.map,
      note: `the peer's map has ${peerMapTasks} tasks`,
    }),
    measure(
      "scheduler memory added by the map",
      "MiB",
      ours.mapCost.map(({ rssBefore, rssPeak }) => mib(rssPeak - rssBefore)),
      { better: "lower" },
    ),
    measure(
      "scheduler memory, highest",
      "MiB",
      ours.mapCost.map(({ rssPeak }) => mib(rssPeak)),
      { better: "lower" },
    ),
    measure("put of 256 MiB of Arrow", "GB/s", ours.put, { better: "higher", ...client, peerRepeats: theirs.put }),
    measure("get of 256 MiB of Arrow", "GB/s", ours.get, { better: "higher", ...client, peerRepeats: theirs.get }),
    measure(
      "scheduler processor time, 1,000 in flight",
      "us/task",
      ours.inFlightCost.map(({ cpuUs }) => cpuUs),
      { better: "lower" },
    ),
    measure(
      "scheduler processor time, map",
      "us/task",
      ours.mapCost.map(({ cpuUs }) => cpuUs),
      { better: "lower" },
    ),
    measure(
      "bytes on the wire, 1,000 in flight",
      "bytes/task",
      ours.inFlightCost.map(({ wireBytes }) => wireBytes),
      { better: "lower", note: "what nats-server read from client, scheduler and workers" },
    ),
    measure(
      "bytes on the wire, map",
      "bytes/task",
      ours.mapCost.map(({ wireBytes }) => wireBytes),
      { better: "lower" },
    ),
  ];
}
