/**
 * Results of a durable job on their way out of the heap and back: the real core, real blobs, and a crash at every point
 * between.
 */
import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { encodeMessage } from "../../proto/codec.js";
import { sha256Hex } from "../../proto/digest.js";
import { type ModelDurable, modelDurable } from "../../proto/durable/testing/model.js";
import type { Epoch, JobId } from "../../proto/ids.js";
import { PackReader } from "../../proto/values/pack.js";
import { decodeValue } from "../../proto/values/value.js";
import { client, inline, leasesIn, Rig, session, spec, tenant, w1 } from "../../sim/core-rig.js";
import {
  applyRecord,
  type Command,
  createState,
  type JournalRecord,
  restore,
  type State,
  snapshot,
} from "../core/index.js";
import { ChunkStore } from "./chunks.js";

const job = "job" as JobId;
const offload = { chunkBytes: 30_000, endedBytes: 1_000, sessionBytes: 60_000, allBytes: 1e9 };
const tasks = 400;
const textOf = (task: number): string => `${task}:`.padEnd(300, "x");

interface Run {
  readonly rig: Rig;
  readonly durable: ModelDurable;
  readonly chunks: ChunkStore;
}

/**
 * Carries out what the core asks of blobs, until it asks for nothing; stops, as a crash would, when `crash` says so.
 */
async function serve(
  { rig, chunks }: Run,
  from: number,
  crash: (at: string) => boolean = () => false,
): Promise<"done" | "crashed"> {
  for (let at = from; at < rig.commands.length; at++) {
    const command = rig.commands[at] as Command;
    if (command.c === "offload") {
      if (crash("before the write")) return "crashed";
      await chunks.write(command.blob, command.segments);
      if (crash("after the write")) return "crashed";
      rig.take({ e: "offloaded", job: command.job, blob: command.blob, ok: true });
    } else if (command.c === "drop") {
      if (crash("before the deletion")) return "crashed";
      await chunks.delete(command.blobs);
      if (crash("after the deletion")) return "crashed";
      rig.take({ e: "dropped", blobs: command.blobs, ok: true });
    } else if (command.c === "deferred" && command.what.d === "digest") {
      const hash = createHash("sha256");
      await chunks.digests(command.what.parts, (bytes) => hash.update(bytes));
      rig.take({ e: "digest", job, digest: hash.digest("hex") });
    }
  }
  return "done";
}

function start(durable = modelDurable(), state: State = createState({ epoch: 1 as Epoch, offload })): Run {
  return { rig: new Rig(state), durable, chunks: new ChunkStore(durable.results, durable.scratch) };
}

/** Runs the job to its end; gives the digest of its results as nobody but this test computes it. */
async function runJob(run: Run, crash?: (at: string) => boolean): Promise<{ digest: string; end: "done" | "crashed" }> {
  const { rig } = run;
  rig.join(w1, 2);
  rig.ask({ t: "submit", client, tenant, job, name: "job", stages: [spec(0, tasks)], outputs: [0] });
  const digests = new Map<number, Uint8Array>();
  let seen = 0;
  let served = 0;
  const settle = (): Promise<"done" | "crashed"> => {
    const from = served;
    served = rig.commands.length;
    return serve(run, from, crash);
  };
  for (let leases = leasesIn(rig.commands); leases.length > 0; leases = leasesIn(rig.commands.slice(seen))) {
    seen = rig.commands.length;
    for (const lease of leases) {
      const commit = inline(
        lease,
        Array.from({ length: lease.to - lease.from }, (_, i) => textOf(lease.from + i)),
      );
      if (commit.segment.r === "inline")
        for (let i = lease.from; i < lease.to; i++)
          digests.set(i, commit.segment.digests?.slice(16 * (i - lease.from), 16 * (i - lease.from + 1)) as Uint8Array);
      rig.commit(w1, [commit], { done: [lease.lease] });
      // As the shell does, which does not wait for the last commit.
      if ((await settle()) === "crashed") return { digest: "", end: "crashed" };
    }
  }
  rig.pass(1_000);
  const end = await settle();
  const all = createHash("sha256");
  for (let i = 0; i < tasks; i++) all.update(digests.get(i) as Uint8Array);
  return { digest: all.digest("hex"), end };
}

async function resultsOf({ rig, chunks }: Run): Promise<unknown[]> {
  const values: unknown[] = [];
  while (values.length < tasks) {
    const before = rig.commands.length;
    const reply = rig.ask({ t: "results", job, stage: 0, from: values.length, to: tasks });
    const deferred = rig.commands.slice(before).find((command) => command.c === "deferred");
    const segments =
      deferred?.c === "deferred" && deferred.what.d === "results"
        ? await chunks.page(deferred.what.chunk, 20_000)
        : reply?.t === "results"
          ? reply.segments
          : [];
    expect(segments[0]?.from).toBe(values.length);
    for (const segment of segments) {
      if (segment.r !== "inline") throw new Error(`a segment ${segment.r}`);
      const pack = new PackReader(segment.pack);
      for (let i = 0; i < pack.count; i++) values.push(decodeValue(pack.at(i)));
    }
  }
  return values;
}

const hashOf = (state: State): string => sha256Hex(encodeMessage({ ...snapshot(state), epoch: 0 }));
function replay(records: readonly JournalRecord[]): State {
  const state = createState({ epoch: 1 as Epoch, offload });
  for (const record of records) applyRecord(state, record);
  return state;
}

