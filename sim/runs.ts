/**
 * What a worker's threads do: tasks of a run one after the other, in virtual time, with results in batches; limits and
 * kills in the middle (W2–W4, W6).
 */

import { type ArgLeaf, mapArg } from "../proto/args.js";
import { digestOf, hexOf } from "../proto/digest.js";
import type { WireError } from "../proto/errors.js";
import { type LeaseId, type ObjectId, objectIdOf } from "../proto/ids.js";
import type { ResultSegment } from "../proto/messages/results.js";
import type { ArgSpec } from "../proto/messages/stage.js";
import type { Lease } from "../proto/messages/worker.js";
import { PackReader, PackWriter } from "../proto/values/pack.js";
import type { EncodedValue } from "../proto/values/value.js";
import type { WorkerEvent } from "../worker/core/events.js";
import type { StoredValue } from "./disk.js";
import { Violation } from "./job-model.js";
import { alwaysFails, evaluate, isLarge, type StageLookup, traitsOf } from "./model-function.js";
import type { Process } from "./process.js";
import type { Random } from "./random.js";
import type { World } from "./world.js";

/** The worker around the runs. */
interface Host {
  readonly world: World;
  readonly process: Process;
  readonly random: Random;
  readonly objects: Map<ObjectId, StoredValue>;
  inputsOf(lease: LeaseId): ReadonlyMap<ObjectId, StoredValue> | undefined;
  /** The core counts it among the worker's objects. */
  isAnnounced(id: ObjectId): boolean;
  give(event: WorkerEvent): void;
  /** The process dies of what it executes. */
  perish(): void;
  later(delayMs: number, run: () => void): void;
}

interface Run {
  readonly lease: Lease;
  readonly slot: number;
  /** Its slot's thread is through with it. */
  vacated: boolean;
  /** Results that are not stored yet. */
  storing: number;
  to: number;
  /** The first task that has not started. */
  next: number;
  killed: boolean;
  /** Inline results that have not been given to the core yet: tasks [from, next). */
  readonly held: { from: number; values: EncodedValue[] };
}

/** Where the lease says the objects of its upstream stages are. */
export const stagesOf =
  (lease: Lease): StageLookup =>
  (stage) => {
    const found = lease.bases.find(([index]) => index === stage);
    if (!found)
      throw new Violation("leases", `lease ${lease.lease} does not say where the objects of stage ${stage} are`);
    return { base: found[1], count: found[2] };
  };

export class Runs {
  readonly #host: Host;
  readonly #runs = new Map<LeaseId, Run>();
  /** By slot: what its thread executes, and what it begins after that. */
  readonly #threads = new Map<number, Run[]>();

  constructor(host: Host) {
    this.#host = host;
  }

  start(lease: Lease, slot: number, from: number, to: number): void {
    const held = { from, values: [] };
    const run: Run = { lease, slot, vacated: false, storing: 0, to, next: from, killed: false, held };
    this.#runs.set(lease.lease, run);
    const thread = this.#threads.get(slot) ?? [];
    this.#threads.set(slot, thread);
    thread.push(run);
    if (thread.length > 2) throw new Violation("leases", `slot ${slot} has ${thread.length} runs`);
    if (thread.length === 1) this.#host.later(0, () => this.#execute(run));
  }

  /** Takes back what has not begun. */
  recall(id: LeaseId): boolean {
    const run = this.#runs.get(id);
    if (!run || this.#threads.get(run.slot)?.[0] === run) return false;
    this.#runs.delete(id);
    this.#leaveThread(run);
    return true;
  }

  /** What is behind it begins. */
  #leaveThread(run: Run): void {
    const thread = this.#threads.get(run.slot) ?? [];
    const at = thread.indexOf(run);
    if (at < 0) return;
    thread.splice(at, 1);
    const [next] = thread;
    if (at === 0 && next) this.#host.later(0, () => this.#execute(next));
  }

