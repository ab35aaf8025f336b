/**
 * A worker process around the real worker core: fetches inputs, "executes" model functions in virtual time, keeps
 * objects, answers fetches. It keeps the promises W1–W6 of worker/core/events.ts and otherwise is as awkward as a real
 * one may be.
 */
import { z } from "zod";
import { decodeMessage, encodeMessage } from "../proto/codec.js";
import { digestOf, equalBytes } from "../proto/digest.js";
import type { WireError } from "../proto/errors.js";
import type { Instance, LeaseId, ObjectId, WorkerId } from "../proto/ids.js";
import { limits } from "../proto/limits.js";
import type { ObjectLocation } from "../proto/messages/results.js";
import type { StoredObject } from "../proto/messages/worker.js";
import { type Lease, workerOrders } from "../proto/messages/worker.js";
import { subjects } from "../proto/subjects.js";
import { PROTOCOL_VERSION } from "../proto/version.js";
import type { WorkerCommand, WorkerEvent } from "../worker/core/events.js";
import { checkWorkerInvariants, createWorkerState, type WorkerState } from "../worker/core/state.js";
import { workerStep } from "../worker/core/step.js";
import type { StoredValue } from "./disk.js";
import { type FetchedValue, Fetcher } from "./fetcher.js";
import { Violation } from "./job-model.js";
import { objectsOf } from "./model-function.js";
import { Process } from "./process.js";
import type { Random } from "./random.js";
import { argsOf, Runs, stagesOf } from "./runs.js";
import { Shelf } from "./truth.js";
import type { World } from "./world.js";

const offer = z.object({ t: z.literal("offer"), id: z.string(), kind: z.number(), data: z.instanceof(Uint8Array) });
const wanted = z.object({ t: z.literal("get"), id: z.string(), digest: z.instanceof(Uint8Array).optional() });
const dataMessage = z.discriminatedUnion("t", [offer, wanted]);

export class WorkerNode {
  readonly id: WorkerId;
  readonly address: string;
  readonly objects: Shelf<StoredValue>;
  readonly process: Process;
  /** Those that may be dropped. */
  readonly #copies = new Set<ObjectId>();
  readonly #world: World;
  readonly #random: Random;
  readonly #state: WorkerState;
  readonly #fetcher: Fetcher;
  readonly #runs: Runs;
  readonly #inputs = new Map<LeaseId, Map<ObjectId, StoredValue>>();
  readonly #offers = new Map<number, () => void>();
  #nextToken = 1;
  #flushing = false;

