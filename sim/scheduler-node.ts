/**
 * A scheduler process around the real core: intake, gate, journal writer, snapshots, recovery, as scheduler/shell does
 * them, on models of network and disk.
 */
import { stageBase } from "../proto/address.js";
import { decodeMessage, encodeMessage } from "../proto/codec.js";
import { sha256Hex } from "../proto/digest.js";
import { toWireError } from "../proto/errors.js";
import { validateStages } from "../proto/graph.js";
import type { Epoch, Instance, ObjectBase, SchedulerStart } from "../proto/ids.js";
import { limits } from "../proto/limits.js";
import { type ClientRequest, clientRequest } from "../proto/messages/client.js";
import { type WorkerOrder, type WorkerRequest, workerRequest } from "../proto/messages/worker.js";
import { subjects } from "../proto/subjects.js";
import type { Command, Event, JournalRecord } from "../scheduler/core/events.js";
import { applyRecord, checkInvariants, nextWakeMs, type State, snapshot, step } from "../scheduler/core/index.js";
import { MonotonicClock } from "../scheduler/shell/clock.js";
import type { Hearing } from "../scheduler/shell/hearing.js";
import { realCore } from "../scheduler/shell/real-core.js";
import { SessionStages } from "../scheduler/shell/session-stages.js";
import { type BlobCommand, BlobShelf } from "./blob-shelf.js";
import { describe, describeRecord } from "./describe.js";
import { packPlain } from "./disk.js";
import { GrantJudge } from "./grant-judge.js";
import { Violation } from "./job-model.js";
import { listen } from "./listen.js";
import type { Delivery } from "./network.js";
import { OrderBox } from "./order-box.js";
import { Process } from "./process.js";
import type { Random } from "./random.js";
import { compareWithReplay, replay } from "./replay-check.js";
import { SilenceJudge } from "./silence-judge.js";
import type { World } from "./world.js";

type Said = Extract<Command, { c: "reply" | "order" }> | BlobCommand;
type Cause = ClientRequest["t"] | WorkerRequest["t"] | "tick";
interface Owed {
  readonly respond: (message: unknown) => void;
  readonly orders: WorkerOrder[];
  instance?: Instance | undefined;
}

const tickMs = 20;
const idleTickMs = 1_000;
const snapshotEvery = 25;

export class SchedulerNode {
  readonly address: string;
  readonly process: Process;
  readonly #world: World;
  readonly #random: Random;
  readonly #stages = new SessionStages({
    stageOf: (job, stage) => realCore.stageOf(this.#state as State, job, stage),
    sizeOf: (session) => realCore.sizeOf(this.#state as State, session),
    argsBytesMax: limits.messageBytesMax,
    fail: (client, session, segment) => this.#say({ c: "update", client, session, segment }),
  });
  readonly #blobs: BlobShelf;
  #state: State | undefined;
  #epoch = 0;
  #replies = new Map<number, Owed>();
  #nextReply = 1;
  #records: JournalRecord[] = [];
  #given = 0;
  #durable = 0;
  #lastSeq = 0;
  #appending = false;
  #gated: { after: number; command: Said }[] = [];
  readonly #judge: SilenceJudge;
  readonly #clock: MonotonicClock;
  #tickedAtMs = 0;
  #hearing: Hearing | undefined;
  #entriesSince = 0;
  readonly #grants: GrantJudge;

