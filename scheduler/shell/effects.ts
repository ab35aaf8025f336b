/**
 * Carries out the core's commands, in order: what is said waits for the end of the turn and goes out in batches; what
 * is written goes to the journal.
 *
 * E1 A gated command is carried out only when every record given out before it is on disk (I6); gated commands keep
 * their order among themselves. E2 Commands that are not gated never wait for the journal.
 * E3 After `close` nothing more is said.
 */
import { createHash } from "node:crypto";
import { encodeMessage } from "../../proto/codec.js";
import { isVolleyError } from "../../proto/errors.js";
import type { ClientId, Epoch, JobId } from "../../proto/ids.js";
import { limits } from "../../proto/limits.js";
import type { ClientMessage, ClientReply } from "../../proto/messages/client.js";
import type { ResultSegment } from "../../proto/messages/results.js";
import type { Runtime } from "../../proto/runtime.js";
import { subjects } from "../../proto/subjects.js";
import type { Transport } from "../../proto/transport/transport.js";
import type { Command, Event, JournalRecord } from "../core/events.js";
import type { BlobEffects } from "./blob-effects.js";
import { Outbox } from "./outbox.js";
import type { ReplyBook } from "./reply-book.js";

type Sent = Extract<Command, { c: "reply" | "status" | "command" | "offload" | "drop" | "deferred" }>;

/**
 * How long a patient order waits for others to the same worker: a message and a wake-up less for each task that is
 * alone.
 */
const patientMs = 10;

export interface EffectsOptions {
  readonly transport: Transport;
  readonly epoch: Epoch;
  readonly runtime: Runtime;
  readonly replies: ReplyBook;
  readonly journal: { readonly given: number; readonly durable: number; push(record: JournalRecord): void };
  readonly messageBytesMax?: number;
  readonly blobs: BlobEffects;
  /** Gives an event to the core, after the commands at hand. */
  dispatch(event: Event): void;
  count(command: Extract<Command, { c: "count" }>): void;
  observe(command: Extract<Command, { c: "observe" }>): void;
  log(level: "info" | "warn" | "error", text: string, fields?: Record<string, string | number>): void;
  /** The event that the commands at hand follow from. */
  cause(): string;
  onSent(to: "client" | "worker", bytes: number): void;
  onOutranked(epoch: Epoch): void;
}

export class Effects {
  readonly #options: EffectsOptions;
  readonly #outbox: Outbox;
  #gated: { readonly after: number; readonly command: Sent }[] = [];
  #flushing = false;
  #isLateFlushDue = false;
  #closed = false;

