import { expect } from "vitest";
import { decodeMessage, encodeMessage } from "../../../proto/codec.js";
import type { Epoch, LeaseId, WorkerId } from "../../../proto/ids.js";
import { type ClientReply, type ClientRequest, clientRequest } from "../../../proto/messages/client.js";
import {
  type Commit,
  type SchedulerCommand,
  type WorkerRequest,
  workerRequest,
} from "../../../proto/messages/worker.js";
import { subjects } from "../../../proto/subjects.js";
import { eventually } from "../../../proto/testing/patience.js";
import type { Message, Transport } from "../../../proto/transport/transport.js";
import { PackReader } from "../../../proto/values/pack.js";
import { decodeValue } from "../../../proto/values/value.js";

/** Speaks as a scheduler: answers registration and heartbeats, acknowledges, and notes what it was told. */
export class FakeScheduler {
  epoch = 1;
  acks = true;
  known = new Set<string>();
  readonly received: WorkerRequest[] = [];
  readonly commits: Commit[] = [];
  readonly done: LeaseId[] = [];
  readonly back: { lease: LeaseId; from: number; to: number }[] = [];
  answer: (request: ClientRequest) => ClientReply = (request) => ({
    t: "error",
    epoch: this.epoch as Epoch,
    error: { code: "INTERNAL", message: `not scripted: ${request.t}` },
  });
  readonly #transport: Transport;
  readonly #seen = new Set<string>();

  constructor(transport: Transport) {
    this.#transport = transport;
    transport.subscribe(subjects.schedulerWorker, (message) => this.#worker(message));
    transport.subscribe(subjects.schedulerQuestion, (message) =>
      message.respond(encodeMessage(this.answer(decodeMessage(clientRequest, message.data)))),
    );
  }

  command(worker: string, ...commands: SchedulerCommand[]): void {
    this.#transport.publish(
      subjects.worker(worker as WorkerId),
      encodeMessage({ t: "commands", epoch: this.epoch, commands }),
    );
  }

  #worker(message: Message): void {
    const request = decodeMessage(workerRequest, message.data);
    this.received.push(request);
    const commands = (...list: SchedulerCommand[]): void =>
      message.respond(encodeMessage({ t: "commands", epoch: this.epoch, commands: list }));
    if (request.t === "register") {
      this.known.add(request.worker);
      commands({ o: "welcome", heartbeatIntervalMs: 100 });
    } else if (request.t === "heartbeat")
      commands(...(this.known.has(request.worker) && request.epoch === this.epoch ? [] : [{ o: "unknown" as const }]));
    else if (request.t === "commits" && request.epoch === this.epoch && this.acks) {
      this.command(request.worker, { o: "ack", seq: request.seq });
      if (this.#seen.has(`${request.worker}/${request.seq}`)) return;
      this.#seen.add(`${request.worker}/${request.seq}`);
      this.commits.push(...request.commits);
      this.done.push(...request.done);
      this.back.push(...request.back);
    } else if (request.t === "objects" && request.epoch === this.epoch && this.acks)
      this.command(request.worker, { o: "ack", seq: request.seq });
  }

  async ended(...leases: string[]): Promise<void> {
    await eventually(() => expect(this.done).toEqual(expect.arrayContaining(leases)));
  }

  value(lease: string, task: number): unknown {
    for (const { segment, lease: of } of this.commits) {
      if (of !== lease || segment.r !== "inline" || task < segment.from || task >= segment.to) continue;
      return decodeValue(new PackReader(segment.pack).at(task - segment.from));
    }
    return undefined;
  }
  failure(lease: string, task: number): unknown {
    const found = this.commits.find(
      ({ segment, lease: of }) => of === lease && segment.r === "failed" && task >= segment.from && task < segment.to,
    );
    return found?.segment.r === "failed" ? found.segment.error : undefined;
  }
}