  constructor(world: World, address: string) {
    this.#world = world;
    this.#random = world.fork();
    this.address = address;
    this.process = new Process(world, address);
    this.#blobs = new BlobShelf({
      durable: world.disk.results,
      random: this.#random,
      later: (delayMs, run) => this.#later(delayMs, run),
      step: (event) => this.#step(event, "tick"),
      say: (command) => this.#say(command),
    });
    // What its machine's wall clock says when it starts; time passes from there.
    const startMs = 1e12 + Math.round(world.clockStepMs * (2 * this.#random.unit() - 1));
    this.#clock = new MonotonicClock(() => startMs + world.clock.nowMs);
    this.#judge = new SilenceJudge(world, this.process, () => this.#epoch === world.epoch);
    this.#grants = new GrantJudge(world, (what) => this.#tell(what));
  }

  get dead(): boolean {
    return this.process.dead;
  }
  get serving(): boolean {
    return !this.dead && this.#state !== undefined;
  }
  get epoch(): number {
    return this.#epoch;
  }
  get state(): State | undefined {
    return this.#state;
  }

  #tell(what: string): void {
    this.process.tell(what);
  }

  #later(delayMs: number, run: () => void): void {
    this.process.later(delayMs, run);
  }

  die(why: string): void {
    if (this.dead) return;
    this.process.die(why);
    this.#world.schedulerGone();
  }

  start(): void {
    this.#tell("starts");
    this.#later(this.#random.delay(20), () => this.#recover());
  }

  #recover(): void {
    const { disk, plant } = this.#world;
    const end = disk.entries.length;
    const { state, atMs } = replay(
      this.#world,
      this.#random.chance(0.7) && !plant?.replayed ? disk.snapshots.at(-1) : undefined,
    );
    this.#clock.atLeast(atMs);
    this.#takeOver(state, end);
  }

  /** The fence; behind a predecessor that still writes, it is tried again. */
  #takeOver(state: State, seq: number): void {
    const { disk, network, plant } = this.#world;
    const epoch = ((state.epoch as number) + 1) as Epoch;
    const start = `start-${this.#random.between(0, 999_999)}` as SchedulerStart;
    const record: JournalRecord = { k: "epoch", epoch, start };
    disk.append(
      this.address,
      [record],
      plant?.replayed ? disk.entries.length : seq,
      () => !network.isCut(this.address),
      (outcome) => {
        this.process.hear(() => {
          if (outcome === "failed") {
            this.die("the journal cannot be written");
            return;
          }
          if (outcome === "landed") {
            applyRecord(state, record);
            this.#serve(state, epoch, plant?.replayed || plant?.unfenced ? disk.entries.length : seq + 1);
            return;
          }
          const late = Array.from({ length: disk.entries.length - seq }, (_, i) => disk.read(seq + i)).flat();
          if (late.some((other) => other.k === "epoch")) {
            this.die("another scheduler was first");
            return;
          }
          for (const other of late) applyRecord(state, other);
          this.#takeOver(state, seq + (disk.entries.length - seq));
        });
      },
    );
  }

  #serve(state: State, epoch: Epoch, lastSeq: number): void {
    const { network } = this.#world;
    this.#state = state;
    this.#epoch = epoch;
    this.#lastSeq = lastSeq;
    this.#world.epoch = Math.max(this.#world.epoch, epoch);
    this.#world.truth.forgetKills();
    this.#tell(`serves as epoch ${epoch}, journal at ${lastSeq}`);
    network.subscribe(subjects.schedulerClient, this.address, (delivery) =>
      this.#receive(delivery, (d) => this.#onClient(d)),
    );
    network.subscribe(subjects.schedulerWorker, this.address, (delivery) =>
      this.#receive(delivery, (d) => this.#onWorker(d)),
    );
    this.#step({ e: "tick", listenedMs: 0 }, "tick");
    this.#tick();
    this.#hearing = listen(this.#world, this.process);
  }

  #tick(): void {
    this.#later(this.#world.resting ? 10 * tickMs : tickMs, () => {
      const state = this.#state as State;
      const wakeMs = nextWakeMs(state);
      for (const request of this.#world.plant?.ghosts?.(state, (worker) => this.#world.isAlive(worker)) ?? [])
        this.#step({ e: "worker", request }, "beat");
      if (
        (wakeMs !== undefined && wakeMs <= this.#clock.nowMs()) ||
        this.#clock.nowMs() - this.#tickedAtMs >= idleTickMs
      ) {
        this.#tickedAtMs = this.#clock.nowMs();
        this.#step({ e: "tick", listenedMs: this.#hearing?.take() ?? 0 }, "tick");
      }
      this.#tick();
    });
  }

  #receive(delivery: Delivery, handle: (delivery: Delivery) => void): void {
    if (!this.dead) handle(delivery);
  }

  #onWorker({ data, respond }: Delivery): void {
    let request: WorkerRequest = decodeMessage(workerRequest, data);
    this.#judge.heard(request.worker);
    const { plant } = this.#world;
    const stale = request.t === "commits" && request.epoch < this.#epoch;
    if (plant?.workerRequest) request = plant.workerRequest(request, this.#epoch, this.#state as State);
    const over = plant?.secondCommits?.(request, this.#state as State, (lease) => this.#grants.jobOf(lease)) ?? [];
    if (over.length > 0) this.#carryOut(over, "commits");
    const commands = this.#step({ e: "worker", request, ...(respond ? { reply: this.#owe(respond) } : {}) }, request.t);
    if (stale && commands.some((command) => command.c === "count" && command.metric === "tasks_committed")) {
      throw new Violation(
        "I2",
        `a report of ${request.worker} from an older epoch than ${this.#epoch} had results committed`,
      );
    }
  }

  #onClient({ data, respond }: Delivery): void {
    const request: ClientRequest = decodeMessage(clientRequest, data);
    if ("client" in request) this.#judge.heard(request.client);
    const reply = respond ? { reply: this.#owe(respond) } : {};
    if (request.t === "stages") {
      this.#step({ e: "client", ...this.#stages.admit(request), ...reply }, "stages");
      return;
    }
    if (request.t === "resume") {
      const bases = this.#orRefused(respond, () => this.#stages.resume(request));
      if (bases) this.#step({ e: "client", request, bases, ...reply }, "resume");
      return;
    }
    if (request.t !== "submit") {
      this.#step({ e: "client", request, ...reply }, request.t);
      return;
    }
    if (!this.#orRefused(respond, () => validateStages(request.stages, request.outputs) ?? true)) return;
    const bases: ObjectBase[] = [];
    for (const stage of request.stages)
      bases.push(stageBase(request.job, stage, (index) => bases[index] as ObjectBase));
    this.#step(
      {
        e: "client",
        request,
        bases,
        contentHash: sha256Hex(encodeMessage([request.stages, request.outputs])),
        ...reply,
      },
      "submit",
    );
  }

  #orRefused<T>(respond: Delivery["respond"], check: () => T): T | undefined {
    try {
      return check();
    } catch (error) {
      respond?.({ t: "error", epoch: this.#epoch, error: toWireError(error) });
      return undefined;
    }
  }

  #owe(respond: (message: unknown) => void): number {
    this.#replies.set(this.#nextReply, { respond, orders: [] });
    return this.#nextReply++;
  }

  #step(event: Event, cause: Cause): readonly Command[] {
    const state = this.#state as State;
    const { counts, plant } = this.#world;
    counts.steps++;
    let commands: Command[];
    try {
      commands = step(state, event, this.#clock.nowMs());
      checkInvariants(state);
    } catch (error) {
      this.#tell(`fails in ${describe(event)}`);
      throw error;
    }
    if (plant?.schedulerCommands) commands = plant.schedulerCommands(commands, cause);
    this.#carryOut(commands, cause);
    this.#flush();
    this.#write();
    return commands;
  }

  #carryOut(commands: readonly Command[], cause: Cause): void {
    for (const command of commands) {
      switch (command.c) {
        case "record":
          this.#tell(`${cause} -> record ${describeRecord(command.record)}`);
          this.#records.push(command.record);
          this.#given++;
          break;
        case "reply":
        case "order":
        case "offload":
        case "drop":
        case "deferred":
          if (
            !command.gated ||
            this.#world.plant?.ungated ||
            (this.#gated.length === 0 && this.#given === this.#durable)
          )
            this.#say(command);
          else this.#gated.push({ after: this.#given, command });
          break;
        case "update":
          this.#say(command);
          break;
        case "digest": {
          const digest = sha256Hex(Buffer.concat(command.parts));
          this.#later(0, () => this.#step({ e: "digest", job: command.job, digest }, "tick"));
          break;
        }
        case "count":
          this.#world.counts.metrics.set(
            command.metric,
            (this.#world.counts.metrics.get(command.metric) ?? 0) + command.by,
          );
          break;
        case "outranked":
          // If it is deposed, this append will say so.
          this.#records.push({ k: "epoch", epoch: command.epoch });
          this.#given++;
          break;
        case "log":
          this.#judge.onLog(command.text, command.fields ?? {}, cause);
          this.#tell(`${cause} -> ${command.text} ${JSON.stringify(command.fields ?? {})}`);
          break;
        default:
          break;
      }
    }
  }

  readonly #outbox = new OrderBox();

  #say(command: Said | Extract<Command, { c: "update" }>): void {
    const { network } = this.#world;
    if (command.c === "update") {
      const { client, session, segment } = command;
      network.publish(this.address, subjects.client(client), {
        t: "update",
        epoch: this.#epoch,
        session,
        segments: [segment],
      });
      return;
    }
    if (command.c === "reply") {
      const owed = this.#replies.get(command.to);
      this.#replies.delete(command.to);
      owed?.respond(command.message);
      return;
    }
    if (command.c !== "order") {
      this.#blobs.carryOut(command, this.#epoch as Epoch);
      return;
    }
    if (command.order.o === "cancel") this.#world.truth.cancelled(command.order.lease);
    if (command.order.o === "lease")
      this.#grants.granted(command.order.lease, command.worker, this.#epoch as Epoch, this.#state as State);
    const owed = command.reply === undefined ? undefined : this.#replies.get(command.reply);
    if (!owed) this.#outbox.add(command.worker, command.instance, command.order);
    else {
      owed.instance = command.instance;
      owed.orders.push(command.order);
    }
  }

  /** What one turn gave rise to goes out as one message a worker. */
  #flush(): void {
    const { network } = this.#world;
    for (const [token, { respond, orders, instance }] of this.#replies) {
      if (orders.length === 0) continue;
      this.#replies.delete(token);
      respond({ t: "orders", epoch: this.#epoch, instance, orders });
    }
    for (const { worker, instance, orders } of this.#outbox.take())
      network.publish(this.address, subjects.worker(worker), { t: "orders", epoch: this.#epoch, instance, orders });
  }

  #write(): void {
    if (this.#appending || this.#records.length === 0) {
      if (!this.#appending) this.#atRest();
      return;
    }
    this.#appending = true;
    this.#append(this.#records.splice(0, this.#random.chance(0.2) ? 1 : this.#records.length), 0);
  }

  /** Every failure but FENCED is tried again; FENCED after one may mean that the entry of an earlier try is there. */
  #append(records: JournalRecord[], tries: number): void {
    const { disk, network } = this.#world;
    disk.append(
      this.address,
      records,
      this.#lastSeq,
      () => !network.isCut(this.address),
      (outcome) => {
        this.process.hear(() => {
          if (
            outcome === "landed" ||
            (outcome === "fenced" && tries > 0 && disk.authors[this.#lastSeq] === this.address)
          )
            this.#appended(records);
          else if (outcome === "fenced") this.die("fenced: another scheduler writes the journal");
          else this.#later(Math.min(50 * 2 ** tries, 2_000), () => this.#append(records, tries + 1));
        });
      },
    );
  }

  #appended(records: readonly JournalRecord[]): void {
    const { disk, plant } = this.#world;
    this.#appending = false;
    if (records.some((record) => record.k === "epoch"))
      throw new Violation(
        "M6",
        `a worker has followed a scheduler that the journal of epoch ${this.#epoch} knows nothing of`,
      );
    this.#lastSeq = plant?.unfenced ? disk.entries.length : this.#lastSeq + 1;
    this.#durable += records.length;
    this.#entriesSince++;
    while (this.#gated[0] && this.#gated[0].after <= this.#durable)
      this.#say((this.#gated.shift() as { command: Said }).command);
    this.#flush();
    this.#write();
  }

  /** Everything given out is on disk: the moment at which state and journal must agree (I9). */
  #atRest(): void {
    if (this.#entriesSince < snapshotEvery || this.#given !== this.#durable || this.#records.length > 0) return;
    this.#entriesSince = 0;
    const { disk, plant } = this.#world;
    if (disk.entries.length !== this.#lastSeq || plant?.replayed || plant?.unfenced) return;
    const state = this.#state as State;
    compareWithReplay(this.#world, state, "what the live steps made");
    disk.snapshots.push({ seq: this.#lastSeq, data: packPlain({ epoch: this.#epoch, data: snapshot(state) }) });
  }
}
