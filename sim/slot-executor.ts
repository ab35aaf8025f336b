/**
 * In place of a worker's threads: executes the model's functions one task after the other, in virtual time and from the
 * seed, on what the agent has brought into its store. It keeps what pool.ts promises, and otherwise is as awkward as
 * threads may be.
 */
import { mapArg } from "../proto/args.js";
import { digestOf, hexOf } from "../proto/digest.js";
import type { WireError } from "../proto/errors.js";
import { type LeaseId, type ObjectId, objectIdOf } from "../proto/ids.js";
import type { ResultSegment } from "../proto/messages/results.js";
import type { ArgSpec } from "../proto/messages/stage.js";
import type { Lease } from "../proto/messages/worker.js";
import type { Runtime } from "../proto/runtime.js";
import { PackReader, PackWriter } from "../proto/values/pack.js";
import type { EncodedValue } from "../proto/values/value.js";
import type { Source, ThreadArg } from "../worker/pool/run-message.js";
import type { Run, RunListener, RunSpec } from "../worker/pool/run-spec.js";
import type { AgentPool } from "../worker/shell/parts.js";
import type { SharedMemory } from "../worker/store/memory.js";
import { Violation } from "./job-model.js";
import {
  alwaysFails,
  isLarge,
  objectsOf,
  resultOf,
  type StageLookup,
  type Traits,
  traitsOf,
} from "./model-function.js";
import type { Process } from "./process.js";
import type { Random } from "./random.js";
import type { World } from "./world.js";

export interface ExecutorOptions {
  readonly world: World;
  readonly process: Process;
  readonly runtime: Runtime;
  readonly random: Random;
  readonly slots: number;
  readonly memory: SharedMemory;
  /** The process dies of what it executes. */
  perish(): void;
}

interface Active {
  readonly lease: Lease;
  readonly spec: RunSpec;
  readonly listener: RunListener;
  readonly traits: Traits;
  /** The first task that has not started, and the first that will not. */
  next: number;
  to: number;
  killed: boolean;
  ended: boolean;
  readonly slot: number;
  /** Small results that have not been told: tasks [from, next). */
  readonly held: { from: number; values: EncodedValue[] };
  readonly vacated: Promise<void>;
  readonly done: Promise<void>;
  vacate(): void;
  end(): void;
}

/** Where the lease says the objects of its upstream stages are. */
const stagesOf =
  (lease: Lease): StageLookup =>
  (stage) => {
    const found = lease.bases.find(([index]) => index === stage);
    if (!found)
      throw new Violation("leases", `lease ${lease.lease} does not say where the objects of stage ${stage} are`);
    return { base: found[1], count: found[2] };
  };

/** The lease's arguments by the tasks' own indexes: what takes an object each comes cut to the lease's range. */
const argsOf = (lease: Lease): ArgSpec[] =>
  lease.args.map((arg) =>
    mapArg(arg, (leaf) =>
      leaf.a === "each" && lease.from > 0 ? { a: "each", of: [[0, 0, lease.from], ...leaf.of] } : leaf,
    ),
  );

export class SlotExecutor implements AgentPool {
  readonly threadsReplaced = 0;
  readonly #options: ExecutorOptions;
  /** By slot: what its thread executes, and what it begins after that. */
  readonly #threads = new Map<number, Active[]>();

  constructor(options: ExecutorOptions) {
    this.#options = options;
  }

