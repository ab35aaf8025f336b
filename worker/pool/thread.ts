/**
 * The entry of a slot's thread. piscina calls {@link run} with one lease, or part of one; tasks are executed one after
 * another and their results written to the shared channel as they come. User code runs here and nowhere else.
 *
 * User code may damage its own globals. What this file needs after user code has run is taken before it does.
 */
import { hash } from "node:crypto";
import { parentPort, threadId, workerData } from "node:worker_threads";
import { Table } from "apache-arrow";
import { digestBytes, digestOf } from "../../proto/digest.js";
import { InvariantViolation, isVolleyError, type WireError } from "../../proto/errors.js";
import { limits } from "../../proto/limits.js";
import { type EncodedValue, encodeValue } from "../../proto/values/value.js";
import { ArgumentDecoder, type Resolved } from "./arguments.js";
import { failedKind, type RunFault, SlotChannel } from "./channel.js";
import { monotonicOriginMs } from "./clock.js";
import { ConsoleRelay } from "./console.js";
import { loadedFunction, loadFunction, modulesOutgrown, type UserFunction } from "./functions.js";
import { globalsIntact } from "./intact.js";
import { SlotEngine } from "./kernel-engines.js";
import { bareTable } from "./private-table.js";
import { ResultWriter } from "./result-writer.js";
import type { RunMessage, RunReply, ThreadData, ThreadMessage } from "./run-message.js";
import { installSharedModules, running, type TaskContext, taskSeed } from "./task-context.js";
import { describeFailure, describeKernelFailure, describeUnserializable } from "./task-error.js";

/** The agent is told to read the ring after this much work or this many bytes; it looks by itself now and then, too. */
const wakeAfterMs = 2;
const wakeAfterBytes = 256 * 1024;

const port = parentPort;
const data = workerData as ThreadData;
const now = performance.now.bind(performance);
const originMs = monotonicOriginMs;
const encodeUtf8 = TextEncoder.prototype.encode.bind(new TextEncoder());
const stringify = JSON.stringify;
const pause = (): Promise<void> => new Promise((resolve) => immediately(resolve));
const immediately = setImmediate;
const leave = process.exit.bind(process);

const post = (message: ThreadMessage, transfer: ArrayBuffer[] = []): void => port?.postMessage(message, transfer);
const decoder = new ArgumentDecoder(data.memory, data.heapBytes);
const channels = data.channels.map((buffer) => new SlotChannel(buffer));
const engine = new SlotEngine(data.memory, data.region);
const relay = new ConsoleRelay(post);

installSharedModules();
relay.install();

/**
 * The task that is awaited, and the way to fail it from outside: what its own callbacks throw would otherwise leave it
 * waiting for ever.
 */
let awaited: { context: TaskContext; fail: (error: unknown) => void } | undefined;

function strayed(what: string, error: unknown): void {
  const context = running.getStore();
  if (context && awaited?.context === context) {
    awaited.fail(error);
    return;
  }
  const failure = describeFailure(error);
  const where = context
    ? `task ${context.job}/${context.stage}/${context.task}, which had ended`
    : "code outside of any task";
  relay.send("error", `${what} from ${where}: ${failure.stack ?? failure.message}`);
}
process.on("uncaughtException", (error) => strayed("uncaught exception", error));
process.on("unhandledRejection", (reason) => strayed("unhandled rejection", reason));

/** Settles when the run that was given last is over. */
let turn: Promise<unknown> = Promise.resolve();

/**
 * Called by piscina, also while another run executes: they are executed one after another. Never rejects for anything
 * that user code does, short of ending the thread.
 */
export function run(message: RunMessage): Promise<RunReply> {
  const reply = turn.then(() => runAll(message));
  turn = reply.catch(() => undefined);
  return reply;
}

async function runAll(message: RunMessage): Promise<RunReply> {
  const channel = channels[message.channel];
  if (!channel) throw new InvariantViolation(`there is no channel ${message.channel}`);
  channel.enter(threadId, originMs + now());
  engine.enter("kernel" in message.fn);
  let fn = loadedFunction(message.fn);
  let resolved: Resolved;
  try {
    fn ??= await loadFunction(message.fn);
    channel.decodes();
    resolved = decoder.resolvers(message.args, { kernel: "kernel" in message.fn, from: message.from, to: message.to });
  } catch (error) {
    channel.loaded();
    return { next: message.from, fault: faultOf(error) };
  }
  channel.loaded();
  const next = await new Execution(message, channel, fn, resolved).all();
  channel.rest();
  if (!globalsIntact() || modulesOutgrown(data.heapBytes)) {
    channel.retire(next);
    leave(0);
  }
  // One turn of the loop, so that rejections nobody handled are seen while it is known whose they are.
  await pause();
  return { next };
}

function faultOf(error: unknown): RunFault {
  if (isVolleyError(error)) return { code: error.code, message: error.message, stack: error.remoteStack };
  const { message, stack } = describeFailure(error);
  return { code: "INVALID_DATA", message: `the arguments could not be decoded: ${message}`, stack };
}

/** One run's tasks, one after another. */
class Execution {
  readonly #message: RunMessage;
  readonly #channel: SlotChannel;
  readonly #fn: UserFunction;
  readonly #resolvers: Resolved["resolvers"];
  readonly #heavy: boolean;
  #resolving = false;
  readonly #wake: () => void;
  readonly #writer: ResultWriter;
  readonly #place: (bytes: number) => Uint8Array | undefined;
  #startedAt = now();
  #wokenAt = this.#startedAt;
  #unsaidBytes = 0;