  #execute(run: Run): void {
    if (this.#runs.get(run.lease.lease) !== run || this.#threads.get(run.slot)?.[0] !== run) return;
    if (run.killed || run.next >= run.to) {
      this.#vacate(run);
      return;
    }
    const { lease } = run;
    const task = run.next++;
    this.#noteExecution(lease, task);
    const started = this.#host.world.clock.nowMs;
    if (traitsOf(lease.fn).mood === "poison") {
      this.#host.later(traitsOf(lease.fn).durationMs, () => {
        if (!run.killed) this.#host.perish();
      });
      return;
    }
    this.#host.later(this.#host.random.delay(traitsOf(lease.fn).durationMs), () => {
      if (run.killed) {
        this.#vacate(run);
        return;
      }
      this.#conclude(run, task, Math.round(1000 * (this.#host.world.clock.nowMs - started)));
    });
  }

  #noteExecution(lease: Lease, task: number): void {
    const { executions, counts, grants, disk } = this.#host.world;
    const key = `${lease.job}/${lease.stage}/${task}`;
    executions.set(key, (executions.get(key) ?? 0) + 1);
    counts.executions++;
    this.#host.world.truth.started(this.#host.process, lease, task, grants.get(lease.lease)?.epoch ?? 0);
    const grant = grants.get(lease.lease);
    if (!grant) throw new Violation("leases", `lease ${lease.lease} was never given out`);
    const committedAtMs = lease.durable ? disk.committedAtMs(lease.job, lease.stage, task) : undefined;
    if (committedAtMs !== undefined && committedAtMs < grant.atMs && grant.epoch === this.#host.world.epoch) {
      throw new Violation(
        "once",
        `task ${task} of stage ${lease.stage} of ${lease.job} runs under lease ${lease.lease}, but its commit was in the journal before`,
      );
    }
  }

  #conclude(run: Run, task: number, slotTimeUs: number): void {
    const { lease } = run;
    const traits = traitsOf(lease.fn);
    const times = this.#host.world.executions.get(`${lease.job}/${lease.stage}/${task}`) ?? 1;
    if (alwaysFails(traits, task) || times <= traits.failFirst) {
      this.#host.world.truth.ended(lease.job, lease.stage, task, lease.lease, "threw");
      this.#giveHeld(run, 0);
      const error: WireError = { code: "TASK_FAILED", message: `${traits.name} threw at task ${task}` };
      this.#host.give({
        e: "results",
        lease: lease.lease,
        segment: { r: "failed", stage: lease.stage, from: task, to: task + 1, error },
        slotTimeUs,
      });
      run.held.from = task + 1;
      this.#execute(run);
      return;
    }
    const inputs = this.#host.inputsOf(lease.lease);
    const read = new Map<ObjectId, string>();
    const contentOf = (id: ObjectId): Uint8Array => {
      const value = inputs?.get(id);
      if (!value) throw new Violation("leases", `lease ${lease.lease} runs without its input ${id}`);
      read.set(id, hexOf(digestOf(value.kind, value.data)));
      return value.data;
    };
    const value = evaluate(traits, argsOf(lease), task, stagesOf(lease), contentOf, this.#host.random.u32());
    this.#noteResult(lease, task, value, read);
    if (isLarge(traits, task)) {
      this.#giveHeld(run, 0);
      this.#store(run, task, value, slotTimeUs);
      return;
    }
    run.held.values.push(value);
    if (this.#host.random.chance(0.4) || run.next >= run.to) this.#giveHeld(run, slotTimeUs);
    this.#execute(run);
  }

  #noteResult(lease: Lease, task: number, value: EncodedValue, read: ReadonlyMap<ObjectId, string>): void {
    const { truth, provenance } = this.#host.world;
    const id = objectIdOf(lease.base, task);
    const digest = digestOf(value.kind, value.data);
    truth.ended(lease.job, lease.stage, task, lease.lease, "result", isLarge(traitsOf(lease.fn), task));
    truth.made(id, digest);
    provenance.made(lease.job, id, hexOf(digest), read);
  }

  /** W6: a large result is in its stores before the core hears of it. */
  #store(run: Run, task: number, { kind, data }: EncodedValue, slotTimeUs: number): void {
    const { lease } = run;
    const id = objectIdOf(lease.base, task);
    this.#host.objects.set(id, { kind, data });
    run.storing++;
    run.held.from = task + 1;
    const tell = (): void => {
      run.storing--;
      if (run.killed) {
        if (!this.#host.isAnnounced(id)) this.#host.objects.delete(id);
        this.#endIfStored(run);
        return;
      }
      if (lease.durable) this.#host.world.disk.keepObject(id, { kind, data });
      const stored = [{ bytes: 100_000, kind, digest: digestOf(kind, data) }];
      this.#host.give({
        e: "results",
        lease: lease.lease,
        segment: { r: "stored", stage: lease.stage, from: task, to: task + 1, stored },
        slotTimeUs,
      });
      this.#endIfStored(run);
    };
    if (lease.durable) this.#host.later(this.#host.random.delay(3), tell);
    else tell();
    this.#execute(run);
  }

  #giveHeld(run: Run, slotTimeUs: number): void {
    const { lease, held } = run;
    if (held.values.length === 0) return;
    const pack = new PackWriter();
    for (const value of held.values) pack.add(value);
    const to = held.from + held.values.length;
    const digests = lease.durable
      ? { digests: new Uint8Array(Buffer.concat(held.values.map(({ kind, data }) => digestOf(kind, data)))) }
      : {};
    const segment: ResultSegment = {
      r: "inline",
      stage: lease.stage,
      from: held.from,
      to,
      pack: pack.finish(),
      ...digests,
    };
    held.from = to;
    held.values.length = 0;
    this.#host.give({ e: "results", lease: lease.lease, segment, slotTimeUs });
  }

  /** The thread has returned; results may still be on their way into a store. */
  #vacate(run: Run): void {
    if (run.vacated || !this.#runs.has(run.lease.lease)) return;
    run.vacated = true;
    if (!run.killed || this.#host.random.chance(0.5)) this.#giveHeld(run, 0);
    this.#leaveThread(run);
    this.#host.give({ e: "vacated", lease: run.lease.lease });
    this.#endIfStored(run);
  }

  #endIfStored(run: Run): void {
    if (!run.vacated || run.storing > 0 || !this.#runs.delete(run.lease.lease)) return;
    this.#host.give({ e: "ended", lease: run.lease.lease });
  }

  unstarted(id: LeaseId): number {
    const run = this.#runs.get(id);
    return run && !run.killed ? run.to - run.next : 0;
  }

  limit(id: LeaseId, to: number): void {
    const run = this.#runs.get(id);
    if (!run) return;
    run.to = Math.min(run.to, Math.max(to, run.next));
    const limit = run.to;
    this.#host.later(0, () => {
      if (this.#runs.has(id)) this.#host.give({ e: "limited", lease: id, to: limit });
    });
    if (run.next >= run.to && this.#threads.get(run.slot)?.[0] !== run) this.#host.later(0, () => this.#vacate(run));
  }

  kill(id: LeaseId): void {
    const run = this.#runs.get(id);
    if (!run) return;
    this.#host.later(this.#host.random.delay(5), () => {
      run.killed = true;
      this.#vacate(run);
      this.#endIfStored(run);
    });
  }
}

/** The lease's arguments by the tasks' own indexes. */
export const argsOf = (lease: Lease): ArgSpec[] =>
  lease.args.map((arg) => mapArg(arg, (leaf) => cutBack(leaf, lease.from)));

/** Items come cut to the lease's range: item i - from belongs to task i. */
function cutBack(arg: ArgLeaf, from: number): ArgSpec {
  // What stands before the lease's range is never read.
  if (arg.a === "each" && from > 0) return { a: "each", of: [[0, 0, from], ...arg.of] };
  if (arg.a !== "item" || from === 0) return arg;
  const cut = new PackReader(arg.pack);
  const whole = new PackWriter();
  for (let i = 0; i < from; i++) whole.add({ kind: 0, data: new Uint8Array(0) });
  for (let i = 0; i < cut.count; i++) whole.add(cut.at(i));
  return { a: "item", pack: whole.finish() };
}
