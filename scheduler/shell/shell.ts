/**
 * The scheduler around its core: messages in, commands out, time, journal and snapshots. The core decides; nothing here
 * does.
 *
 * A throw of the core is a bug that may have left the state half changed: the shell says nothing further, and the
 * process ends with {@link exitCodes.bug}. FENCED ends it with {@link exitCodes.fenced}: another scheduler speaks now.
 */
import type { SchedulerStores } from "../../proto/durable/durable.js";
import { isVolleyError, VolleyError, type WireError } from "../../proto/errors.js";
import { type Epoch, epochMax } from "../../proto/ids.js";
import { limits } from "../../proto/limits.js";
import { type Runtime, realRuntime, type Stop } from "../../proto/runtime.js";
import type { Transport } from "../../proto/transport/transport.js";
import type { Event } from "../core/events.js";
import { BlobEffects } from "./blob-effects.js";
import type { Capture } from "./capture.js";
import { ChunkStore } from "./chunks.js";
import { MonotonicClock } from "./clock.js";
import type { CorePort } from "./core-port.js";
import { Effects } from "./effects.js";
import { Intake } from "./intake.js";
import { nonceBytes } from "./journal-format.js";
import { JournalWriter } from "./journal-writer.js";
import { askEveryMs, ListeningTime } from "./listening-time.js";
import type { SchedulerMetrics } from "./metrics.js";
import { type Recovered, recover } from "./recovery.js";
import { ReplyBook } from "./reply-book.js";
import { Snapshotter } from "./snapshots.js";

/**
 * Of the process: EX_SOFTWARE for a bug of ours; EX_TEMPFAIL when it has to start again, which goes without a new
 * process, too.
 */
export const exitCodes = { fenced: 1, bug: 70, again: 75 } as const;

export interface ShellLog {
  info(fields: object, text: string): void;
  warn(fields: object, text: string): void;
  error(fields: object, text: string): void;
}

/** What the shell counts; SchedulerMetrics keeps it for Prometheus. */
export type ShellMetrics = Pick<
  SchedulerMetrics,
  "add" | "set" | "count" | "observe" | "appended" | "received" | "sent" | "watch"
>;

export interface ShellOptions<S> {
  readonly core: CorePort<S>;
  readonly transport: Transport;
  readonly durable: SchedulerStores;
  readonly metrics: ShellMetrics;
  readonly log: ShellLog;
  readonly tickMs: number;
  /** A snapshot is taken after this many entries, or bytes of entries, since the last one. */
  readonly snapshotEntries: number;
  readonly snapshotBytes: number;
  /** Default: this process. */
  readonly runtime?: Runtime;
  readonly entryBytesMax?: number;
  /** See recovery.ts. */
  readonly acceptJournalLoss?: number;
  /** Where events are written for a replay. */
  readonly capture?: Capture | undefined;
  /** The shell has gone silent for good; the process must end. */
  onFatal(error: Error, exitCode: number): void;
}

/** Longest silence of the tick while the core asks for none. */
const idleTickMs = 1_000;
const malformedLogEveryMs = 10_000;
/** What the journal adds to an entry on its way. */
const appendHeadBytes = 1024;
const stopDrainMs = 5_000;

const olderCopyText = (epoch: Epoch, later: Epoch): string =>
  `this scheduler has epoch ${epoch}, but a worker has followed a scheduler of epoch ${later} that the journal knows nothing of: the journal is an older copy ` +
  "of itself (NATS was restored from a backup, or lost its last writes in a power failure). Jobs, results and acknowledgements since that copy are forgotten, " +
  `and what is submitted again is executed again. The epoch is raised above ${later}, and the scheduler starts again`;