describe("results of a durable job", () => {
  const wanted = Array.from({ length: tasks }, (_, i) => textOf(i));

  test("leave the heap while it runs, and are read back as they were, whole and one by one, also after a restart", async () => {
    const run = start();
    const { digest } = await runJob(run);
    const record = run.rig.state.jobs.get(job);
    expect(record).toMatchObject({
      state: "succeeded",
      digest: { d: "known", digest },
      tally: expect.arrayContaining([tasks]),
    });
    expect(run.rig.state.looseBytes).toBeLessThan(offload.chunkBytes);
    expect((await run.durable.results.names()).length).toBeGreaterThan(2);
    expect(encodeMessage(snapshot(run.rig.state)).byteLength).toBeLessThan(20_000);
    expect(await resultsOf(run)).toEqual(wanted);
    // I9, by replay and by snapshot.
    const replayed = replay(run.rig.records);
    expect(hashOf(replayed)).toBe(hashOf(run.rig.state));
    const restored = restore(snapshot(run.rig.state), { epoch: 2 as Epoch, offload });
    expect(hashOf(restored)).toBe(hashOf(run.rig.state));
    expect(await resultsOf(start(run.durable, restored))).toEqual(wanted);
    const id = `s${job}_0-123` as never;
    const again = start(run.durable, restored);
    again.rig.ask({ t: "locate", ids: [id] });
    const deferred = again.rig.commands.find((command) => command.c === "deferred");
    if (deferred?.c !== "deferred" || deferred.what.d !== "located") throw new Error("nothing to read");
    const [location] = await again.chunks.locate(deferred.what.locations);
    expect(
      location?.state === "ready" && decodeValue({ kind: location.kind as never, data: location.inline as Uint8Array }),
    ).toBe(textOf(123));
  });

  test("a crash at any point between loses none and leaves no blob that nobody names", async () => {
    let points = 0;
    await runJob(start(), () => {
      points++;
      return false;
    });
    expect(points).toBeGreaterThan(4);
    for (let point = 0; point < points; point++) {
      const run = start();
      let n = 0;
      const { end } = await runJob(run, () => n++ === point);
      expect(end).toBe("crashed");
      const state = replay(run.rig.records);
      applyRecord(state, { k: "epoch", epoch: 2 as Epoch });
      const after = start(run.durable, state);
      const { end: ended } = await finish(after);
      expect(ended).toBe("succeeded");
      expect(await resultsOf(after), `after a crash at point ${point}`).toEqual(wanted);
      const named = [...after.rig.state.blobs.keys()].sort();
      expect((await run.durable.results.names()).sort(), `after a crash at point ${point}`).toEqual(named);
    }
  });

  test("go when the job is forgotten", async () => {
    const run = start();
    await runJob(run);
    const { rig } = run;
    const blobs = await run.durable.results.names();
    expect(blobs.length).toBeGreaterThan(0);
    const from = rig.commands.length;
    rig.now += 8 * 24 * 3_600_000;
    rig.take({ e: "tick" });
    rig.pass(1_000);
    await serve(run, from);
    expect(rig.state.jobs.has(job)).toBe(false);
    expect(await run.durable.results.names()).toEqual([]);
    expect(rig.state.blobs.size).toBe(0);
    expect(hashOf(replay(rig.records))).toBe(hashOf(rig.state));
  });

  /** A restarted scheduler goes on with the job. */
  async function finish(run: Run): Promise<{ end: string | undefined }> {
    const { rig } = run;
    let seen = 0;
    rig.join(w1, 2);
    for (let rounds = 0; rounds < 200; rounds++) {
      const from = seen;
      seen = rig.commands.length;
      for (const lease of leasesIn(rig.commands.slice(from)))
        rig.commit(
          w1,
          [
            inline(
              lease,
              Array.from({ length: lease.to - lease.from }, (_, i) => textOf(lease.from + i)),
            ),
          ],
          { done: [lease.lease] },
        );
      await serve(run, from);
      if (rig.state.jobs.get(job)?.state !== "running" && rounds > 20) break;
      rig.pass(600);
    }
    return { end: rig.state.jobs.get(job)?.state };
  }
});

test("a session's small results leave the heap only when they are many, and its client is sent them from there", async () => {
  const run = start();
  const { rig } = run;
  rig.open();
  rig.join(w1, 2);
  rig.ask({ t: "stages", session, client, stages: [spec(0, tasks)] });
  let seen = 0;
  for (let leases = leasesIn(rig.commands); leases.length > 0; leases = leasesIn(rig.commands.slice(seen))) {
    seen = rig.commands.length;
    for (const lease of leases)
      rig.commit(
        w1,
        [
          inline(
            lease,
            Array.from({ length: lease.to - lease.from }, (_, i) => textOf(lease.from + i)),
          ),
        ],
        { done: [lease.lease] },
      );
  }
  await serve(run, 0);
  expect(rig.records).toEqual([]);
  expect(await run.durable.results.names()).toEqual([]);
  expect((await run.durable.scratch.names()).length).toBeGreaterThan(0);
  expect(rig.state.looseBytes).toBeLessThan(offload.sessionBytes + offload.chunkBytes);
  rig.pass(2_000);
  const from = rig.commands.length;
  rig.ask({ t: "heartbeat", client, session, epoch: rig.state.epoch, waiting: [0], released: [] });
  let told = 0;
  for (const command of rig.commands.slice(from)) {
    if (command.c === "update") told += command.segment.to - command.segment.from;
    if (command.c === "deferred" && command.what.d === "update")
      for (const segment of await run.chunks.all(command.what.chunk)) told += segment.to - segment.from;
  }
  expect(told).toBe(tasks);
  rig.ask({ t: "close", client, session });
  rig.pass(1_000);
  await serve(run, from);
  expect(await run.durable.scratch.names()).toEqual([]);
});
