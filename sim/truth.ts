/**
 * What is true, whatever the scheduler believes: which processes hold which objects, which ones truly died and what
 * they were executing, what tasks were made from. The oracles ask here before they take a failure for excused.
 */
import { hexOf } from "../proto/digest.js";
import { type JobId, type ObjectId, objectIdOf } from "../proto/ids.js";
import { limits } from "../proto/limits.js";
import type { Lease } from "../proto/messages/worker.js";
import type { Clock } from "./clock.js";
import { Violation } from "./job-model.js";
import type { Process } from "./process.js";

const taskKey = (job: JobId, stage: number, task: number): string => `${job}/${stage}/${task}`;

interface Facts {
  readonly clock: Clock;
  readonly processes: ReadonlyMap<string, Process>;
  readonly lapsed: ReadonlySet<JobId>;
  readonly grants: ReadonlyMap<string, { readonly atMs: number }>;
}

interface Execution {
  readonly process: Process;
  readonly lease: string;
  readonly epoch: number;
  readonly startedAtMs: number;
  endedAtMs: number | undefined;
  outcome: "running" | "result" | "threw";
  /** Its result is an object on the worker. */
  large: boolean;
}

/** How long after its end a task may still be taken for executing: its report may not have been heard. */
const reportMs = 10_000;
/** A death may come before any heartbeat could say what was executing. */
const killsSlack = 2;

export class Truth {
  readonly #world: Facts;
  readonly #holders = new Map<ObjectId, Set<Process>>();
  /** Objects whose last copy has gone, at some time, with the process that held it. */
  readonly #died = new Set<ObjectId>();
  /** Processes that were taken for dead at some time. */
  readonly #lost = new Set<Process>();
  /** Leases that were given to each, in order. */
  readonly #granted = new Map<Process, Lease[]>();
  readonly #cancelled = new Set<string>();
  readonly #executions = new Map<string, Execution[]>();
  readonly #running = new Map<Process, Map<string, Execution>>();
  /** Deaths of workers by task that may have been executing, or surely was, in this epoch. */
  readonly #mayHaveKilled = new Map<string, number>();
  readonly #hasKilled = new Map<string, number>();
  /** Digests that executions of an object's task have given. */
  readonly #contents = new Map<ObjectId, Set<string>>();

  constructor(world: Facts) {
    this.#world = world;
  }

  // ---------------------------------------------------------------------------------------------- objects

  held(id: ObjectId, process: Process): void {
    const holders = this.#holders.get(id);
    if (holders) holders.add(process);
    else this.#holders.set(id, new Set([process]));
  }

  /** It was dropped, as it was told to or because it was a copy. */
  dropped(id: ObjectId, process: Process): void {
    this.#holders.get(id)?.delete(process);
  }

