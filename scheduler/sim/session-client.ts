/**
 * A model SDK client: a session, stages submitted over time, beats, stages sent again when the scheduler says it does not know them, puts,
 * cancels, releases, fetches of large results; and a check of everything it is shown.
 */
import { putObjectId } from "../../proto/address.js";
import { decodeMessage } from "../../proto/codec.js";
import { digestOf } from "../../proto/digest.js";
import type { ErrorCode } from "../../proto/errors.js";
import { type ClientId, type Epoch, type JobId, type ObjectId, splitObjectId, type TenantId } from "../../proto/ids.js";
import { limits } from "../../proto/limits.js";
import { clientUpdate, type ResultSegment, type StageSpec } from "../../proto/messages.js";
import { subjects } from "../../proto/subjects.js";
import { PROTOCOL_VERSION } from "../../proto/version.js";
import { Asker } from "./asker.js";
import { Fetcher } from "./fetcher.js";
import { JobModel, Violation } from "./job-model.js";
import type { Random } from "./random.js";
import { randomStage } from "./random-graph.js";
import { metricOf, type World } from "./world.js";

interface ClientStage {
  readonly spec: StageSpec;
  /** By task: its result is here. */
  readonly done: Uint8Array;
  left: number;
  sentAtMs: number;
  /** The opening of the session in which it was sent last: only then does this scheduler know it. */
  sentIn: number;
  fetches: number;
  released: boolean;
}

export interface SessionPlan {
  readonly stages: number;
  /** Stages are submitted within this time. */
  readonly withinMs: number;
}

export class SessionClient {
  readonly address: string;
  readonly #world: World;
  readonly #random: Random;
  readonly #asker: Asker;
  readonly #fetcher: Fetcher;
  readonly #model: JobModel;
  readonly #session: JobId;
  readonly #plan: SessionPlan;
  readonly #stages = new Map<number, ClientStage>();
  readonly #puts = new Map<ObjectId, Uint8Array>();
  #released: number[] = [];
  #open = false;
  #opening = 0;
  #submitted = 0;
  #cancelled = false;
  #closing = false;
  #done = false;