  constructor(options: EffectsOptions) {
    this.#options = options;
    const { transport, epoch, messageBytesMax = limits.messageBytesMax } = options;
    this.#outbox = new Outbox({
      epoch,
      messageBytesMax,
      payloadBytesMax: transport.payloadBytesMax,
      sendToWorker: (worker, data) => this.#publish("worker", subjects.worker(worker), data),
      sendToClient: (client, data) => this.#publish("client", subjects.client(client), data),
      onOversize: (what, bytes) =>
        options.log("error", `${what} of ${bytes} bytes is over what the network takes and was not sent`, {
          bytes,
          limit: transport.payloadBytesMax,
        }),
    });
  }

  /** Commands that wait for the journal. */
  get gated(): number {
    return this.#gated.length;
  }

  carryOut(commands: readonly Command[]): void {
    if (this.#closed) return;
    for (const command of commands) {
      switch (command.c) {
        case "update":
          this.#outbox.update(command.client, command.session, command.segment);
          break;
        case "command":
        case "status":
        case "reply":
          this.#gate(command);
          break;
        case "record":
          this.#options.journal.push(command.record);
          break;
        case "count":
          this.#options.count(command);
          break;
        case "observe":
          this.#options.observe(command);
          break;
        case "digest":
          this.#digest(command.job, command.parts);
          break;
        case "outranked":
          this.#options.onOutranked(command.epoch);
          break;
        case "offload":
        case "drop":
        case "deferred":
          this.#gate(command);
          break;
        case "log":
          this.#options.log(command.level, command.text, { ...command.fields, cause: this.#options.cause() });
          break;
      }
    }
    this.#schedule();
  }

  /** Something of the shell's own to a session's client. */
  emit(client: ClientId, session: JobId, segment: ResultSegment): void {
    if (this.#closed) return;
    this.#outbox.update(client, session, segment);
    this.#schedule();
  }

  /** What had to be read first; an answer that is late for its asker goes nowhere. */
  answer(to: number, message: ClientReply): void {
    if (!this.#closed) this.#reply(to, message);
  }

  onDurable(durable: number): void {
    if (this.#closed) return;
    let released = 0;
    while (released < this.#gated.length && (this.#gated[released]?.after ?? 0) <= durable) released++;
    if (released === 0) return;
    for (const { command } of this.#gated.splice(0, released)) this.#release(command);
    this.#schedule();
  }

  close(): void {
    this.#closed = true;
    this.#gated = [];
  }

  flush(all = false): void {
    this.#flushing = false;
    if (this.#closed) return;
    for (const token of this.#options.replies.takeAsking()) this.#answerWorker(token);
    const isLeft = this.#outbox.flush(all);
    if (!isLeft || this.#isLateFlushDue) return;
    this.#isLateFlushDue = true;
    this.#options.runtime.after(patientMs, () => {
      this.#isLateFlushDue = false;
      this.flush(true);
    });
  }

  /** A microtask: what one batch of incoming messages gave rise to goes out together, and no later than that. */
  #schedule(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    queueMicrotask(() => this.flush());
  }

  #gate(command: Sent): void {
    const { given, durable } = this.#options.journal;
    if (!command.gated || given === durable) this.#release(command);
    else this.#gated.push({ after: given, command });
  }

  #release(command: Sent): void {
    switch (command.c) {
      case "reply":
        this.#reply(command.to, command.message);
        return;
      case "status":
        this.#status(command);
        return;
      case "offload":
        this.#options.blobs.write(command.job, command.blob, command.segments);
        return;
      case "drop":
        this.#options.blobs.drop(command.blobs);
        return;
      case "deferred":
        this.#options.blobs.emit(command.what);
        return;
    }
    const owed = command.reply === undefined ? undefined : this.#options.replies.find(command.reply);
    if (owed) {
      owed.worker = command.worker;
      owed.instance = command.instance;
      owed.commands.push(command.command);
    } else this.#outbox.command(command.worker, command.instance, command.command, command.patient);
  }

  #answerWorker(token: number): void {
    const owed = this.#options.replies.take(token);
    if (!owed) return;
    const [first, ...rest] = this.#outbox.encodeCommands(owed.commands, owed.instance);
    if (first) this.#respond("worker", owed.message, first);
    // A request has one answer; what does not fit into it goes the other way to the worker.
    for (const data of rest) if (owed.worker) this.#publish("worker", subjects.worker(owed.worker), data);
  }

  #reply(token: number, message: ClientReply): void {
    const owed = this.#options.replies.take(token);
    if (owed) this.#respond("client", owed.message, this.#fit(message));
  }

  /** One that the network does not take is left out: the follower's own question is answered with the reason. */
  #status({ client, status }: Extract<Command, { c: "status" }>): void {
    const { transport, epoch } = this.#options;
    const data = encodeMessage({ t: "job", epoch, status } satisfies ClientMessage);
    if (data.byteLength <= transport.payloadBytesMax) this.#publish("client", subjects.client(client), data);
  }

  #fit(message: ClientReply): Uint8Array {
    const { transport, log } = this.#options;
    const data = encodeMessage(message);
    const limit = transport.payloadBytesMax;
    if (data.byteLength <= limit) return data;
    if (message.t === "jobs" && message.jobs.some((job) => job.stages.length > 0))
      return this.#fit({ ...message, jobs: message.jobs.map((job) => ({ ...job, stages: [] })) });
    log("warn", `reply ${message.t} of ${data.byteLength} bytes is over what the network takes`, {
      bytes: data.byteLength,
      limit,
    });
    return encodeMessage({
      t: "error",
      epoch: message.epoch,
      error: {
        code: "TOO_LARGE",
        message: `the reply has ${data.byteLength} bytes, over the limit of ${limit}; ask for less at a time`,
      },
    } satisfies ClientReply);
  }

  #digest(job: JobId, parts: readonly Uint8Array[]): void {
    const hash = createHash("sha256");
    for (const part of parts) hash.update(part);
    this.#options.dispatch({ e: "digest", job, digest: hash.digest("hex") });
  }

  #respond(to: "client" | "worker", message: { respond(data: Uint8Array): void }, data: Uint8Array): void {
    this.#send(to, data, () => message.respond(data));
  }

  #publish(to: "client" | "worker", subject: string, data: Uint8Array): void {
    this.#send(to, data, () => this.#options.transport.publish(subject, data));
  }

  /** At most once (T1): what cannot be sent now is made up for by heartbeats (M2, M4, M5). */
  #send(to: "client" | "worker", data: Uint8Array, send: () => void): void {
    try {
      send();
      this.#options.onSent(to, data.byteLength);
    } catch (error) {
      const code = isVolleyError(error) ? error.code : "INTERNAL";
      this.#options.log("warn", `a message to a ${to} could not be sent: ${(error as Error).message}`, {
        code,
        bytes: data.byteLength,
      });
    }
  }
}
