/**
 * What is to be said to workers and clients, gathered over one turn and sent as few messages, none of them larger than
 * the network takes.
 *
 * Sizes are estimated from what dominates them (bytes of arguments and packs), and checked exactly once the message is
 * encoded.
 */

import { type ArgLeaf, foldArg } from "../../proto/args.js";
import { encodeMessage } from "../../proto/codec.js";
import { digestBytes } from "../../proto/digest.js";
import { wireErrorBytes } from "../../proto/errors.js";
import type { ClientId, Epoch, Instance, JobId, WorkerId } from "../../proto/ids.js";
import type { ResultSegment } from "../../proto/messages/results.js";
import type { ArgSpec } from "../../proto/messages/stage.js";
import type { SchedulerCommand } from "../../proto/messages/worker.js";
import { PackReader } from "../../proto/values/pack.js";

export interface OutboxOptions {
  readonly epoch: Epoch;
  /** Where a batch is cut. */
  readonly messageBytesMax: number;
  /** What the network takes at most. */
  readonly payloadBytesMax: number;
  sendToWorker(worker: WorkerId, data: Uint8Array): void;
  sendToClient(client: ClientId, data: Uint8Array): void;
  /** Something that no cut makes small enough: a fault of ours, told but survived. */
  onOversize(what: string, bytes: number): void;
}

const headBytes = 128;

function argBytes(args: readonly ArgSpec[]): number {
  const bytesOf = (leaf: ArgLeaf): number =>
    leaf.a === "each"
      ? 16 + 48 * leaf.of.length
      : leaf.a === "item"
        ? 16 + leaf.pack.byteLength
        : leaf.a === "value"
          ? 24 + leaf.data.byteLength
          : 96;
  const sum = (of: readonly number[]): number => of.reduce((total, bytes) => total + bytes, 0);
  return sum(args.map((arg) => foldArg(arg, bytesOf, (of) => 12 + sum(of))));
}

export function commandBytes(command: SchedulerCommand): number {
  if (command.o === "free") return 16 + 96 * command.ids.length;
  if (command.o !== "lease") return 80;
  const { lease } = command;
  let bytes = 512 + argBytes(lease.args) + 96 * lease.bases.length;
  for (const input of lease.inputs) bytes += 192 + (input.inline?.byteLength ?? 0) + 48 * (input.workers?.length ?? 0);
  return bytes;
}

const storedBytes = 64;

export function segmentBytes(segment: ResultSegment): number {
  if (segment.r === "inline") return 96 + segment.pack.byteLength + (segment.digests?.byteLength ?? 0);
  if (segment.r === "stored") return 64 + storedBytes * segment.stored.length;
  return 256 + wireErrorBytes(segment.error);
}

/** Cuts a segment into runs of tasks of about `bytesMax` each; one task's result is never cut. */
export function cutSegment(segment: ResultSegment, bytesMax: number): ResultSegment[] {
  if (segment.r === "failed" || segmentBytes(segment) <= bytesMax) return [segment];
  const cut: ResultSegment[] = [];
  const { from, to } = segment;
  if (segment.r === "stored") {
    const step = Math.max(1, Math.floor(bytesMax / storedBytes));
    for (let at = from; at < to; at += step)
      cut.push({
        ...segment,
        from: at,
        to: Math.min(to, at + step),
        stored: segment.stored.slice(at - from, at - from + step),
      });
    return cut;
  }
  const pack = new PackReader(segment.pack);
  const perItem = 5 + (segment.digests ? digestBytes : 0);
  for (let at = from; at < to; ) {
    let end = at + 1;
    let bytes = 96 + perItem + pack.at(at - from).data.byteLength;
    for (; end < to; end++) {
      bytes += perItem + pack.at(end - from).data.byteLength;
      if (bytes > bytesMax) break;
    }
    cut.push({
      ...segment,
      from: at,
      to: end,
      pack: pack.slice(at - from, end - from),
      ...(segment.digests
        ? { digests: segment.digests.subarray((at - from) * digestBytes, (end - from) * digestBytes) }
        : {}),
    });
    at = end;
  }
  return cut;
}

interface Updates {
  readonly client: ClientId;
  readonly segments: ResultSegment[];
  bytes: number;
}

interface WaitingCommands {
  readonly instance: Instance | undefined;
  list: SchedulerCommand[];
  bytes: number;
  /** None of them need go now. */
  patient: boolean;
}

export class Outbox {
  readonly #options: OutboxOptions;
  readonly #cutBytes: number;
  readonly #commands = new Map<WorkerId, WaitingCommands>();
  /** By session: a client has one. */
  readonly #updates = new Map<JobId, Updates>();

