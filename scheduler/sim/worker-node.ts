/**
 * A worker process around the real worker core: fetches inputs, "executes" model functions in virtual time, keeps objects, answers fetches.
 * It keeps the promises W1–W6 of worker/core/events.ts and otherwise is as awkward as a real one may be.
 */
import { z } from "zod";
import { decodeMessage } from "../../proto/codec.js";
import { digestOf } from "../../proto/digest.js";
import type { WireError } from "../../proto/errors.js";
import { type LeaseId, type ObjectId, objectIdOf, type WorkerId } from "../../proto/ids.js";
import { limits } from "../../proto/limits.js";
import { type ArgSpec, type Lease, type ResultSegment, type StoredObject, workerOrders } from "../../proto/messages.js";
import { PackReader, PackWriter } from "../../proto/pack.js";
import { subjects } from "../../proto/subjects.js";
import type { EncodedValue } from "../../proto/value.js";
import { PROTOCOL_VERSION } from "../../proto/version.js";
import type { WorkerCommand, WorkerEvent } from "../../worker/core/events.js";
import { checkWorkerInvariants, createWorkerState, type WorkerState } from "../../worker/core/state.js";
import { workerStep } from "../../worker/core/step.js";
import type { StoredValue } from "./disk.js";
import { type FetchedValue, Fetcher } from "./fetcher.js";
import { Violation } from "./job-model.js";
import { alwaysFails, evaluate, isLarge, objectsOf, type StageFacts, traitsOf } from "./model-function.js";
import type { Random } from "./random.js";
import type { World } from "./world.js";

interface Run {
  readonly lease: Lease;
  to: number;
  /** The first task that has not started. */
  next: number;
  killed: boolean;
  /** Inline results that have not been given to the core yet: tasks [from, next). */
  readonly held: { from: number; values: EncodedValue[] };
}

const offer = z.object({ t: z.literal("offer"), id: z.string(), kind: z.number(), data: z.instanceof(Uint8Array), owner: z.string() });
const wanted = z.object({ t: z.literal("get"), id: z.string() });
const dataMessage = z.discriminatedUnion("t", [offer, wanted]);

export class WorkerNode {
  readonly id: WorkerId;
  readonly address: string;
  readonly objects = new Map<ObjectId, StoredValue>();
  readonly #world: World;
  readonly #random: Random;
  readonly #state: WorkerState;
  readonly #fetcher: Fetcher;
  readonly #runs = new Map<LeaseId, Run>();
  readonly #inputs = new Map<LeaseId, Map<ObjectId, StoredValue>>();
  readonly #sent = new Set<number>();
  readonly #offers = new Map<number, () => void>();
  #nextToken = 1;
  #flushing = false;
  #dead = false;

  constructor(world: World, id: string, slots: number) {
    this.#world = world;
    this.#random = world.fork();
    this.id = id as WorkerId;
    this.address = id;
    this.#state = createWorkerState({ worker: this.id, node: "model", pid: 1, version: PROTOCOL_VERSION, slots, storeBudgetBytes: 1 << 30 }, limits.heartbeatIntervalMs);
    this.#fetcher = new Fetcher(world, this.#random, this.address, () => this.#dead, (id) => this.#missing(id));
  }

  get dead(): boolean {
    return this.#dead;
  }
  get state(): WorkerState {
    return this.#state;
  }

  start(): void {
    const { network } = this.#world;
    this.#tell(`joins with ${this.#state.identity.slots} slots`);
    network.subscribe(subjects.worker(this.id), this.address, ({ data }) => this.#onOrders(data));
    network.subscribe(subjects.data(this.id), this.address, ({ data, respond }) => this.#onData(data, respond));
    this.#give({ e: "start" });
    this.#tick();
  }

  drain(): void {
    this.#tell("drains");
    this.#give({ e: "drain" });
  }

  reconnected(): void {
    this.#give({ e: "connected" });
  }

  die(why: string): void {
    if (this.#dead) return;
    this.#dead = true;
    this.#tell(`dies: ${why}`);
    this.#world.network.remove(this.address);
  }

  #tell(what: string): void {
    this.#world.story.tell(this.address, what);
  }

  #later(delayMs: number, run: () => void): void {
    this.#world.clock.after(delayMs, () => {
      if (!this.#dead) this.#world.guard(this.address, run);
    });
  }

