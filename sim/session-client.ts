/**
 * A model SDK client: a session, stages submitted over time, beats, stages sent again when the scheduler says it does
 * not know them, puts, cancels, releases, fetches of large results; and a check of everything it is shown.
 */

import { objectsRead, stagesRead } from "../proto/args.js";
import { decodeMessage } from "../proto/codec.js";
import { type ClientId, type Epoch, type JobId, type ObjectId, splitObjectId, type TenantId } from "../proto/ids.js";
import { limits } from "../proto/limits.js";
import { clientUpdate } from "../proto/messages/client.js";
import type { ResultSegment } from "../proto/messages/results.js";
import type { StageSpec } from "../proto/messages/stage.js";
import { subjects } from "../proto/subjects.js";
import { PROTOCOL_VERSION } from "../proto/version.js";
import type { SegmentTable } from "../scheduler/core/segments.js";
import { Asker } from "./asker.js";
import { Excuses } from "./excuse.js";
import { Fetcher } from "./fetcher.js";
import { JobModel, Violation } from "./job-model.js";
import { Process } from "./process.js";
import type { Random } from "./random.js";
import { randomStage } from "./random-graph.js";
import { emptyShown, gapsOf, keepShown, retell } from "./retelling.js";
import { SessionPuts } from "./session-puts.js";
import type { World } from "./world.js";

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
  readonly results: SegmentTable;
}

/** A fetch is tried so often after the last fault. */
const fetchesMax = 20;

export interface SessionPlan {
  readonly stages: number;
  /** Stages are submitted within this time. */
  readonly withinMs: number;
}

export class SessionClient {
  readonly address: string;
  readonly process: Process;
  readonly #world: World;
  readonly #random: Random;
  readonly #asker: Asker;
  readonly #fetcher: Fetcher;
  readonly #model: JobModel;
  readonly #excuses: Excuses;
  readonly #cancels: { stage: number; from: number; to: number }[] = [];
  /** Stages of which a scheduler knows the results alone, not what made them. */
  readonly #retold = new Set<number>();
  /** Stages whose refs were gone at some time. */
  readonly #gone = new Set<number>();
  readonly #session: JobId;
  readonly #plan: SessionPlan;
  readonly #stages = new Map<number, ClientStage>();
  readonly #puts: SessionPuts;
  #released: number[] = [];
  #open = false;
  #opening = 0;
  #submitted = 0;
  #closing = false;
  #done = false;

