/**
 * Where messages become events: bytes are decoded and checked once, here, and what is behind may trust its types.
 * Nothing that arrives can end the process: a fault is answered where an answer is awaited, and counted in any case.
 */
import { createHash } from "node:crypto";
import { z } from "zod";
import { stageBase } from "../../proto/address.js";
import { decodeMessage, encodeMessage } from "../../proto/codec.js";
import { digestBytes } from "../../proto/digest.js";
import { ofEngine } from "../../proto/engine.js";
import { toWireError, VolleyError, type WireError } from "../../proto/errors.js";
import { validateStages } from "../../proto/graph.js";
import type { ClientId, Epoch, JobId, ObjectBase } from "../../proto/ids.js";
import { limits } from "../../proto/limits.js";
import { type ClientRequest, type ClientRequestOf, clientRequest } from "../../proto/messages/client.js";
import type { ResultSegment } from "../../proto/messages/results.js";
import { clientId, jobId } from "../../proto/messages/scalars.js";
import type { StageSpec } from "../../proto/messages/stage.js";
import { type Commit, workerRequest } from "../../proto/messages/worker.js";
import { subjects } from "../../proto/subjects.js";
import type { Message, Subscription, Transport } from "../../proto/transport/transport.js";
import { PackReader } from "../../proto/values/pack.js";
import type { Event } from "../core/events.js";
import { checkPut, dropMisnamed } from "./content-ids.js";
import type { KnownStage, SessionSize } from "./core-port.js";
import type { ReplyBook } from "./reply-book.js";
import { checkArgsFit, SessionStages } from "./session-stages.js";

export interface IntakeOptions {
  readonly transport: Transport;
  readonly epoch: Epoch;
  readonly replies: ReplyBook;
  stageOf(job: JobId, stage: number): KnownStage | undefined;
  sizeOf(session: JobId): SessionSize | undefined;
  /** What pure functions of users are addressed with. */
  engine(): string | undefined;
  dispatch(event: Event): void;
  /** Tells a session's client that tasks of a stage end with this error, though the core never saw the stage. */
  fail(client: ClientId, session: JobId, segment: ResultSegment): void;
  onMalformed(from: "client" | "worker", error: WireError, bytes: number): void;
  onReceived(from: "client" | "worker", bytes: number): void;
  /** A worker has heard a later scheduler than this one. */
  onLaterEpoch(epoch: Epoch): void;
}

/** Room that a lease order needs besides the arguments of its stage. */
const leaseHeadBytes = 32 * 1024;

/** What must at least be readable of a malformed `stages` message for its sender to be told. */
const looseStages = z.object({
  t: z.literal("stages"),
  client: clientId,
  session: jobId,
  stages: z.array(
    z.object({ index: z.number().int().min(0), count: z.number().int().min(1).max(limits.tasksPerStageMax).catch(1) }),
  ),
});

/**
 * A segment whose parts do not fit together ends its tasks with CORRUPT: behind the boundary packs are taken apart
 * without a doubt, and a worker that is told nothing would send the same again for ever.
 */
function checkCommits(commits: Commit[], onMalformed: IntakeOptions["onMalformed"]): void {
  for (let i = 0; i < commits.length; i++) {
    const commit = commits[i] as Commit;
    const { segment } = commit;
    const tasks = segment.to - segment.from;
    if (tasks <= 0)
      throw new VolleyError(
        "INVALID_ARGUMENT",
        `commit of lease ${commit.lease}: tasks [${segment.from}, ${segment.to}) are none`,
      );
    const fault = faultOf(segment, tasks);
    if (fault === undefined) continue;
    const error: WireError = {
      code: "CORRUPT",
      message: `result of tasks [${segment.from}, ${segment.to}) of stage ${segment.stage}: ${fault}`,
    };
    onMalformed("worker", error, 0);
    commits[i] = {
      ...commit,
      segment: { r: "failed", stage: segment.stage, from: segment.from, to: segment.to, error },
    };
  }
}

function faultOf(segment: ResultSegment, tasks: number): string | undefined {
  if (segment.r === "failed") return undefined;
  if (segment.r === "stored") {
    if (segment.stored.length !== tasks) return `${segment.stored.length} results for ${tasks} tasks`;
    return segment.stored.every((stored) => stored.digest.byteLength === digestBytes)
      ? undefined
      : `a digest is not ${digestBytes} bytes long`;
  }
  if (segment.digests && segment.digests.byteLength !== tasks * digestBytes)
    return `${segment.digests.byteLength} bytes of digests for ${tasks} tasks`;
  try {
    const { count } = new PackReader(segment.pack);
    return count === tasks ? undefined : `a pack of ${count} results for ${tasks} tasks`;
  } catch (error) {
    return (error as Error).message;
  }
}

/** The hash of a list of both as a message, made of its items one by one: the whole is never encoded at once. */
export function graphHash(stages: readonly StageSpec[], outputs: readonly number[]): string {
  const hash = createHash("sha256").update(Uint8Array.of(0x92)).update(listHead(stages.length));
  for (const stage of stages) hash.update(encodeMessage(stage));
  return hash.update(encodeMessage(outputs)).digest("hex");
}

/** msgpack's head of a list. */
function listHead(count: number): Uint8Array {
  if (count < 0x10) return Uint8Array.of(0x90 | count);
  return Uint8Array.of(0xdc, count >> 8, count & 0xff);
}

export class Intake {
  readonly #options: IntakeOptions;
  readonly #sessions: SessionStages;
  readonly #argsBytesMax: number;
  #subscriptions: Subscription[] = [];