  async close(): Promise<void> {
    for (const active of this.#all()) active.killed = true;
  }

  #all(): Active[] {
    return [...this.#threads.values()].flat();
  }

  /** Tasks of a running lease that no thread has begun. */
  unstarted(id: LeaseId): number {
    const active = this.#all().find(({ lease }) => lease.lease === id);
    return active && !active.killed ? active.to - active.next : 0;
  }

  run(slot: number, spec: RunSpec, listener: RunListener): Run {
    const { world, slots, runtime, random } = this.#options;
    const lease = world.grants.get(spec.lease as LeaseId)?.lease;
    if (!lease) throw new Violation("leases", `lease ${spec.lease} was never given out`);
    const thread = this.#threads.get(slot) ?? [];
    if (slot >= slots || thread.length > 1)
      throw new Violation(
        "slots",
        `lease ${spec.lease} is run on slot ${slot} of ${slots}, where ${thread.length} are`,
      );
    const active = this.#activeOf(slot, lease, spec, listener);
    this.#threads.set(slot, [...thread, active]);
    if (thread.length === 0) runtime.soon(() => this.#execute(active));
    return {
      vacated: active.vacated,
      done: active.done,
      limit: (limit) => {
        active.to = Math.min(active.to, Math.max(limit, active.next));
        this.#skip(active);
        return active.to;
      },
      recall: () => {
        if (this.#threads.get(slot)?.[0] === active || active.next > lease.from) return false;
        active.to = lease.from;
        this.#skip(active);
        return true;
      },
      kill: () => {
        runtime.after(random.delay(5), () => {
          active.killed = true;
          if (this.#threads.get(slot)?.[0] === active) this.#finish(active);
          else this.#skip(active);
        });
      },
    };
  }

  #activeOf(slot: number, lease: Lease, spec: RunSpec, listener: RunListener): Active {
    let vacate = (): void => undefined;
    const vacated = new Promise<void>((resolve) => {
      vacate = resolve;
    });
    let end = (): void => undefined;
    const done = new Promise<void>((resolve) => {
      end = resolve;
    });
    const { from, to } = spec;
    return {
      slot,
      lease,
      spec,
      listener,
      traits: traitsOf(lease.fn),
      next: from,
      to,
      killed: false,
      ended: false,
      held: { from, values: [] },
      vacated,
      done,
      vacate,
      end,
    };
  }

  /** Staged, and nothing of it is to be executed: as in the pool, it is over at once and does not wait for its turn. */
  #skip(active: Active): void {
    const thread = this.#threads.get(active.slot) ?? [];
    const [before] = thread;
    if (active.ended || !before || before === active || !(active.killed || active.next >= active.to)) return;
    active.ended = true;
    this.#threads.set(
      active.slot,
      thread.filter((one) => one !== active),
    );
    active.vacate();
    active.end();
  }

  #execute(active: Active): void {
    if (active.ended) return;
    if (active.killed || active.next >= active.to) {
      this.#finish(active);
      return;
    }
    const { runtime, random, perish } = this.#options;
    const { lease, traits } = active;
    const task = active.next++;
    this.#begin(lease, task);
    const startedMs = runtime.nowMs();
    const poison = traits.mood === "poison";
    runtime.after(poison ? traits.durationMs : random.delay(traits.durationMs), () => {
      if (active.killed) this.#finish(active);
      else if (poison) perish();
      else this.#conclude(active, task, Math.round(1_000 * (runtime.nowMs() - startedMs)));
    });
  }