  #tick(): void {
    this.#later(100, () => {
      this.#give({ e: "tick", storeBytes: this.objects.size, spilledBytes: 0 });
      this.#tick();
    });
  }

  // ---------------------------------------------------------------------------------------------- the core

  #onOrders(data: Uint8Array): void {
    if (this.#dead) return;
    this.#world.guard(this.address, () => {
      let message = decodeMessage(workerOrders, data);
      const { plant } = this.#world;
      const stale = message.epoch < this.#state.epoch;
      if (plant?.workerOrders) message = plant.workerOrders(message, this.#state.epoch);
      const commands = this.#give({ e: "orders", message });
      if (stale && commands.some((command) => command.c !== "count" && command.c !== "log" && command.c !== "run")) {
        throw new Violation("I2", `${this.id} of epoch ${this.#state.epoch} obeyed a scheduler of an older epoch: ${message.orders.map((order) => order.o).join()} -> ${commands.map((command) => command.c).join()}`);
      }
    });
  }

  #give(event: WorkerEvent): readonly WorkerCommand[] {
    if (this.#dead) return [];
    this.#world.counts.steps++;
    let commands = workerStep(this.#state, event, this.#world.clock.nowMs);
    checkWorkerInvariants(this.#state);
    if (this.#world.plant?.workerCommands) commands = this.#world.plant.workerCommands(commands, this.#sent);
    for (const command of commands) this.#carryOut(command);
    if (!this.#flushing && event.e !== "flush") {
      this.#flushing = true;
      this.#later(this.#random.chance(0.8) ? 0 : this.#random.delay(1), () => {
        this.#flushing = false;
        this.#give({ e: "flush" });
      });
    }
    return commands;
  }

  #carryOut(command: WorkerCommand): void {
    const { network } = this.#world;
    switch (command.c) {
      case "send":
        if (command.answered) network.request(this.address, subjects.schedulerWorker, command.message, (data) => this.#onOrders(data));
        else network.publish(this.address, subjects.schedulerWorker, command.message);
        return;
      case "prepare":
        this.#prepare(command.lease);
        return;
      case "run":
        this.#runs.set(command.lease.lease, { lease: command.lease, to: command.to, next: command.from, killed: false, held: { from: command.from, values: [] } });
        this.#later(0, () => this.#execute(command.lease.lease));
        return;
      case "limit":
        this.#limit(command.lease, command.to);
        return;
      case "kill":
        this.#kill(command.lease);
        return;
      case "release":
        this.#inputs.delete(command.lease);
        return;
      case "free":
        for (const id of command.ids) this.objects.delete(id);
        return;
      case "objectsAcked":
        this.#offers.get(command.token)?.();
        this.#offers.delete(command.token);
        return;
      case "stopped":
        this.#later(0, () => this.die("drained"));
        return;
      case "refused":
        throw new Violation("join", `${this.id} was refused: ${command.error.code} ${command.error.message}`);
      case "joined":
        this.#tell(`joined epoch ${command.epoch}`);
        return;
      default:
        return;
    }
  }

  // ---------------------------------------------------------------------------------------------- inputs

  #stageOf(lease: Lease): (stage: number) => StageFacts {
    return (stage) => {
      const found = lease.bases.find(([index]) => index === stage);
      if (!found) throw new Violation("leases", `lease ${lease.lease} does not say where the objects of stage ${stage} are`);
      return { base: found[1], count: found[2] };
    };
  }

  #prepare(lease: Lease): void {
    const stageOf = this.#stageOf(lease);
    const wants = new Set<ObjectId>();
    for (let task = lease.from; task < lease.to; task++) for (const arg of lease.args) for (const id of objectsOf(arg, task, stageOf)) wants.add(id);
    const inputs = new Map<ObjectId, StoredValue>();
    this.#inputs.set(lease.lease, inputs);
    this.#fetcher.fetch(wants, lease.inputs, this.objects, (found, missing) => {
      if (!this.#inputs.has(lease.lease)) return;
      for (const [id, value] of found) inputs.set(id, value);
      if (missing === undefined) {
        this.#keepCopies(found);
        this.#give({ e: "ready", lease: lease.lease });
        return;
      }
      const error: WireError = { code: "OBJECT_LOST", message: `input ${missing} could not be fetched` };
      this.#tell(`cannot fetch ${missing} for lease ${lease.lease}`);
      this.#inputs.delete(lease.lease);
      this.#give({ e: "unready", lease: lease.lease, error, giveBack: true });
      // W1 says `release` follows or has come; the core gives it for a lease that was given back.
    });
  }

  /** Somebody was told that this object is here: the scheduler hears that it is not. */
  #missing(id: ObjectId): void {
    this.#tell(`does not have ${id}`);
    this.#world.guard(this.address, () => this.#give({ e: "objects", added: [], removed: [id] }));
  }

  /** Now and then a fetched copy is kept and announced, so that an object has several holders. */
  #keepCopies(found: ReadonlyMap<ObjectId, FetchedValue>): void {
    if (!this.#random.chance(0.2)) return;
    const added: StoredObject[] = [];
    for (const [id, { kind, data, inline }] of found) {
      if (inline || this.objects.has(id)) continue;
      this.objects.set(id, { kind, data });
      added.push({ id, kind, bytes: data.byteLength, digest: digestOf(kind, data) });
    }
    if (added.length > 0) this.#give({ e: "objects", added, removed: [] });
  }

  #onData(data: Uint8Array, respond: ((message: unknown) => void) | undefined): void {
    if (this.#dead) return;
    const message = decodeMessage(dataMessage, data);
    if (message.t === "get") {
      const value = this.objects.get(message.id as ObjectId);
      if (!value) this.#missing(message.id as ObjectId);
      respond?.(value ? { found: true, kind: value.kind, data: value.data } : { found: false });
      return;
    }
    const { id, kind, owner } = message;
    this.objects.set(id as ObjectId, { kind, data: message.data });
    const token = this.#nextToken++;
    this.#offers.set(token, () => respond?.({ found: true, kind, data: new Uint8Array(0) }));
    const object = { id: id as ObjectId, kind, bytes: message.data.byteLength, digest: digestOf(kind, message.data), owner: owner as never };
    this.#world.guard(this.address, () => this.#give({ e: "objects", added: [object], removed: [], token }));
  }

  // ---------------------------------------------------------------------------------------------- runs

  #execute(id: LeaseId): void {
    const run = this.#runs.get(id);
    if (!run) return;
    if (run.killed || run.next >= run.to) {
      this.#finish(run);
      return;
    }
    const { lease } = run;
    const task = run.next++;
    this.#noteExecution(lease, task);
    const started = this.#world.clock.nowMs;
    this.#later(this.#random.delay(traitsOf(lease.fn).durationMs), () => {
      if (run.killed) {
        this.#finish(run);
        return;
      }
      this.#conclude(run, task, Math.round(1000 * (this.#world.clock.nowMs - started)));
    });
  }

  #noteExecution(lease: Lease, task: number): void {
    const { executions, counts, grants, disk } = this.#world;
    const key = `${lease.job}/${lease.stage}/${task}`;
    executions.set(key, (executions.get(key) ?? 0) + 1);
    counts.executions++;
    const grant = grants.get(lease.lease);
    if (!grant) throw new Violation("leases", `lease ${lease.lease} was never given out`);
    const committedAtMs = lease.durable ? disk.committedAtMs(lease.job, lease.stage, task) : undefined;
    if (committedAtMs !== undefined && committedAtMs < grant.atMs && grant.epoch === this.#world.epoch) {
      throw new Violation("once", `task ${task} of stage ${lease.stage} of ${lease.job} runs under lease ${lease.lease}, but its commit was in the journal before`);
    }
  }

  #conclude(run: Run, task: number, slotTimeUs: number): void {
    const { lease } = run;
    const traits = traitsOf(lease.fn);
    const times = this.#world.executions.get(`${lease.job}/${lease.stage}/${task}`) ?? 1;
    if (alwaysFails(traits, task) || times <= traits.failFirst) {
      this.#giveHeld(run, 0);
      const error: WireError = { code: "TASK_FAILED", message: `${traits.name} threw at task ${task}` };
      this.#give({ e: "results", lease: lease.lease, segment: { r: "failed", stage: lease.stage, from: task, to: task + 1, error }, slotTimeUs });
      run.held.from = task + 1;
      this.#execute(lease.lease);
      return;
    }
    const inputs = this.#inputs.get(lease.lease);
    const contentOf = (id: ObjectId): Uint8Array => {
      const value = inputs?.get(id);
      if (!value) throw new Violation("leases", `lease ${lease.lease} runs without its input ${id}`);
      return value.data;
    };
    const args = lease.args.map((arg) => cutBack(arg, lease.from));
    const value = evaluate(traits, args, task, this.#stageOf(lease), contentOf, this.#random.u32());
    if (isLarge(traits, task)) {
      this.#giveHeld(run, 0);
      this.#store(run, task, value, slotTimeUs);
      return;
    }
    run.held.values.push(value);
    if (this.#random.chance(0.4) || run.next >= run.to) this.#giveHeld(run, slotTimeUs);
    this.#execute(lease.lease);
  }

  /** W6: a large result is in its stores before the core hears of it. */
  #store(run: Run, task: number, { kind, data }: EncodedValue, slotTimeUs: number): void {
    const { lease } = run;
    const id = objectIdOf(lease.base, task);
    this.objects.set(id, { kind, data });
    const tell = (): void => {
      if (run.killed) {
        if (!this.#state.objects.has(id)) this.objects.delete(id);
        this.#finish(run);
        return;
      }
      if (lease.durable) this.#world.disk.objects.set(id, { kind, data });
      const stored = [{ bytes: 100_000, kind, digest: digestOf(kind, data) }];
      this.#give({ e: "results", lease: lease.lease, segment: { r: "stored", stage: lease.stage, from: task, to: task + 1, stored }, slotTimeUs });
      run.held.from = task + 1;
      this.#execute(lease.lease);
    };
    if (lease.durable) this.#later(this.#random.delay(3), tell);
    else tell();
  }

  #giveHeld(run: Run, slotTimeUs: number): void {
    const { lease, held } = run;
    if (held.values.length === 0) return;
    const pack = new PackWriter();
    for (const value of held.values) pack.add(value);
    const to = held.from + held.values.length;
    const digests = lease.durable ? { digests: new Uint8Array(Buffer.concat(held.values.map(({ kind, data }) => digestOf(kind, data)))) } : {};
    const segment: ResultSegment = { r: "inline", stage: lease.stage, from: held.from, to, pack: pack.finish(), ...digests };
    held.from = to;
    held.values.length = 0;
    this.#give({ e: "results", lease: lease.lease, segment, slotTimeUs });
  }

  #finish(run: Run): void {
    if (!this.#runs.delete(run.lease.lease)) return;
    if (!run.killed || this.#random.chance(0.5)) this.#giveHeld(run, 0);
    this.#give({ e: "ended", lease: run.lease.lease });
  }

  #limit(id: LeaseId, to: number): void {
    const run = this.#runs.get(id);
    if (!run) return;
    run.to = Math.min(run.to, Math.max(to, run.next));
    const limit = run.to;
    this.#later(0, () => {
      if (this.#runs.has(id)) this.#give({ e: "limited", lease: id, to: limit });
    });
  }

  #kill(id: LeaseId): void {
    const run = this.#runs.get(id);
    if (!run) return;
    this.#later(this.#random.delay(5), () => {
      run.killed = true;
      this.#finish(run);
    });
  }
}

/** Items come cut to the lease's range: item i - from belongs to task i. */
function cutBack(arg: ArgSpec, from: number): ArgSpec {
  if (arg.a === "list") return { a: "list", of: arg.of.map((inner) => cutBack(inner, from)) };
  if (arg.a !== "item" || from === 0) return arg;
  const cut = new PackReader(arg.pack);
  const whole = new PackWriter();
  for (let i = 0; i < from; i++) whole.add({ kind: 0, data: new Uint8Array(0) });
  for (let i = 0; i < cut.count; i++) whole.add(cut.at(i));
  return { a: "item", pack: whole.finish() };
}