  constructor(options: IntakeOptions) {
    this.#options = options;
    this.#argsBytesMax = Math.max(
      options.transport.payloadBytesMax - leaseHeadBytes,
      options.transport.payloadBytesMax >> 1,
    );
    this.#sessions = new SessionStages({
      stageOf: (job, stage) => options.stageOf(job, stage),
      sizeOf: (session) => options.sizeOf(session),
      argsBytesMax: this.#argsBytesMax,
      fail: (client, session, segment) => options.fail(client, session, segment),
    });
  }

  start(): void {
    const { transport } = this.#options;
    this.#subscriptions = [
      transport.subscribe(subjects.schedulerClient, (message) =>
        this.#guard("client", message, () => this.#client(message)),
      ),
      transport.subscribe(subjects.schedulerQuestion, (message) =>
        this.#guard("worker", message, () => this.#question(message)),
      ),
      transport.subscribe(subjects.schedulerWorker, (message) =>
        this.#guard("worker", message, () => this.#worker(message)),
      ),
    ];
  }

  stop(): void {
    for (const subscription of this.#subscriptions.splice(0)) subscription.unsubscribe();
  }

  #guard(from: "client" | "worker", message: Message, handle: () => void): void {
    // Messages of the same batch may still be handed over after the subscriptions have ended.
    if (this.#subscriptions.length === 0) return;
    this.#options.onReceived(from, message.data.byteLength);
    try {
      handle();
    } catch (error) {
      const wire = toWireError(error);
      this.#options.onMalformed(from, wire, message.data.byteLength);
      if (!message.wantsReply) return;
      const { epoch } = this.#options;
      message.respond(
        encodeMessage(
          from === "client" || message.subject === subjects.schedulerQuestion
            ? { t: "error", epoch, error: wire }
            : { t: "commands", epoch, commands: [{ o: "refused", error: wire }] },
        ),
      );
    }
  }

  #worker(message: Message): void {
    const request = decodeMessage(workerRequest, message.data);
    if (request.t === "commits") checkCommits(request.commits, this.#options.onMalformed);
    else dropMisnamed(request, (error) => this.#options.onMalformed("worker", error, 0));
    const { epoch, replies, dispatch, onLaterEpoch } = this.#options;
    if ("epoch" in request && request.epoch > epoch) onLaterEpoch(request.epoch);
    if (!message.wantsReply) {
      dispatch({ e: "worker", request });
      return;
    }
    const reply = replies.add(message, "worker");
    dispatch({ e: "worker", request, reply });
  }

  #client(message: Message): void {
    const request = this.#decodeClient(message);
    // First everything that can be refused, then the token: a refusal is answered by the guard.
    const event = this.#event(request);
    if (message.wantsReply) event.reply = this.#options.replies.add(message, "client");
    this.#options.dispatch(event);
  }

  /** A worker asks; it has no business with what else a client may say. */
  #question(message: Message): void {
    const request = decodeMessage(clientRequest, message.data);
    if (request.t !== "locate" && request.t !== "results")
      throw new VolleyError("FORBIDDEN", `a worker may not ask for ${request.t}`);
    this.#options.dispatch({
      e: "client",
      request,
      ...(message.wantsReply ? { reply: this.#options.replies.add(message, "client") } : {}),
    });
  }

  #event(request: ClientRequest): Extract<Event, { e: "client" }> {
    switch (request.t) {
      case "stages":
        return { e: "client", ...this.#sessions.admit(request) };
      case "resume":
        return this.#resume(request);
      case "submit":
        return this.#submit(request);
      case "put":
        checkPut(request);
        return { e: "client", request };
      case "close":
        this.#sessions.forget(request.session);
        return { e: "client", request };
      default:
        return { e: "client", request };
    }
  }

  #resume(request: ClientRequestOf<"resume">): Extract<Event, { e: "client" }> {
    for (const { segments } of request.stages) {
      for (const segment of segments) {
        const tasks = segment.to - segment.from;
        const fault = tasks <= 0 ? "there are none" : faultOf(segment, tasks);
        if (fault !== undefined)
          throw new VolleyError(
            "CORRUPT",
            `results of tasks [${segment.from}, ${segment.to}) of stage ${segment.stage}: ${fault}`,
          );
      }
    }
    return { e: "client", request, bases: this.#sessions.resume(request) };
  }

  #submit(request: ClientRequestOf<"submit">): Extract<Event, { e: "client" }> {
    const { stages, outputs, job } = request;
    validateStages(stages, outputs);
    for (const stage of stages) checkArgsFit(stage, this.#argsBytesMax);
    // The same graph is the same submission whichever engine is there now.
    const contentHash = graphHash(stages, outputs);
    const engine = this.#options.engine();
    if (engine !== undefined) for (const [i, stage] of stages.entries()) stages[i] = ofEngine(stage, engine);
    const bases: ObjectBase[] = [];
    for (const stage of stages) bases.push(stageBase(job, stage, (index) => bases[index] as ObjectBase));
    return { e: "client", request, bases, contentHash };
  }

  #decodeClient(message: Message): ClientRequest {
    try {
      return decodeMessage(clientRequest, message.data);
    } catch (error) {
      this.#failStages(message.data, error);
      throw error;
    }
  }

  /**
   * `stages` are published without a reply: when they are malformed, but say whose they are, their tasks end with the
   * fault instead of being awaited for ever.
   */
  #failStages(data: Uint8Array, error: unknown): void {
    let loose: ReturnType<typeof looseStages.parse>;
    try {
      loose = decodeMessage(looseStages, data);
    } catch {
      return;
    }
    for (const stage of loose.stages)
      this.#options.fail(loose.client, loose.session, {
        r: "failed",
        stage: stage.index,
        from: 0,
        to: stage.count,
        error: toWireError(error),
      });
  }
}