  constructor(world: World, name: string, plan: SessionPlan) {
    this.#world = world;
    this.#random = world.fork();
    this.address = name;
    this.process = new Process(world, name);
    this.#asker = new Asker(world, this.#random, this.process);
    this.#fetcher = new Fetcher(world, this.#random, this.process);
    this.#session = `session-${name}` as JobId;
    this.#plan = plan;
    this.#puts = new SessionPuts(this.#fetcher, this.#random, this.#asker, this.#session);
    this.#model = new JobModel({
      job: this.#session,
      durable: false,
      tenant: "acme",
      excuses: (code, stage, task) => this.#excuses.explains(code, stage, task),
      throwsOf: (stage, task) => world.truth.throwsOf(this.#session, stage, task),
      onShown: (id, hex) => world.provenance.shown(this.#session, id, hex),
      foreign: (id) => this.#puts.valueOf(id) ?? world.made.get(id),
    });
    this.#excuses = new Excuses(world.truth, this.#model, this);
    world.jobs.set(this.#session, this.#model);
  }

  get done(): boolean {
    return this.#done;
  }
  get waitsFor(): string {
    const left = [...this.#stages]
      .filter(([, stage]) => stage.left > 0)
      .map(([index, stage]) => `stage ${index}: ${stage.left} of ${stage.spec.count}`);
    return left.length > 0 ? left.join(", ") : this.#closing ? "the answer to its close" : "nothing";
  }

  isCancelled(stage: number, task: number): boolean {
    return this.#cancels.some((one) => one.stage === stage && one.from <= task && task < one.to);
  }
  wasRetold(stage: number): boolean {
    return this.#retold.has(stage);
  }
  wasReleased(stage: number): boolean {
    return this.#gone.has(stage);
  }
  get lapsed(): boolean {
    return this.#world.lapsed.has(this.#session);
  }

  start(): void {
    this.#world.network.subscribe(subjects.client(this.address as ClientId), this.address, ({ data }) =>
      this.#onUpdate(data),
    );
    this.#openSession();
    this.#beat();
  }

  crash(): void {
    this.process.die("crashed");
    this.#done = true;
  }

  // ---------------------------------------------------------------------------------------------- opening

  #openSession(): void {
    this.#open = false;
    const request = {
      t: "open",
      client: this.address as ClientId,
      session: this.#session,
      tenant: "acme" as TenantId,
      version: PROTOCOL_VERSION,
    } as const;
    this.#asker.ask(
      () => request,
      (reply) => {
        if (reply.t === "error")
          throw new Violation("session", `${this.address} cannot open its session: ${reply.error.message}`);
        if (reply.t !== "opened" || this.#open) return reply.t === "opened";
        this.#open = true;
        this.#opening++;
        this.#puts.tellAll(() => {
          if (this.#submitted === 0) this.#act();
          else this.#send([...this.#incomplete(), ...this.#largeResults()]);
        });
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
      .filter(
        ([, stage]) =>
          stage.left > 0 && stage.sentIn === this.#opening && nowMs - stage.sentAtMs > limits.heartbeatIntervalMs,
      )
      .map(([index]) => index);
    const gaps = waiting.flatMap((index) => gapsOf(index, this.#stages.get(index)?.done));
    const released = [...this.#released];
    this.#asker.askOnce(
      {
        t: "beat",
        client: this.address as ClientId,
        session: this.#session,
        epoch: this.#asker.epoch as Epoch,
        waiting,
        gaps,
        released,
      },
      (reply) => {
        if (reply.t !== "beat" || !this.#open || this.#closing) return;
        this.#released = this.#released.filter((index) => !released.includes(index));
        this.#puts.tellAgain([...(reply.missing ?? []), ...(reply.awaited ?? [])]);
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
      if (this.#random.chance(0.15)) this.#puts.put();
      this.#submit(this.#random.between(1, 3));
      if (this.#random.chance(0.05)) this.#cancel();
    }
    for (const stage of this.#stages.values()) if (this.#random.chance(0.2)) this.#release(stage);
    const finished =
      this.#submitted >= this.#plan.stages &&
      [...this.#stages.values()].every((stage) => stage.released || (stage.left === 0 && stage.fetches === 0));
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
      const readable = [...this.#stages.values()].filter((stage) => !stage.released);
      const spec = randomStage(
        {
          random: this.#random,
          stages: readable.map((stage) => ({
            spec: stage.spec,
            objectOf: stage.left === 0 ? (task: number) => this.#model.objectOf(stage.spec.index, task) : undefined,
          })),
          objects: [...this.#puts.ids, ...[...this.#world.made.keys()].slice(-4)],
          packs: [],
          badWork: this.#world.rates.badWork,
          slowWork: this.#world.rates.slowWork,
        },
        index,
      );
      this.#model.add(spec);
      const stage = {
        spec,
        done: new Uint8Array(spec.count),
        left: spec.count,
        sentAtMs: 0,
        sentIn: 0,
        fetches: 0,
        released: false,
        results: emptyShown(),
      };
      this.#stages.set(index, stage);
      stages.push(stage);
    }
    this.#send(stages);
  }

  /** What is complete and lies with workers: whoever wants it must be told where. */
  #largeResults(): ClientStage[] {
    return [...this.#stages.values()].filter(
      ({ left, released, results }) => left === 0 && !released && [...results].some(({ r }) => r === "stored"),
    );
  }

  #incomplete(): ClientStage[] {
    return [...this.#stages.values()].filter((stage) => stage.left > 0);
  }

  /**
   * Tells of what was shown of these stages and of those they read, unless this scheduler knows it; then sends those of
   * which nothing was shown.
   */
  #send(stages: readonly ClientStage[]): void {
    if (!this.#open) return;
    const opening = this.#opening;
    const due = this.#unknownTo(stages);
    const from = due.findIndex(({ results }) => results.count > 0);
    if (from !== 0) this.#publish(due.slice(0, from < 0 ? due.length : from));
    if (from < 0) return;
    // In the order of their indexes: what one reads is known before it.
    const to = due.findIndex(({ results }, i) => i > from && results.count === 0);
    const told = due.slice(from, to < 0 ? due.length : to);
    const shown = told.map(({ spec, left, results }) => ({
      spec,
      base: this.#model.stage(spec.index).base,
      results,
      complete: left === 0,
    }));
    this.#world.story.tell(
      this.address,
      `tells what it was shown of stages ${told.map(({ spec }) => spec.index).join(" ")}`,
    );
    retell(this.#asker, this.#random, { client: this.address as ClientId, session: this.#session }, shown, (known) => {
      if (opening !== this.#opening || !this.#open || this.#closing) return;
      if (!known) this.#openSession();
      else {
        for (const stage of told) this.#sent(stage);
        if (to >= 0) this.#send(due.slice(to));
      }
    });
  }

  #sent(stage: ClientStage): void {
    stage.sentAtMs = this.#world.clock.nowMs;
    stage.sentIn = this.#opening;
  }

  /**
   * These, and what they read as far as this scheduler does not know it, in order. What is complete is told without
   * what it read.
   */
  #unknownTo(stages: readonly ClientStage[]): ClientStage[] {
    const due = new Set<ClientStage>();
    const visit = (stage: ClientStage): void => {
      if (due.has(stage)) return;
      due.add(stage);
      if (stage.left > 0) for (const read of this.#readsOf(stage)) if (read.sentIn !== this.#opening) visit(read);
      if (stage.left === 0) this.#retold.add(stage.spec.index);
    };
    for (const stage of stages) visit(stage);
    return [...due].sort((a, b) => a.spec.index - b.spec.index);
  }

  /** Without an answer: results and beats tell what became of them. */
  #publish(stages: readonly ClientStage[]): void {
    for (let at = 0; at < stages.length; at += 4) {
      const batch = stages.slice(at, at + 4);
      for (const stage of batch) this.#sent(stage);
      this.#world.story.tell(
        this.address,
        `submits stages ${batch.map(({ spec }) => `${spec.index}x${spec.count}`).join(" ")}`,
      );
      this.#world.network.publish(this.address, subjects.schedulerClient, {
        t: "stages",
        session: this.#session,
        client: this.address,
        stages: batch.map((stage) => stage.spec),
      });
    }
  }

  #cancel(): void {
    const open = [...this.#stages.values()].filter((stage) => stage.left > 0 && !stage.released);
    if (open.length === 0) return;
    const { spec } = this.#random.pick(open);
    const from = this.#random.between(0, spec.count - 1);
    this.#cancels.push({ stage: spec.index, from, to: spec.count });
    this.#world.story.tell(this.address, `cancels stage ${spec.index} from ${from}`);
    this.#asker.askOnce({ t: "cancel", job: this.#session, stage: spec.index, from, to: spec.count }, () => undefined);
  }

  /** Its refs are gone: it is complete, and nothing that is still to come reads it. */
  #release(stage: ClientStage): void {
    if (stage.released || stage.left > 0 || stage.fetches > 0) return;
    if (this.#needed().has(stage)) return;
    stage.released = true;
    this.#gone.add(stage.spec.index);
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
    if (!stage)
      throw new Violation(
        "session",
        `${this.address} was sent results of stage ${segment.stage}, which it never submitted`,
      );
    if (segment.r === "failed" && segment.error.code === "SESSION_LOST") {
      if (stage.left > 0 && !stage.released) this.#asker.later(50, () => this.#send([stage]));
      return;
    }
    this.#world.counts.resultsChecked += this.#model.check(segment);
    keepShown(stage.results, segment);
    for (let task = segment.from; task < segment.to; task++) {
      if (stage.done[task] !== 0) continue;
      stage.done[task] = 1;
      stage.left--;
      if (segment.r === "stored" && !stage.released && this.#random.chance(0.3)) this.#fetch(stage, task);
    }
  }

  /** What is not complete, and what that reads. */
  #needed(): Set<ClientStage> {
    const incomplete = this.#incomplete();
    return new Set([...incomplete, ...incomplete.flatMap((stage) => this.#readsOf(stage))]);
  }

  /** The stages it reads, by edge or by object id. */
  #readsOf(stage: ClientStage): ClientStage[] {
    const { args } = stage.spec;
    const read = [...stagesRead(args)].map((index) => this.#stages.get(index));
    return [...read, ...[...objectsRead(args)].map((id) => this.#makerOf(id))].filter((one) => one !== undefined);
  }

  #makerOf(id: ObjectId): ClientStage | undefined {
    const { base } = splitObjectId(id);
    return [...this.#stages.values()].find(({ spec }) => this.#model.stage(spec.index).base === base);
  }

  /** A result that was shown can be had, if not at once: it may have to be made again. */
  #fetch(stage: ClientStage, task: number, tries = 0): void {
    const id = this.#model.objectOf(stage.spec.index, task);
    stage.fetches++;
    void this.#fetcher.fetch(id).then((value) => {
      stage.fetches--;
      if (value) this.#model.checkContent(stage.spec.index, task, value.data);
      else if (this.#done || this.#closing) return;
      else if (tries < fetchesMax) this.#fetchLater(stage, task, tries + 1);
      else this.#model.checkLoss(stage.spec.index, task);
    });
  }

  #fetchLater(stage: ClientStage, task: number, tries: number): void {
    if (!this.#model.mayBeLost(stage.spec.index, task)) {
      stage.fetches++;
      this.#asker.later(2_000, () => {
        stage.fetches--;
        this.#fetch(stage, task, this.#world.calm ? tries : 0);
      });
    }
  }
}
