/** For tests: a scheduler on a MemoryNetwork that answers what a test tells it to, and remembers what it heard. */
import { decodeMessage, encodeMessage } from "../../../proto/codec.js";
import type { Durable } from "../../../proto/durable/durable.js";
import { takenBy } from "../../../proto/each.js";
import type { ClientId, JobId } from "../../../proto/ids.js";
import {
  type ClientReply,
  type ClientRequest,
  type ClientRequestOf,
  clientRequest,
} from "../../../proto/messages/client.js";
import type { ResultSegment } from "../../../proto/messages/results.js";
import type { ArgSpec, StageSpec } from "../../../proto/messages/stage.js";
import type { JobStatus } from "../../../proto/messages/status.js";
import { subjects } from "../../../proto/subjects.js";
import type { MemoryNetwork, MemoryTransport } from "../../../proto/transport/testing/memory.js";
import { PackReader, PackWriter } from "../../../proto/values/pack.js";
import { decodeValue, encodeValue, type ValueKind } from "../../../proto/values/value.js";
import type { Backend } from "../backend.js";

type Answer = ClientReply extends infer R ? (R extends { epoch: unknown } ? Omit<R, "epoch"> : never) : never;

export class ScriptedScheduler {
  epoch = 1;
  /** Everything heard, oldest first. */
  readonly received: ClientRequest[] = [];
  /** Opened sessions. A restart forgets them. */
  readonly sessions = new Map<JobId, ClientId>();
  heartbeatIntervalMs = 20;
  /** What it says pure functions are addressed with. */
  engine: string | undefined;
  /** Called for every message but `open` and `heartbeat`, which have usual answers. */
  onRequest: (request: ClientRequest) => Answer | undefined = () => undefined;
  /** What it was told of stages that it had not heard of, by stage and task; of this epoch. */
  readonly told = new Map<number, Map<number, ResultSegment>>();
  /** Called for stages as they come. */
  onStage: (stage: StageSpec, request: ClientRequestOf<"stages">) => void = () => undefined;
  #transport: MemoryTransport;
  readonly #network: MemoryNetwork;

  constructor(network: MemoryNetwork) {
    this.#network = network;
    this.#transport = this.#start();
  }

  #start(): MemoryTransport {
    const transport = this.#network.connect("scheduler");
    transport.subscribe(subjects.schedulerClient, (message) => {
      const request = decodeMessage(clientRequest, message.data);
      this.received.push(request);
      const answer = this.#answer(request);
      if (answer) message.respond(encodeMessage({ ...answer, epoch: this.epoch }));
    });
    return transport;
  }

  #answer(request: ClientRequest): Answer | undefined {
    if (request.t === "open") {
      this.sessions.set(request.session, request.client);
      return {
        t: "opened",
        heartbeatIntervalMs: this.heartbeatIntervalMs,
        ...(this.engine === undefined ? {} : { engine: this.engine }),
      };
    }
    if (request.t === "heartbeat")
      return this.onRequest(request) ?? { t: "heartbeat", known: this.sessions.has(request.session) };
    if (request.t === "stages") {
      if (this.sessions.has(request.session)) for (const stage of request.stages) this.onStage(stage, request);
      return undefined;
    }
    const answer = this.onRequest(request);
    if (answer) return answer;
    if (request.t === "cancel" && request.stage !== undefined) return { t: "cancelled", known: true, tasks: 1 };
    if (request.t === "locate")
      return { t: "located", locations: request.ids.map((id) => ({ id, state: "ready" as const, workers: [] })) };
    if (request.t === "hold") return { t: "held", missing: [] };
    if (request.t === "resume") for (const stage of request.stages) this.#resumed(stage, request);
    return { t: "ok" };
  }

  #resumed(
    { spec, base, segments, last }: ClientRequestOf<"resume">["stages"][number],
    { client, session }: ClientRequestOf<"resume">,
  ): void {
    const told = this.told.get(spec.index) ?? new Map<number, ResultSegment>();
    this.told.set(spec.index, told);
    for (const segment of segments) for (let task = segment.from; task < segment.to; task++) told.set(task, segment);
    if (last && base === undefined) this.onStage(spec, { t: "stages", client, session, stages: [spec] });
  }

  /** The value that this scheduler was told of, for arguments that name a task. */
  valueOf(stage: number, task: number): unknown {
    const segment = this.told.get(stage)?.get(task);
    if (segment?.r !== "inline") return undefined;
    return decodeValue(new PackReader(segment.pack).at(task - segment.from));
  }

  of<T extends ClientRequest["t"]>(t: T): ClientRequestOf<T>[] {
    return this.received.filter((request): request is ClientRequestOf<T> => request.t === t);
  }

  async stop(): Promise<void> {
    await this.#transport.close();
  }

  /** Dies, forgets everything but what the test script holds, and is back with the next epoch. */
  async restart(): Promise<void> {
    await this.stop();
    this.sessions.clear();
    this.told.clear();
    this.epoch++;
    this.#transport = this.#start();
  }

  send(client: ClientId, session: JobId, segments: ResultSegment[], epoch = this.epoch): void {
    this.#transport.publish(subjects.client(client), encodeMessage({ t: "update", epoch, session, segments }));
  }

  /** To a client that follows the job. */
  sendStatus(client: ClientId, status: JobStatus, epoch = this.epoch): void {
    this.#transport.publish(subjects.client(client), encodeMessage({ t: "job", epoch, status }));
  }

  /** Answers every stage by calling `run` for each task. Arguments: values and items only. */
  execute(run: (...args: unknown[]) => unknown): void {
    this.onStage = (stage, { client, session }) => this.send(client, session, [resultsOf(stage, run, this)]);
  }
}

type Emitted = Pick<ScriptedScheduler, "valueOf">;

function argumentOf(arg: ArgSpec, task: number, told: Emitted | undefined): unknown {
  if (arg.a === "item") return decodeValue(new PackReader(arg.pack).at(task));
  if (arg.a === "value") return decodeValue({ kind: arg.kind as ValueKind, data: arg.data });
  if (arg.a === "task") return told?.valueOf(arg.stage, arg.task) ?? arg;
  if (arg.a === "each") {
    const taken = takenBy(arg.of, task);
    if ("id" in taken) return { a: "object", id: taken.id };
    return told?.valueOf(taken.stage, taken.task) ?? { a: "task", ...taken };
  }
  if (arg.a === "stage" && arg.edge === "one-to-one") return told?.valueOf(arg.stage, task) ?? arg;
  if (arg.a === "stage" && arg.edge === "broadcast") return told?.valueOf(arg.stage, 0) ?? arg;
  return arg;
}

/** `told`: where values of named tasks are; without it they stay names. */
export function resultsOf(stage: StageSpec, run: (...args: unknown[]) => unknown, told?: Emitted): ResultSegment {
  const pack = new PackWriter();
  for (let task = 0; task < stage.count; task++)
    pack.add(encodeValue(run(...stage.args.map((arg) => argumentOf(arg, task, told)))));
  return { r: "inline", stage: stage.index, from: 0, to: stage.count, pack: pack.finish() };
}

export function memoryBackend(
  network: MemoryNetwork,
  durable: Durable,
): Backend & { readonly control: MemoryTransport } {
  const control = network.connect("client");
  const frames = network.connect("client-frames");
  return {
    url: "memory:",
    control,
    frames: async () => frames,
    durable: async () => durable,
    async close() {
      await control.close();
      await frames.close();
    },
  };
}