  constructor(world: World, id: string, slots: number, pid = 1) {
    this.#world = world;
    this.#random = world.fork();
    this.id = id as WorkerId;
    this.address = id;
    this.process = new Process(world, id);
    this.objects = new Shelf(world.truth, this.process);
    this.#state = createWorkerState(
      {
        worker: this.id,
        instance: `instance-${pid}` as Instance,
        node: "model",
        pid,
        version: PROTOCOL_VERSION,
        slots,
        storeBudgetBytes: 1 << 30,
      },
      limits.heartbeatIntervalMs,
    );
    this.#runs = new Runs({
      world,
      process: this.process,
      random: this.#random,
      objects: this.objects,
      inputsOf: (lease) => this.#inputs.get(lease),
      isAnnounced: (id) => this.#state.objects.has(id),
      give: (event) => this.#give(event),
      perish: () => {
        this.die("of a poisonous task");
        world.replace(this.id);
      },
      later: (delayMs, run) => this.#later(delayMs, run),
    });
    this.#fetcher = new Fetcher(world, this.#random, this.process, (id) => this.#missing(id));
  }

  get dead(): boolean {
    return this.process.dead;
  }
  get state(): WorkerState {
    return this.#state;
  }

  /** Tasks of a running lease that no thread has begun. */
  unstarted(lease: LeaseId): number {
    return this.#runs.unstarted(lease);
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
    if (this.dead) return;
    this.process.die(why);
    this.#world.truth.died(this.process);
  }

  /** Drained: what it held is with others, if there are any. */
  #leave(): void {
    this.process.die("drained");
    this.#world.truth.left(this.process);
  }

  #tell(what: string): void {
    this.process.tell(what);
  }

  #later(delayMs: number, run: () => void): void {
    this.process.later(delayMs, run);
  }

  #tick(): void {
    this.#later(this.#world.resting ? 500 : 100, () => {
      this.#give({ e: "tick", storeBytes: this.objects.size, spilledBytes: 0 });
      if (this.#copies.size > 0 && this.#random.chance(0.02)) this.#dropCopy();
      this.#tick();
    });
  }

  // ---------------------------------------------------------------------------------------------- the core

  #onOrders(data: Uint8Array): void {
    if (this.dead) return;
    this.#world.guard(this.address, () => {
      const message = decodeMessage(workerOrders, data);
      const stale = message.epoch < this.#state.epoch;
      const commands = this.#give({ e: "orders", message });
      if (stale && commands.some((command) => command.c !== "count" && command.c !== "log" && command.c !== "run")) {
        throw new Violation(
          "I2",
          `${this.id} of epoch ${this.#state.epoch} obeyed a scheduler of an older epoch: ${message.orders.map((order) => order.o).join()} -> ${commands.map((command) => command.c).join()}`,
        );
      }
    });
  }

  #give(event: WorkerEvent): readonly WorkerCommand[] {
    if (this.dead) return [];
    this.#world.counts.steps++;
    const commands = workerStep(this.#state, event, this.#world.clock.nowMs);
    checkWorkerInvariants(this.#state);
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
        if (command.answered)
          network.request(this.address, subjects.schedulerWorker, command.message, (data) => this.#onOrders(data));
        else network.publish(this.address, subjects.schedulerWorker, command.message);
        return;
      case "prepare":
        this.#prepare(command.lease);
        return;
      case "run":
        this.#runs.start(command.lease, command.slot, command.from, command.to);
        return;
      case "recall":
        if (this.#runs.recall(command.lease)) this.#give({ e: "recalled", lease: command.lease });
        return;
      case "limit":
        this.#runs.limit(command.lease, command.to);
        return;
      case "kill":
        this.#runs.kill(command.lease);
        return;
      case "release":
        this.#inputs.delete(command.lease);
        return;
      case "free":
        command.ids.forEach((id, i) => {
          this.#free(id, command.digests?.[i]);
        });
        return;
      case "keep":
        for (const id of command.ids) this.#copies.delete(id);
        return;
      case "fetch":
        for (const location of command.objects) this.#take(location);
        return;
      case "objectsAcked":
        this.#offers.get(command.token)?.();
        this.#offers.delete(command.token);
        return;
      case "stopped":
        this.#later(0, () => this.#leave());
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

  #prepare(lease: Lease): void {
    const stageOf = stagesOf(lease);
    const args = argsOf(lease);
    const wants = new Set<ObjectId>();
    for (let task = lease.from; task < lease.to; task++)
      for (const arg of args) for (const id of objectsOf(arg, task, stageOf)) wants.add(id);
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

  #free(id: ObjectId, digest: Uint8Array | undefined): void {
    const held = this.objects.get(id);
    if (held && (!digest || equalBytes(digestOf(held.kind, held.data), digest))) this.objects.delete(id);
  }

  /** Somebody was told that this object is here: the scheduler hears that it is not, or what is here of that name. */
  #missing(id: ObjectId): void {
    this.#tell(`does not have ${id}`);
    const held = this.objects.get(id);
    const added = held
      ? [{ id, kind: held.kind, bytes: held.data.byteLength, digest: digestOf(held.kind, held.data) }]
      : [];
    this.#world.guard(this.address, () => this.#give({ e: "objects", added, removed: held ? [] : [id] }));
  }

  /** Now and then a fetched copy is kept and announced, so that an object has several holders. */
  #keepCopies(found: ReadonlyMap<ObjectId, FetchedValue>): void {
    if (!this.#random.chance(0.2)) return;
    const added: StoredObject[] = [];
    for (const [id, { kind, data, inline }] of found) {
      if (inline || this.objects.has(id)) continue;
      this.objects.set(id, { kind, data });
      this.#copies.add(id);
      added.push({ id, kind, bytes: data.byteLength, digest: digestOf(kind, data), copy: true });
    }
    if (added.length > 0) this.#give({ e: "objects", added, removed: [] });
  }

  /** A worker that leaves holds it alone. */
  #take(location: ObjectLocation): void {
    const { id } = location;
    this.#fetcher.fetch(new Set([id]), [location], this.objects, (found) => {
      const value = found.get(id);
      if (value) {
        this.objects.set(id, value);
        this.#copies.delete(id);
      }
      const added = value
        ? [{ id, kind: value.kind, bytes: value.data.byteLength, digest: digestOf(value.kind, value.data) }]
        : [];
      this.#give({ e: "objects", added, removed: value ? [] : [id] });
    });
  }

  /** Room is needed: a copy goes. */
  #dropCopy(): void {
    for (const id of this.#copies) {
      this.#copies.delete(id);
      this.objects.delete(id);
      this.#give({ e: "objects", added: [], removed: [id] });
      return;
    }
  }

  #onData(data: Uint8Array, respond: ((message: Uint8Array) => void) | undefined): void {
    if (this.dead) return;
    const message = decodeMessage(dataMessage, data);
    if (message.t === "get") {
      const value = this.objects.get(message.id as ObjectId);
      const right = value && (!message.digest || equalBytes(digestOf(value.kind, value.data), message.digest));
      if (!right) this.#missing(message.id as ObjectId);
      respond?.(encodeMessage(right ? { found: true, kind: value.kind, data: value.data } : { found: false }));
      return;
    }
    const { id, kind } = message;
    this.objects.set(id as ObjectId, { kind, data: message.data });
    const token = this.#nextToken++;
    this.#offers.set(token, () => respond?.(encodeMessage({ found: true, kind, data: new Uint8Array(0) })));
    const object = { id: id as ObjectId, kind, bytes: message.data.byteLength, digest: digestOf(kind, message.data) };
    this.#world.guard(this.address, () => this.#give({ e: "objects", added: [object], removed: [], token }));
  }
}