  isHeld(id: ObjectId): boolean {
    return (this.#holders.get(id)?.size ?? 0) > 0;
  }

  /** At some time the last copy has gone with a process that died, or that left when nobody could take it. */
  hasDied(id: ObjectId): boolean {
    return this.#died.has(id);
  }

  /** The process is gone for good: what only it held is, too. */
  #gone(process: Process): void {
    for (const [id, holders] of this.#holders) if (holders.delete(process) && holders.size === 0) this.#died.add(id);
  }

  /** A lease was given to whoever has this address. */
  granted(lease: Lease, address: string): void {
    const process = this.#world.processes.get(address);
    if (!process) return;
    const list = this.#granted.get(process);
    if (list) list.push(lease);
    else this.#granted.set(process, [lease]);
  }

  /** A dead process was given up: of leases that it never began nobody can know whether they killed it. */
  buried(process: Process): void {
    for (const lease of this.#granted.get(process) ?? []) {
      const begun = this.executionsOf(lease.job, lease.stage, lease.from).some((one) => one.lease === lease.lease);
      if (process.dead && !begun) add(this.#mayHaveKilled, taskKey(lease.job, lease.stage, lease.from));
    }
    this.#granted.delete(process);
    this.#lost.add(process);
  }

  /** It has deregistered. `takeable`: somebody was there, or would have come back, who could take what only it held. */
  left(process: Process, takeable: boolean): void {
    this.#running.delete(process);
    this.#lost.add(process);
    if (takeable) for (const holders of this.#holders.values()) holders.delete(process);
    else this.#gone(process);
  }

  // ---------------------------------------------------------------------------------------------- executions

  started(process: Process, lease: Lease, task: number, epoch: number): void {
    const key = taskKey(lease.job, lease.stage, task);
    this.#judgeAgain(lease, task, epoch);
    const execution: Execution = {
      process,
      lease: lease.lease,
      epoch,
      startedAtMs: this.#world.clock.nowMs,
      endedAtMs: undefined,
      outcome: "running",
      large: false,
    };
    const list = this.#executions.get(key);
    if (list) list.push(execution);
    else this.#executions.set(key, [execution]);
    const running = this.#running.get(process) ?? new Map<string, Execution>();
    this.#running.set(process, running);
    running.set(key, execution);
  }

  /**
   * A task that ran before in this epoch runs again: there must be a reason, the tries must not be spent, and the pause
   * must be over.
   */
  #judgeAgain(lease: Lease, task: number, epoch: number): void {
    const { job, stage, options } = lease;
    const name = `task ${task} of stage ${stage} of ${job}`;
    if (this.hasKilled(job, stage, task) >= limits.strikesMax + killsSlack)
      throw new Violation(
        "strike",
        `${name} is run again, although ${this.hasKilled(job, stage, task)} workers have died of it`,
      );
    if (this.#world.lapsed.has(job)) return;
    const before = this.executionsOf(job, stage, task).filter((one) => one.epoch === epoch);
    const received = before.filter((one) => this.#isReachable(one));
    const grantedAtMs = this.#world.grants.get(lease.lease)?.atMs ?? 0;
    const made = received.find(
      (one) =>
        one.outcome === "result" &&
        (one.endedAtMs ?? 0) < grantedAtMs &&
        (!one.large || this.#holders.get(objectIdOf(lease.base, task))?.has(one.process)),
    );
    if (made)
      throw new Violation(
        "needless",
        `${name} is run again under lease ${lease.lease}, although it has a result, made under lease ${made.lease}`,
      );
    const threw = received.filter(({ outcome, endedAtMs }) => outcome === "threw" && (endedAtMs ?? 0) < grantedAtMs);
    if (threw.length > options.retries)
      throw new Violation(
        "retries",
        `${name} is run again after ${threw.length} failures; it may have ${options.retries}`,
      );
    const last = before.at(-1);
    if (!last || threw.length === 0 || threw.length < before.length) return;
    const pauseMs = 0.75 * Math.min(limits.retryBackoffMsMax, limits.retryBackoffMsFirst * 2 ** (threw.length - 1));
    const pausedMs = this.#world.clock.nowMs - (last.endedAtMs ?? 0);
    if (pausedMs < pauseMs - 2)
      throw new Violation(
        "retries",
        `${name} is run again ${Math.round(pausedMs)} ms after failure ${threw.length}; it should rest for ${pauseMs}`,
      );
  }

  /** What came of it must have been heard by the scheduler: nobody died, was taken for dead, or was told to stop. */
  #isReachable({ process, lease }: Execution): boolean {
    return !process.dead && !this.#lost.has(process) && !this.#cancelled.has(lease);
  }

  /** The scheduler has told a worker to stop this lease. */
  cancelled(lease: string): void {
    this.#cancelled.add(lease);
  }

  /** The job was forgotten: what runs under its name is another. */
  forget(job: JobId): void {
    for (const map of [this.#executions, this.#hasKilled, this.#mayHaveKilled])
      for (const key of map.keys()) if (key.startsWith(`${job}/`)) map.delete(key);
  }

  throwsOf(job: JobId, stage: number, task: number): number {
    return this.executionsOf(job, stage, task).filter(({ outcome }) => outcome === "threw").length;
  }

  ended(job: JobId, stage: number, task: number, lease: string, outcome: Execution["outcome"], large = false): void {
    const execution = this.#executions.get(taskKey(job, stage, task))?.findLast((one) => one.lease === lease);
    if (!execution) return;
    execution.outcome = outcome;
    execution.large = large;
    execution.endedAtMs = this.#world.clock.nowMs;
  }

  executionsOf(job: JobId, stage: number, task: number): readonly Execution[] {
    return this.#executions.get(taskKey(job, stage, task)) ?? [];
  }

  /** A process has died without a word: what it was executing, or might seem to have been, has a death more. */
  died(process: Process): void {
    const nowMs = this.#world.clock.nowMs;
    for (const [key, { endedAtMs, startedAtMs }] of this.#running.get(process) ?? []) {
      if (endedAtMs !== undefined && nowMs - endedAtMs > reportMs) continue;
      add(this.#mayHaveKilled, key);
      // A heartbeat has said that it runs.
      if (endedAtMs === undefined && nowMs - startedAtMs > 2 * limits.heartbeatIntervalMs) add(this.#hasKilled, key);
    }
    this.#running.delete(process);
    this.#lost.add(process);
    this.#gone(process);
  }

  mayHaveKilled(job: JobId, stage: number, task: number): number {
    return this.#mayHaveKilled.get(taskKey(job, stage, task)) ?? 0;
  }
  hasKilled(job: JobId, stage: number, task: number): number {
    return this.#hasKilled.get(taskKey(job, stage, task)) ?? 0;
  }
  /** Strikes are not written down: a new scheduler counts anew. */
  forgetKills(): void {
    this.#hasKilled.clear();
  }

  // ---------------------------------------------------------------------------------------------- contents

  made(id: ObjectId, digest: Uint8Array): void {
    const contents = this.#contents.get(id);
    if (contents) contents.add(hexOf(digest));
    else this.#contents.set(id, new Set([hexOf(digest)]));
  }

  /** How many different results executions of this object's task have given. */
  contentsOf(id: ObjectId): number {
    return this.#contents.get(id)?.size ?? 0;
  }

  wasMade(id: ObjectId, hex: string): boolean {
    return this.#contents.get(id)?.has(hex) === true;
  }
}

const add = (counts: Map<string, number>, key: string): void => {
  counts.set(key, (counts.get(key) ?? 0) + 1);
};

/** A value that was shown must be what somebody made, and what it was made from must be what was shown of that. */
export class Provenance {
  /** By job and object: the digest that was shown or committed first. */
  readonly #shown = new Map<string, string>();
  /** By job, object and digest: what it was made from. */
  readonly #inputs = new Map<string, ReadonlyMap<ObjectId, string>>();
  /** By job and object: who was shown and had read it, with the digest that it read. */
  readonly #readers = new Map<string, { reader: ObjectId; hex: string }[]>();

  made(job: JobId, id: ObjectId, hex: string, inputs: ReadonlyMap<ObjectId, string>): void {
    this.#inputs.set(`${job} ${id} ${hex}`, inputs);
  }

  shown(job: JobId, id: ObjectId, hex: string): void {
    const key = `${job} ${id}`;
    if (this.#shown.get(key) === hex) return;
    this.#shown.set(key, hex);
    for (const { reader, hex: read } of this.#readers.get(key) ?? []) this.#compare(job, reader, id, read, hex);
    for (const [input, read] of this.#inputs.get(`${key} ${hex}`) ?? []) {
      const inputKey = `${job} ${input}`;
      const seen = this.#shown.get(inputKey);
      if (seen !== undefined) this.#compare(job, id, input, read, seen);
      const readers = this.#readers.get(inputKey);
      if (readers) readers.push({ reader: id, hex: read });
      else this.#readers.set(inputKey, [{ reader: id, hex: read }]);
    }
  }

  #compare(job: JobId, reader: ObjectId, input: ObjectId, read: string, seen: string): void {
    if (read !== seen)
      throw new Violation(
        "values",
        `${reader} of ${job} was made from ${input} as ${read}, which was shown as ${seen}`,
      );
  }

  /** The job is to run anew, from nothing. */
  forget(job: JobId): void {
    for (const map of [this.#shown, this.#inputs, this.#readers])
      for (const key of map.keys()) if (key.startsWith(`${job} `)) map.delete(key);
  }
}