export class SchedulerShell<S> {
  readonly epoch: Epoch;
  readonly #options: ShellOptions<S>;
  readonly #state: S;
  readonly #clock: MonotonicClock;
  readonly #replies: ReplyBook;
  readonly #writer: JournalWriter;
  readonly #effects: Effects;
  readonly #intake: Intake;
  readonly #snapshotter: Snapshotter;
  readonly #listeningTime: ListeningTime;
  readonly #events: Event[] = [];
  #stepping = false;
  #phase: "serving" | "stopping" | "stopped" | "dead" = "serving";
  readonly #runtime: Runtime;
  #stopTicking: Stop = () => undefined;
  #tickedAtMs = 0;
  #outrankedBy: Epoch | undefined;
  #entriesSince = 0;
  #bytesSince = 0;
  /** Bytes of the last snapshot. */
  #snapshotted = 0;
  #malformed = { count: 0, loggedAtMs: Number.NEGATIVE_INFINITY };

  /**
   * Recovers what is durable, fences whoever spoke before, and serves. Fails with FENCED, CORRUPT or what the durable
   * layer says.
   */
  static async start<S>(options: ShellOptions<S>): Promise<SchedulerShell<S>> {
    const { core, durable, log, runtime = realRuntime } = options;
    const nonce = runtime.randomBytes(nonceBytes);
    const from = runtime.nowMs();
    const { acceptJournalLoss = 0 } = options;
    const recovered = await recover({
      core,
      durable,
      nonce,
      acceptJournalLoss,
      onNote: (level, text, fields) => log[level](fields, text),
    });
    log.info(
      {
        epoch: recovered.epoch,
        lastSeq: recovered.lastSeq,
        entries: recovered.entries,
        records: recovered.records,
        ms: Math.round(runtime.nowMs() - from),
      },
      "recovered",
    );
    // What sessions had there ended with the process that they were sessions of; and behind the fence nobody else
    // writes.
    await durable.scratch.clear();
    const { epoch, began } = recovered;
    const state = options.capture?.begin(core, recovered.state, epoch, began) ?? recovered.state;
    const shell = new SchedulerShell(options, { ...recovered, state }, nonce);
    shell.#intake.start();
    await options.transport.flush();
    shell.#startTicking();
    return shell;
  }