  #begin(lease: Lease, task: number): void {
    const { world, process } = this.#options;
    const { executions, counts, grants, disk } = world;
    const key = `${lease.job}/${lease.stage}/${task}`;
    executions.set(key, (executions.get(key) ?? 0) + 1);
    counts.executions++;
    const grant = grants.get(lease.lease);
    world.truth.started(process, lease, task, grant?.epoch ?? 0);
    const committedAtMs = lease.durable ? disk.committedAtMs(lease.job, lease.stage, task) : undefined;
    if (grant && committedAtMs !== undefined && committedAtMs < grant.atMs && grant.epoch === world.epoch)
      throw new Violation(
        "once",
        `task ${task} of stage ${lease.stage} of ${lease.job} runs under lease ${lease.lease}, but its commit was in the journal before`,
      );
  }

  #conclude(active: Active, task: number, slotTimeUs: number): void {
    const { world, random } = this.#options;
    const { lease, traits, listener } = active;
    const times = world.executions.get(`${lease.job}/${lease.stage}/${task}`) ?? 1;
    if (alwaysFails(traits, task) || times <= traits.failFirst) {
      world.truth.ended(lease.job, lease.stage, task, lease.lease, "threw");
      this.#emitHeld(active, 0);
      const error: WireError = { code: "TASK_FAILED", message: `${traits.name} threw at task ${task}` };
      listener.results({ r: "failed", stage: lease.stage, from: task, to: task + 1, error }, slotTimeUs);
      active.held.from = task + 1;
      this.#execute(active);
      return;
    }
    const value = this.#evaluate(active, task);
    if (isLarge(traits, task)) {
      this.#emitHeld(active, 0);
      const { kind, data } = value;
      listener.large({
        task,
        kind,
        data: new Uint8Array(data),
        digest: digestOf(kind, data),
        slotTimeUs,
        stored: () => undefined,
      });
      active.held.from = task + 1;
    } else {
      active.held.values.push(value);
      if (random.chance(0.4) || active.next >= active.to) this.#emitHeld(active, slotTimeUs);
    }
    this.#execute(active);
  }

  #emitHeld({ lease, held, spec, listener }: Active, slotTimeUs: number): void {
    if (held.values.length === 0) return;
    const pack = new PackWriter();
    for (const value of held.values) pack.add(value);
    const to = held.from + held.values.length;
    const digests = spec.digests
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
    listener.results(segment, slotTimeUs);
  }

  /** The thread goes on with what is staged behind; what this one made is heard now or a little later. */
  #finish(active: Active): void {
    if (active.ended) return;
    const { runtime, random } = this.#options;
    active.ended = true;
    const staged = (this.#threads.get(active.slot) ?? []).filter((one) => one !== active);
    this.#threads.set(active.slot, staged);
    const emit = (): void => {
      if (!active.killed || random.chance(0.5)) this.#emitHeld(active, 0);
    };
    const late = random.chance(0.3);
    if (!late) emit();
    active.vacate();
    if (staged[0]) this.#execute(staged[0]);
    if (!late) active.end();
    else
      runtime.after(random.delay(1), () => {
        emit();
        active.end();
      });
  }

  // ---------------------------------------------------------------------------------------------- values

  #evaluate({ lease, traits, spec }: Active, task: number): EncodedValue {
    const { world, random } = this.#options;
    const read = new Map<ObjectId, string>();
    argsOf(lease).forEach((arg, i) => {
      const ids = [...objectsOf(arg, task, stagesOf(lease))];
      const contents = this.#contentsOf(arg, spec.args[i] as ThreadArg, task);
      if (ids.length > 0 && contents.length !== ids.length)
        throw new Violation("leases", `lease ${lease.lease} runs with ${contents.length} of ${ids.length} inputs`);
      ids.forEach((id, at) => {
        read.set(id, hexOf(digestOf(3, contents[at] as Uint8Array)));
      });
    });
    const value = resultOf(
      traits,
      task,
      spec.args.map((arg) => this.#textOf(arg, task)),
      random.u32(),
    );
    const id = objectIdOf(lease.base, task);
    const digest = digestOf(value.kind, value.data);
    world.truth.ended(lease.job, lease.stage, task, lease.lease, "result", isLarge(traits, task));
    world.truth.made(id, digest);
    world.provenance.made(lease.job, id, hexOf(digest), read);
    return value;
  }

  #bytes(source: Source): Uint8Array {
    if ("data" in source) return source.data;
    return new Uint8Array(this.#options.memory.buffer, source.offset, source.bytes).slice();
  }

  #items(arg: Extract<ThreadArg, { a: "all" }>): Uint8Array[] {
    return arg.parts.flatMap((part) => {
      if ("one" in part) return [this.#bytes(part.one)];
      const pack = new PackReader(this.#bytes(part.pack));
      return Array.from({ length: pack.count }, (_, i) => pack.at(i).data);
    });
  }

  #textOf(arg: ThreadArg, task: number): string {
    switch (arg.a) {
      case "index":
        return `#${task}`;
      case "same":
        return hexOf(this.#bytes(arg.source));
      case "pack":
        return hexOf(new PackReader(this.#bytes(arg.pack)).at(task - arg.first).data);
      case "each":
        return hexOf(this.#bytes(arg.sources[task - arg.first] as Source));
      case "all":
        return `[${this.#items(arg).map(hexOf).join()}]`;
      case "list":
        return `[${arg.of.map((inner) => this.#textOf(inner, task)).join()}]`;
    }
  }

  /** The objects that the argument is made of, in the order in which `objectsOf` names them. */
  #contentsOf(arg: ArgSpec, given: ThreadArg, task: number): Uint8Array[] {
    if (arg.a === "index" || arg.a === "value" || arg.a === "item") return [];
    switch (given.a) {
      case "same":
        return [this.#bytes(given.source)];
      case "pack":
        return [this.#bytes(given.pack)];
      case "each":
        return [this.#bytes(given.sources[task - given.first] as Source)];
      case "all":
        return this.#items(given);
      case "list":
        return given.of.flatMap((inner, i) =>
          arg.a === "list" ? this.#contentsOf(arg.of[i] as ArgSpec, inner, task) : [],
        );
      case "index":
        return [];
    }
  }
}