  constructor(world: World, name: string, plan: SessionPlan) {
    this.#world = world;
    this.#random = world.fork();
    this.address = name;
    this.#asker = new Asker(world, this.#random, name);
    this.#fetcher = new Fetcher(world, this.#random, name, () => this.#done);
    this.#session = `session-${name}` as JobId;
    this.#plan = plan;
    this.#model = new JobModel({
      job: this.#session,
      durable: false,
      excuses: (code) => this.#excuses(code),
      foreign: (id) => this.#puts.get(id) ?? world.made.get(id),
    });
    world.jobs.set(this.#session, this.#model);
  }

  get done(): boolean {
    return this.#done;
  }
  /** What it still waits for, for the reader of a story. */
  get waitsFor(): string {
    const left = [...this.#stages].filter(([, stage]) => stage.left > 0).map(([index, stage]) => `stage ${index}: ${stage.left} of ${stage.spec.count}`);
    return left.length > 0 ? left.join(", ") : this.#closing ? "the answer to its close" : "nothing";
  }

  #excuses(code: ErrorCode): boolean {
    const { counts } = this.#world;
    const lost = metricOf(this.#world, "workers_lost") + counts.workerCrashes + counts.schedulerCrashes + counts.schedulerUsurpations + counts.drains > 0;
    switch (code) {
      case "CANCELLED":
        return this.#cancelled;
      case "OBJECT_LOST":
      case "OBJECT_NOT_FOUND":
        return lost;
      case "TASK_QUARANTINED":
        return metricOf(this.#world, "workers_lost") >= limits.blamesMax;
      case "UPSTREAM_FAILED":
        return this.#cancelled || lost;
      default:
        return false;
    }
  }

  start(): void {
    this.#world.network.subscribe(subjects.client(this.address as ClientId), this.address, ({ data }) =>
      this.#world.guard(this.address, () => this.#onUpdate(data)),
    );
    this.#openSession();
    this.#beat();
  }

  // ---------------------------------------------------------------------------------------------- opening

  #openSession(): void {
    this.#open = false;
    const request = { t: "open", client: this.address as ClientId, session: this.#session, tenant: "acme" as TenantId, version: PROTOCOL_VERSION } as const;
    this.#asker.ask(
      () => request,
      (reply) => {
        if (reply.t === "error") throw new Violation("session", `${this.address} cannot open its session: ${reply.error.message}`);
        if (reply.t !== "opened" || this.#open) return reply.t === "opened";
        this.#open = true;
        this.#opening++;
        for (const id of this.#puts.keys()) this.#tellPut(id, () => undefined);
        if (this.#submitted === 0) this.#act();
        else this.#send(this.#withAncestors([...this.#stages.values()].filter((stage) => stage.left > 0)));
        return true;
      },
    );
  }

  #beat(): void {
    if (this.#done) return;
    this.#asker.later(limits.heartbeatIntervalMs, () => this.#beat());
    if (!this.#open || this.#closing) return;
    const nowMs = this.#world.clock.nowMs;
    const waiting = [...this.#stages]
      .filter(([, stage]) => stage.left > 0 && !stage.released && nowMs - stage.sentAtMs > limits.heartbeatIntervalMs)
      .map(([index]) => index);
    const gaps = waiting.flatMap((index) => gapsOf(index, this.#stages.get(index)?.done));
    const released = [...this.#released];
    this.#asker.askOnce(
      { t: "beat", client: this.address as ClientId, session: this.#session, epoch: this.#asker.epoch as Epoch, waiting, gaps, released },
      (reply) => {
        if (reply.t !== "beat" || !this.#open || this.#closing) return;
        this.#released = this.#released.filter((index) => !released.includes(index));
        for (const id of reply.missing ?? []) if (this.#puts.has(id)) this.#tellPut(id, () => undefined);
        if (reply.known) return;
        this.#world.story.tell(this.address, "is not known any more: opens its session again");
        this.#openSession();
      },
    );
  }

  // ---------------------------------------------------------------------------------------------- acting

  /** One thing now, the next later, until the plan is done. */
  #act(): void {
    if (this.#done || this.#closing) return;
    if (this.#random.chance(0.3)) this.#wonder();
    if (this.#submitted < this.#plan.stages) {
      if (this.#random.chance(0.15)) this.#put();
      this.#submit(this.#random.between(1, 3));
      if (this.#random.chance(0.05)) this.#cancel();
    }
    for (const stage of this.#stages.values()) if (this.#random.chance(0.2)) this.#release(stage);
    const finished =
      this.#submitted >= this.#plan.stages && [...this.#stages.values()].every((stage) => stage.released || (stage.left === 0 && stage.fetches === 0));
    if (finished) {
      this.#close();
      return;
    }
    this.#asker.later(this.#random.delay(this.#plan.withinMs / Math.max(1, this.#plan.stages)), () => this.#act());
  }

  /** Questions that people ask in between; whatever the state is, there is an answer. */
  #wonder(): void {
    const stage = [...this.#stages.values()].find(({ left }) => left > 0) ?? this.#stages.get(0);
    if (stage) {
      const task = Math.max(0, stage.done.indexOf(0));
      this.#asker.askOnce({ t: "explain", job: this.#session, stage: stage.spec.index, task }, (reply) => {
        if (reply.t === "explanation" && (reply.explanation.reason === "" || reply.explanation.text === ""))
          throw new Violation("explain", `no reason is given for ${JSON.stringify(reply.explanation)}`);
      });
    }
    this.#asker.askOnce({ t: "status", job: this.#session }, () => undefined);
    this.#asker.askOnce({ t: "workers" }, () => undefined);
    this.#asker.askOnce({ t: "list", limit: 10 }, () => undefined);
  }

  #submit(howMany: number): void {
    const stages: ClientStage[] = [];
    for (let i = 0; i < howMany && this.#submitted < this.#plan.stages; i++) {
      const index = this.#submitted++;
      const readable = [...this.#stages.values()].filter((stage) => !stage.released && stage.sentIn === this.#opening);
      const spec = randomStage(
        {
          random: this.#random,
          stages: readable.map((stage) => ({
            spec: stage.spec,
            objectOf: stage.left === 0 ? (task: number) => this.#model.objectOf(stage.spec.index, task) : undefined,
          })),
          objects: [...this.#puts.keys(), ...[...this.#world.made.keys()].slice(-4)],
          packs: [],
        },
        index,
      );
      this.#model.add(spec);
      const stage = { spec, done: new Uint8Array(spec.count), left: spec.count, sentAtMs: 0, sentIn: this.#opening, fetches: 0, released: false };
      this.#stages.set(index, stage);
      stages.push(stage);
    }
    this.#send(stages);
  }

  /** Publishes stages in order; without an answer: results and beats tell what became of them. */
  #send(stages: readonly ClientStage[]): void {
    if (!this.#open) return;
    for (let at = 0; at < stages.length; at += 4) {
      const batch = stages.slice(at, at + 4);
      for (const stage of batch) {
        stage.sentAtMs = this.#world.clock.nowMs;
        stage.sentIn = this.#opening;
      }
      this.#world.story.tell(this.address, `submits stages ${batch.map(({ spec }) => `${spec.index}x${spec.count}`).join(" ")}`);
      this.#world.network.publish(this.address, subjects.schedulerClient, {
        t: "stages",
        session: this.#session,
        client: this.address,
        stages: batch.map((stage) => stage.spec),
      });
    }
  }

  #put(): void {
    const data = Uint8Array.of(1, 2, 3, this.#random.between(0, 255));
    const id = putObjectId(3, data);
    const small = this.#random.chance(0.6);
    const known = (): void => {
      this.#puts.set(id, data);
    };
    if (small) this.#tellPut(id, known, data);
    else this.#placePut(id, data, known);
  }

  #tellPut(id: ObjectId, onDone: () => void, data = this.#puts.get(id) as Uint8Array): void {
    const request = { t: "put", session: this.#session, id, kind: 3, bytes: data.byteLength, digest: digestOf(3, data), inline: data } as const;
    this.#asker.ask(
      () => request,
      (reply) => {
        if (reply.t === "ok") onDone();
        return reply.t === "ok";
      },
    );
  }

  /** A large object goes to a worker, which tells the scheduler. Given up if the worker does not answer: nobody has its ref yet. */
  #placePut(id: ObjectId, data: Uint8Array, onDone: () => void): void {
    this.#asker.askOnce({ t: "place", bytes: data.byteLength }, (reply) => {
      if (reply.t !== "placed") return;
      this.#world.network.request(this.address, subjects.data(reply.worker), { t: "offer", id, kind: 3, data }, () =>
        this.#world.guard(this.address, () => this.#hold(id, data, onDone)),
      );
    });
  }

  /** Makes the object its own; given up if it has gone again: nobody has its ref yet. */
  #hold(id: ObjectId, data: Uint8Array, onDone: () => void): void {
    const object = { id, kind: 3, bytes: data.byteLength, digest: digestOf(3, data), generation: 1 };
    this.#asker.ask(
      () => ({ t: "hold", session: this.#session, client: this.address as ClientId, objects: [object] }),
      (reply) => {
        if (reply.t === "held" && reply.missing.length === 0) onDone();
        return reply.t === "held";
      },
    );
  }

  #cancel(): void {
    const open = [...this.#stages.values()].filter((stage) => stage.left > 0 && !stage.released);
    if (open.length === 0) return;
    const { spec } = this.#random.pick(open);
    const from = this.#random.between(0, spec.count - 1);
    this.#cancelled = true;
    this.#world.story.tell(this.address, `cancels stage ${spec.index} from ${from}`);
    this.#asker.askOnce({ t: "cancel", job: this.#session, stage: spec.index, from, to: spec.count }, () => undefined);
  }

  /** Its refs are gone: it is complete, and nothing that is still to come reads it. */
  #release(stage: ClientStage): void {
    if (stage.released || stage.left > 0 || stage.fetches > 0) return;
    if (this.#needed().has(stage)) return;
    stage.released = true;
    this.#released.push(stage.spec.index);
  }

  #close(): void {
    this.#closing = true;
    this.#asker.ask(
      () => ({ t: "close", client: this.address as ClientId, session: this.#session }),
      (reply) => {
        if (reply.t !== "ok") return false;
        this.#world.story.tell(this.address, "is done");
        this.#done = true;
        return true;
      },
    );
  }

  // ---------------------------------------------------------------------------------------------- results

  #onUpdate(data: Uint8Array): void {
    const update = decodeMessage(clientUpdate, data);
    if (this.#done || update.session !== this.#session || !this.#asker.accepts(update.epoch)) return;
    for (const segment of update.segments) this.#apply(segment);
  }

  #apply(segment: ResultSegment): void {
    const stage = this.#stages.get(segment.stage);
    if (!stage) throw new Violation("session", `${this.address} was sent results of stage ${segment.stage}, which it never submitted`);
    if (segment.r === "failed" && segment.error.code === "SESSION_LOST") {
      if (stage.left > 0 && !stage.released) this.#asker.later(50, () => this.#send(this.#withAncestors([stage])));
      return;
    }
    this.#world.counts.resultsChecked += this.#model.check(segment);
    for (let task = segment.from; task < segment.to; task++) {
      if (stage.done[task] !== 0) continue;
      stage.done[task] = 1;
      stage.left--;
      if (segment.r === "stored" && !stage.released && this.#random.chance(0.3)) this.#fetch(stage, task);
    }
  }

  #ancestry(stages: readonly ClientStage[]): Set<ClientStage> {
    const chosen = new Set<ClientStage>();
    const visit = (one: ClientStage): void => {
      if (chosen.has(one)) return;
      chosen.add(one);
      for (const upstream of this.#readsOf(one)) visit(upstream);
    };
    for (const stage of stages) visit(stage);
    return chosen;
  }

  /** What is not complete and what that reads, however far up: after a loss all of it may have to be sent again. */
  #needed(): Set<ClientStage> {
    return this.#ancestry([...this.#stages.values()].filter((stage) => stage.left > 0));
  }

  /** The stages and, before them, what they read and what that reads: it may be as unknown as they are. It can be released again later. */
  #withAncestors(stages: readonly ClientStage[]): ClientStage[] {
    const chosen = this.#ancestry(stages);
    for (const stage of chosen) stage.released = false;
    this.#released = this.#released.filter((index) => this.#stages.get(index)?.released === true);
    return [...chosen].sort((a, b) => a.spec.index - b.spec.index);
  }

  /** The stages it reads, by edge or by object id. */
  #readsOf(stage: ClientStage): ClientStage[] {
    const args = stage.spec.args.flatMap((arg) => (arg.a === "list" ? arg.of : [arg]));
    return args.flatMap((arg) => {
      const upstream = arg.a === "stage" || arg.a === "task" ? this.#stages.get(arg.stage) : arg.a === "object" ? this.#makerOf(arg.id) : undefined;
      return upstream ? [upstream] : [];
    });
  }

  #makerOf(id: ObjectId): ClientStage | undefined {
    const { base } = splitObjectId(id);
    return [...this.#stages.values()].find(({ spec }) => this.#model.stage(spec.index).base === base);
  }

  #fetch(stage: ClientStage, task: number): void {
    const id = this.#model.objectOf(stage.spec.index, task);
    stage.fetches++;
    this.#fetcher.fetch(new Set([id]), [], new Map(), (found) => {
      stage.fetches--;
      const value = found.get(id);
      if (value) this.#model.checkContent(stage.spec.index, task, value.data);
    });
  }
}

/** What is missing of a stage that is settled in part, as a beat says it (M5). */
function gapsOf(index: number, done: Uint8Array | undefined): [number, number[]][] {
  if (!done?.includes(1)) return [];
  const runs: number[] = [];
  for (let from = done.indexOf(0); from >= 0; from = done.indexOf(0, from)) {
    const end = done.indexOf(1, from);
    runs.push(from, end < 0 ? done.length : end);
    if (end < 0) break;
    from = end;
  }
  return [[index, runs]];
}