  constructor(message: RunMessage, channel: SlotChannel, fn: UserFunction, { resolvers, heavy }: Resolved) {
    this.#message = message;
    this.#channel = channel;
    this.#fn = fn;
    this.#resolvers = resolvers;
    this.#heavy = heavy;
    this.#wake = () => post(message.channel);
    this.#writer = new ResultWriter(data.hasRoom ? data.memory : null, channel, this.#wake, post);
    this.#place = (bytes) =>
      bytes <= data.inlineBytesMax || bytes > limits.objectBytesMax ? undefined : this.#writer.place(bytes);
  }

  async all(): Promise<number> {
    const { job, stage, attempt, from, to, seed, seedFrom = 0 } = this.#message;
    for (let task = from; task < to; task++) {
      if (!this.#channel.begin(task, originMs + this.#startedAt)) return task;
      const context: TaskContext =
        seed === undefined
          ? { job, stage, task, attempt }
          : { job, stage, task, attempt, seed: taskSeed(seed, seedFrom + task) };
      let value: unknown;
      try {
        value = this.#call(context, task);
        // Only what is a promise costs a turn; a plain value goes on at once.
        if (isThenable(value)) value = await this.#settled(context, value);
      } catch (error) {
        this.#fail(task, this.#describe(error));
        decoder.endTask();
        continue;
      }
      this.#finish(task, value);
      decoder.endTask();
    }
    return to;
  }

  #call(context: TaskContext, task: number): unknown {
    const resolvers = this.#resolvers;
    // Called plain: user code does not see this object as its `this`.
    const fn = this.#fn;
    if (resolvers.length === 0) return running.run(context, fn);
    this.#resolving = true;
    if (this.#heavy) this.#channel.taskDecodes(true);
    if (resolvers.length === 1) {
      const only = resolvers[0]?.(task);
      this.#resolved();
      return running.run(context, fn, only);
    }
    const args = resolvers.map((resolve) => resolve(task));
    this.#resolved();
    return running.run(context, fn, ...args);
  }

  #resolved(): void {
    this.#resolving = false;
    if (this.#heavy) this.#channel.taskDecodes(false);
  }

  #describe(error: unknown): WireError {
    if (this.#resolving) {
      this.#resolved();
      return faultOf(error);
    }
    return "kernel" in this.#message.fn ? describeKernelFailure(error) : describeFailure(error);
  }

  #settled(context: TaskContext, value: PromiseLike<unknown>): Promise<unknown> {
    return new Promise((resolve, reject) => {
      awaited = { context, fail: reject };
      value.then(resolve, reject);
    }).finally(() => {
      awaited = undefined;
    });
  }

  #finish(task: number, value: unknown): void {
    let encoded: EncodedValue;
    try {
      encoded = encodeValue(value instanceof Table ? bareTable(value) : value, this.#place);
      if (encoded.data.byteLength > limits.objectBytesMax)
        throw new RangeError(
          `${encoded.data.byteLength} bytes are over the limit of ${limits.objectBytesMax} for one object`,
        );
    } catch (error) {
      this.#fail(task, describeUnserializable(error));
      return;
    }
    if (encoded.data.byteLength > data.inlineBytesMax) {
      this.#large(task, encoded);
      return;
    }
    const digest = this.#message.digests ? smallDigest(encoded) : undefined;
    this.#channel.write(task, encoded.kind, this.#elapsedUs(), digest, encoded.data, this.#wake);
    this.#wakeIfDue(encoded.data.byteLength + 32);
  }

  #large(task: number, encoded: EncodedValue): void {
    const { channel, run, digests } = this.#message;
    this.#writer.write({ channel, run, task, durable: digests }, encoded, () => this.#elapsedUs());
    this.#wakeIfDue(encoded.data.byteLength);
  }

  #fail(task: number, error: WireError): void {
    this.#channel.write(task, failedKind, this.#elapsedUs(), undefined, encodeUtf8(stringify(error)), this.#wake);
    this.#wakeIfDue(1024);
  }

  /** Since the task before it ended. */
  #elapsedUs(): number {
    const at = now();
    const us = Math.round((at - this.#startedAt) * 1000);
    this.#startedAt = at;
    return us;
  }

  #wakeIfDue(bytes: number): void {
    this.#unsaidBytes += bytes;
    if (this.#startedAt - this.#wokenAt < wakeAfterMs && this.#unsaidBytes < wakeAfterBytes) return;
    this.#wokenAt = this.#startedAt;
    this.#unsaidBytes = 0;
    this.#wake();
  }
}

const isThenable = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === "object" &&
  value !== null &&
  "then" in value &&
  typeof (value as PromiseLike<unknown>).then === "function";

const scratch = new Uint8Array(1 + limits.inlineBytesMax);
let lastEmpty: { kind: number; digest: Uint8Array } | undefined;

/** digestOf for small payloads: one call into the library instead of three. */
function smallDigest({ kind, data: bytes }: EncodedValue): Uint8Array {
  if (bytes.byteLength === 0 && lastEmpty?.kind === kind) return lastEmpty.digest;
  if (bytes.byteLength >= scratch.byteLength) return digestOf(kind, bytes);
  scratch[0] = kind;
  scratch.set(bytes, 1);
  const digest = hash("sha256", scratch.subarray(0, 1 + bytes.byteLength), "buffer").subarray(0, digestBytes);
  if (bytes.byteLength === 0) lastEmpty = { kind, digest };
  return digest;
}