  private constructor(options: ShellOptions<S>, recovered: Recovered<S>, nonce: Uint8Array) {
    const { core, transport, durable, metrics, log } = options;
    const { epoch, lastSeq, state } = recovered;
    this.#options = options;
    this.epoch = epoch;
    this.#state = state;
    const { runtime = realRuntime } = options;
    this.#runtime = runtime;
    this.#clock = new MonotonicClock(() => runtime.wallMs());
    this.#clock.atLeast(recovered.atMs);
    this.#replies = new ReplyBook(() => this.#clock.nowMs(), 3 * limits.requestTimeoutMs);
    this.#writer = new JournalWriter({
      journal: durable.journal,
      runtime,
      author: { epoch, nonce },
      lastSeq,
      entryBytesMax:
        options.entryBytesMax ?? Math.min(limits.messageBytesMax, transport.payloadBytesMax - appendHeadBytes),
      onDurable: (count) => this.#effects.onDurable(count),
      onFatal: (error) => this.#die(error, isVolleyError(error) ? exitCodes.fenced : exitCodes.bug),
      onAppended: (seconds, bytes, records) => this.#appended(seconds, bytes, records),
      onRetry: (error, tries) => {
        metrics.add("journal_retries", "Appends that failed and are tried again.", 1);
        log.warn({ tries, error: String(error) }, "the journal cannot be written; trying again");
      },
    });
    this.#effects = new Effects({
      blobs: this.#blobEffects(epoch),
      transport,
      epoch,
      runtime,
      replies: this.#replies,
      journal: this.#writer,
      dispatch: (event) => this.dispatch(event),
      count: (command) => metrics.count(command),
      observe: (command) => metrics.observe(command),
      cause: () => core.causeOf(state),
      log: (level, text, fields) => log[level](fields ?? {}, text),
      onSent: (to, bytes) => metrics.sent(to, bytes),
      onOutranked: (later) => this.#outranked(later),
    });
    this.#intake = new Intake({
      transport,
      epoch,
      replies: this.#replies,
      stageOf: (job, stage) => core.stageOf(state, job, stage),
      sizeOf: (session) => core.sizeOf(state, session),
      engine: () => core.engineOf(state),
      dispatch: (event) => this.dispatch(event),
      fail: (client, session, segment) => this.#effects.emit(client, session, segment),
      onMalformed: (from, error, bytes) => this.#onMalformed(from, error, bytes),
      onReceived: (from, bytes) => metrics.received(from, bytes),
      onLaterEpoch: (later) => this.#outranked(later),
    });
    this.#snapshotter = new Snapshotter({
      durable,
      runtime,
      writer: this.#writer,
      capture: () => [{ epoch }, ...core.snapshot(state)],
      known: recovered.snapshots,
      broken: recovered.broken,
      onTaken: (seq, bytes, seconds) => {
        this.#snapshotted = bytes;
        metrics.add("snapshots", "Snapshots taken.", 1);
        metrics.set("snapshot_bytes", "Bytes of the last snapshot.", bytes);
        log.info({ seq, bytes, seconds }, "snapshot taken");
      },
      onFailed: (error) => {
        metrics.add("snapshot_failures", "Snapshots that could not be taken.", 1);
        log.error({ error: String(error) }, "no snapshot: the journal is kept whole");
      },
    });
    this.#listeningTime = this.#listen();
    this.#entriesSince = recovered.entries;
    metrics.watch(() => core.stats(state));
  }

  #listen(): ListeningTime {
    const { transport, metrics, log } = this.#options;
    return new ListeningTime({
      transport,
      nowMs: () => this.#runtime.nowMs(),
      graceMsMax: limits.heartbeatTimeoutMs,
      onDeaf: (ms) => {
        metrics.add("deaf_seconds", "Time in which this scheduler could hear nobody.", ms / 1_000);
        log.warn(
          { ms: Math.round(ms) },
          "nothing could be heard for a while: this process was stopped or busy, or NATS away; nobody is called lost for it",
        );
      },
    });
  }

  #blobEffects(epoch: Epoch): BlobEffects {
    const { durable, log } = this.#options;
    return new BlobEffects({
      chunks: new ChunkStore(durable.results, durable.scratch),
      epoch,
      runtime: this.#runtime,
      alive: () => this.#phase !== "dead" && this.#phase !== "stopped",
      dispatch: (event) => this.dispatch(event),
      answer: (to, message) => this.#effects.answer(to, message),
      update: (client, session, segment) => this.#effects.emit(client, session, segment),
      log: (level, text, fields) => log[level](fields ?? {}, text),
    });
  }

  get healthy(): boolean {
    return this.#phase === "serving" && this.#options.transport.status === "connected";
  }
  get lastSeq(): number {
    return this.#writer.lastSeq;
  }

  /** One event through the core. Events that arise while commands are carried out wait their turn. */
  dispatch(event: Event): void {
    if (this.#phase === "dead" || this.#phase === "stopped") return;
    this.#events.push(event);
    if (this.#stepping) return;
    this.#stepping = true;
    const { core, capture } = this.#options;
    try {
      // The list is short: a step gives rise to at most a digest or two.
      for (let next = this.#events.shift(); next; next = this.#events.shift()) {
        const nowMs = this.#clock.nowMs();
        capture?.take(next, nowMs);
        const commands = core.step(this.#state, next, nowMs);
        capture?.gave(commands);
        this.#effects.carryOut(commands);
      }
    } catch (error) {
      this.#options.log.error({ cause: core.causeOf(this.#state) }, "the core failed in this event");
      this.#die(error instanceof Error ? error : new Error(String(error)), exitCodes.bug);
    } finally {
      this.#stepping = false;
    }
  }

  /** Takes a snapshot now; resolves when it is durable and the journal is cut. */
  async snapshot(): Promise<void> {
    this.#entriesSince = 0;
    this.#bytesSince = 0;
    await this.#snapshotter.take();
  }

  /** Stops taking messages, writes what is owed, says what waited for it, takes a snapshot. */
  async stop(): Promise<void> {
    if (this.#phase !== "serving") return;
    this.#phase = "stopping";
    this.#intake.stop();
    this.#stopTicking();
    const drained = await this.#settle(this.#writer.seal());
    this.#effects.flush(true);
    if (drained && this.#entriesSince > 0) await this.#settle(this.snapshot());
    this.#phase = "stopped";
    this.#writer.abandon();
    this.#options.capture?.close();
    this.#effects.close();
    await this.#settle(this.#options.transport.flush());
  }

  /** True when it is done in time; the journal may be away, and a stop must end. */
  async #settle(work: Promise<unknown>): Promise<boolean> {
    let stop: Stop = () => undefined;
    const late = new Promise<false>((resolve) => {
      stop = this.#runtime.after(stopDrainMs, () => resolve(false));
    });
    const done = work.then(
      () => true,
      () => false,
    );
    return Promise.race([done, late]).finally(stop);
  }

  #startTicking(): void {
    const { core, tickMs } = this.#options;
    this.dispatch({ e: "tick", listenedMs: 0 });
    this.#tickedAtMs = this.#clock.nowMs();
    const stopAsking = this.#runtime.every(askEveryMs, () => this.#listeningTime.ask());
    const stopTick = this.#runtime.every(tickMs, () => {
      const nowMs = this.#clock.nowMs();
      const wakeMs = core.nextWakeMs(this.#state);
      this.#replies.sweep();
      if ((wakeMs === undefined || wakeMs > nowMs) && nowMs - this.#tickedAtMs < idleTickMs) return;
      this.#tickedAtMs = nowMs;
      this.dispatch({ e: "tick", listenedMs: this.#listeningTime.take() });
    });
    this.#stopTicking = () => {
      stopTick();
      stopAsking();
    };
  }

  #appended(seconds: number, bytes: number, records: number): void {
    const { metrics, snapshotEntries, snapshotBytes } = this.#options;
    metrics.appended(seconds, bytes, records);
    this.#entriesSince++;
    this.#bytesSince += bytes;
    const due = this.#entriesSince >= snapshotEntries || this.#bytesSince >= snapshotBytes;
    // A large state is not written again for a few small entries.
    if (due && this.#phase === "serving" && !this.#snapshotter.busy && this.#bytesSince >= this.#snapshotted / 4)
      void this.snapshot();
  }

  /**
   * A worker has followed a scheduler of a later epoch, or another one of ours. Either we are deposed, and the append
   * says so; or the journal that this scheduler recovered from is older than what the worker has seen: then nobody
   * would ever listen to it, and it goes above.
   */
  #outranked(later: Epoch): void {
    if (this.#outrankedBy !== undefined || later + 1 >= epochMax) return;
    this.#outrankedBy = later;
    this.#options.log.warn({ epoch: this.epoch, later }, "a worker follows another scheduler; asking the journal");
    this.#writer.push({ k: "epoch", epoch: later });
    this.#writer.seal().then(
      () => this.#die(new VolleyError("STALE_EPOCH", olderCopyText(this.epoch, later)), exitCodes.again),
      // Fenced: told already.
      () => undefined,
    );
  }

  #onMalformed(from: "client" | "worker", error: WireError, bytes: number): void {
    const { metrics, log } = this.#options;
    metrics.add("messages_refused", "Messages that could not be read or do not fit together.", 1, {
      from,
      code: error.code,
    });
    this.#malformed.count++;
    const nowMs = this.#clock.nowMs();
    if (nowMs - this.#malformed.loggedAtMs < malformedLogEveryMs) return;
    log.warn({ from, bytes, code: error.code, count: this.#malformed.count }, error.message);
    this.#malformed = { count: 0, loggedAtMs: nowMs };
  }

  #die(error: Error, exitCode: number): void {
    if (this.#phase === "dead" || this.#phase === "stopped") return;
    this.#phase = "dead";
    this.#events.length = 0;
    this.#intake.stop();
    this.#stopTicking();
    this.#effects.close();
    this.#writer.abandon();
    this.#options.capture?.close(error.message);
    this.#options.log.error(
      { error: error.stack ?? String(error), exitCode, ...(isVolleyError(error) ? { code: error.code } : {}) },
      `the scheduler stops: ${error.message}`,
    );
    this.#options.onFatal(error, exitCode);
  }
}