  constructor(options: OutboxOptions) {
    this.#options = options;
    this.#cutBytes = Math.min(options.messageBytesMax, options.payloadBytesMax) - headBytes;
  }

  command(worker: WorkerId, instance: Instance | undefined, command: SchedulerCommand, patient = false): void {
    const bytes = commandBytes(command);
    const waiting = this.#commands.get(worker);
    if (waiting?.instance !== instance || !waiting) {
      if (waiting) this.#sendCommands(worker, waiting);
      this.#commands.set(worker, { instance, list: [command], bytes, patient });
      return;
    }
    if (!patient) waiting.patient = false;
    if (waiting.bytes + bytes > this.#cutBytes) {
      this.#sendCommands(worker, waiting);
      waiting.list = [];
      waiting.bytes = 0;
    }
    waiting.list.push(command);
    waiting.bytes += bytes;
  }

  update(client: ClientId, session: JobId, segment: ResultSegment): void {
    const bytes = segmentBytes(segment);
    if (bytes > this.#cutBytes && segment.to - segment.from > 1 && segment.r !== "failed") {
      for (const part of cutSegment(segment, this.#cutBytes)) this.#update(client, session, part, segmentBytes(part));
      return;
    }
    this.#update(client, session, segment, bytes);
  }

  #update(client: ClientId, session: JobId, segment: ResultSegment, bytes: number): void {
    const waiting = this.#updates.get(session);
    if (!waiting) {
      this.#updates.set(session, { client, segments: [segment], bytes });
      return;
    }
    if (waiting.bytes + bytes > this.#cutBytes) {
      this.#sendSegments(waiting.client, session, waiting.segments);
      waiting.segments.length = 0;
      waiting.bytes = 0;
    }
    waiting.segments.push(segment);
    waiting.bytes += bytes;
  }

  /**
   * Clients first: somebody waits for what they are told, and a worker has the next lease already. True when something
   * patient is kept for the next flush.
   */
  flush(all = false): boolean {
    for (const [session, { client, segments }] of this.#updates) this.#sendSegments(client, session, segments);
    this.#updates.clear();
    for (const [worker, waiting] of this.#commands) {
      if (waiting.patient && !all) continue;
      this.#sendCommands(worker, waiting);
      this.#commands.delete(worker);
    }
    return this.#commands.size > 0;
  }

  /** The commands as messages; almost always one. */
  encodeCommands(commands: readonly SchedulerCommand[], instance?: Instance): Uint8Array[] {
    const { epoch, payloadBytesMax, onOversize } = this.#options;
    const data = encodeMessage({ t: "commands", epoch, ...(instance === undefined ? {} : { instance }), commands });
    if (data.byteLength <= payloadBytesMax) return [data];
    const first = commands[0];
    if (commands.length > 1) {
      const half = commands.length >> 1;
      return [
        ...this.encodeCommands(commands.slice(0, half), instance),
        ...this.encodeCommands(commands.slice(half), instance),
      ];
    }
    // Locations are a convenience: the worker asks for those that are not told.
    if (first?.o === "lease" && first.lease.inputs.length > 0)
      return this.encodeCommands([{ o: "lease", lease: { ...first.lease, inputs: [] } }], instance);
    if (first?.o === "free" && first.ids.length > 1) {
      const half = first.ids.length >> 1;
      const parts = [first.ids.slice(0, half), first.ids.slice(half)];
      return parts.flatMap((ids) => this.encodeCommands([{ o: "free", ids }], instance));
    }
    onOversize(`order ${first?.o ?? "none"}`, data.byteLength);
    return [];
  }

  #sendCommands(worker: WorkerId, { list, instance }: WaitingCommands): void {
    for (const data of this.encodeCommands(list, instance)) this.#options.sendToWorker(worker, data);
  }

  #sendSegments(client: ClientId, session: JobId, segments: readonly ResultSegment[]): void {
    const { epoch, payloadBytesMax, sendToClient, onOversize } = this.#options;
    const data = encodeMessage({ t: "update", epoch, session, segments });
    if (data.byteLength <= payloadBytesMax) {
      sendToClient(client, data);
      return;
    }
    if (segments.length > 1) {
      const half = segments.length >> 1;
      this.#sendSegments(client, session, segments.slice(0, half));
      this.#sendSegments(client, session, segments.slice(half));
      return;
    }
    const parts = segments[0] ? cutSegment(segments[0], payloadBytesMax >> 1) : [];
    if (parts.length > 1) {
      for (const part of parts) this.#sendSegments(client, session, [part]);
      return;
    }
    onOversize(`result segment ${segments[0]?.r ?? "none"}`, data.byteLength);
  }
}
