/**
 * Whether the scheduler that speaks knows this client's session: openings, beats, and what is done when it does not.
 * Rules S4 and S5 of session.ts.
 */
import { encodeMessage } from "../../proto/codec.js";
import { ofEngine } from "../../proto/engine.js";
import { isVolleyError, VolleyError } from "../../proto/errors.js";
import { limits } from "../../proto/limits.js";
import type { ClientReplyOf, ClientRequestOf } from "../../proto/messages/client.js";
import type { StageSpec } from "../../proto/messages/stage.js";
import { subjects } from "../../proto/subjects.js";
import { PROTOCOL_VERSION } from "../../proto/version.js";
import type { KeepAliveMessages, KeptAlive } from "./keep-alive.js";
import type { Requests } from "./requests.js";

type Beat = ClientRequestOf<"beat">;

export interface LivenessOptions extends Pick<ClientRequestOf<"open">, "client" | "session" | "tenant"> {
  readonly requests: Requests;
  /**
   * After this long without a word from the scheduler, or without a session, waits end with DISCONNECTED. Default 60 s.
   */
  readonly unreachableMs?: number;
  /** What a scheduler must be told besides, before the opening counts. */
  reopen(): Promise<void>;
  /** The session is open on another scheduler, or anew: what is open is to be sent again. */
  onReopened(): void;
  /** Says that this process lives while the event loop is busy. */
  keepAlive?(messages: KeepAliveMessages): KeptAlive;
  beat(): Pick<Beat, "waiting" | "gaps" | "released" | "dropped">;
  onBeat(sent: Beat, reply: ClientReplyOf<"beat">): void;
  /** Once a beat, when the session is open. */
  onTurn(): void;
  /** Every wait ends with this. */
  giveUp(error: VolleyError): void;
  onError?(error: unknown): void;
}

/**
 * The timer comes this much too late when the process stood still (a busy caller, a stop signal, a suspended machine).
 */
const stoodStillMs = 1_000;
const intervalMsMax = 60_000;

export class Liveness {
  readonly #options: LivenessOptions;
  #epoch = 0;
  /** The epoch of the scheduler that has opened the session. */
  #openedEpoch = 0;
  #engine: string | undefined;
  #openings = 0;
  #reopening = false;
  #beating = false;
  #beatAgain = false;
  /** Since when the scheduler that speaks is known not to have this session. */
  #lostSinceMs: number | undefined;
  #lostWhy: unknown;
  #heardMs = performance.now();
  #turnedMs = performance.now();
  #intervalMs: number = limits.heartbeatIntervalMs;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;
  #alive: KeptAlive | undefined;

  constructor(options: LivenessOptions) {
    this.#options = options;
  }

  get epoch(): number {
    return this.#epoch;
  }

  /** Counts openings; 0 until the first. */
  get opening(): number {
    return this.#openings;
  }

  get lost(): boolean {
    return this.#lostSinceMs !== undefined;
  }

  /** The stage as one of the engine that the scheduler has named; an older scheduler names none. */
  addressed(spec: StageSpec): StageSpec {
    return this.#engine === undefined ? spec : ofEngine(spec, this.#engine);
  }

  get intervalMs(): number {
    return this.#intervalMs;
  }

  /** Rejects with NO_SCHEDULER, DISCONNECTED, VERSION_MISMATCH. */
  async open(timeoutMs: number): Promise<void> {
    await this.#ask(timeoutMs);
    this.#openings++;
    this.#turnedMs = performance.now();
    this.#timer = setInterval(() => this.#turn(), Math.min(this.#intervalMs, intervalMsMax));
  }

  /** From now on there is something to lose. Started late, because a thread costs some milliseconds and megabytes. */
  stayAlive(): void {
    const { client, session, keepAlive } = this.#options;
    if (this.#alive || this.#closed || !keepAlive) return;
    const beat: Beat = { t: "beat", client, session, epoch: 0 as Beat["epoch"], waiting: [], released: [] };
    const close: ClientRequestOf<"close"> = { t: "close", client, session };
    this.#alive = keepAlive({
      subject: subjects.schedulerClient,
      alive: encodeMessage(beat),
      bye: encodeMessage(close),
    });
  }

  close(): void {
    this.#closed = true;
    this.#alive?.stop();
    clearInterval(this.#timer);
  }

  async #ask(timeoutMs: number): Promise<void> {
    const { client, session, tenant, requests } = this.#options;
    const { heartbeatIntervalMs, epoch, engine } = await requests.ask(
      { t: "open", client, session, tenant, version: PROTOCOL_VERSION },
      "opened",
      {
        timeoutMs,
      },
    );
    this.#intervalMs = Math.max(10, heartbeatIntervalMs);
    this.#openedEpoch = epoch;
    this.#heardOf(engine);
  }

  /** What is known stays when a scheduler that has just started knows of no worker yet. */
  #heardOf(engine: string | undefined): void {
    if (engine !== undefined && (engine !== "" || this.#engine === undefined)) this.#engine = engine;
  }

  heard(epoch: number): void {
    this.#heardMs = performance.now();
    if (epoch === this.#epoch) return;
    // A lower one: the cluster came back from an older copy (epoch-watch.ts).
    this.#epoch = epoch;
    // Another scheduler cannot know this session.
    if (this.#openings > 0 && epoch !== this.#openedEpoch) this.lose();
  }

  /** The scheduler does not know the session: it is opened again. */
  lose(): void {
    this.#lostSinceMs ??= performance.now();
    void this.#reopen();
  }

  /** S5. Never rejects; the next turn tries again. */
  async #reopen(): Promise<void> {
    if (this.#closed || this.#reopening) return;
    this.#reopening = true;
    try {
      await this.#ask(limits.requestTimeoutMs);
      await this.#options.reopen();
      // Another one may speak by now.
      if (this.#openedEpoch !== this.#epoch || this.#closed) return;
      this.#openings++;
      this.#lostSinceMs = undefined;
      this.#lostWhy = undefined;
      this.#options.onReopened();
    } catch (error) {
      this.#lostWhy = error;
      if (!isVolleyError(error)) this.#options.onError?.(error);
    } finally {
      this.#reopening = false;
    }
  }

  #turn(): void {
    const nowMs = performance.now();
    const stillMs = nowMs - this.#turnedMs - this.#intervalMs;
    this.#turnedMs = nowMs;
    if (stillMs > stoodStillMs) {
      this.#heardMs += stillMs;
      if (this.#lostSinceMs !== undefined) this.#lostSinceMs += stillMs;
    }
    this.#loseHope(nowMs);
    if (this.#lostSinceMs !== undefined) {
      void this.#reopen();
      return;
    }
    void this.#beat();
    this.#options.onTurn();
  }

  /** S4. Later waits have the same patience. */
  #loseHope(nowMs: number): void {
    const patienceMs = this.#options.unreachableMs ?? 60_000;
    const silentMs = nowMs - this.#heardMs;
    const lostMs = nowMs - (this.#lostSinceMs ?? nowMs);
    if (silentMs <= patienceMs && lostMs <= patienceMs) return;
    const what =
      silentMs > patienceMs ? "nothing was heard from the scheduler" : "the session could not be opened again";
    const text = `${what} for ${Math.round(Math.max(silentMs, lostMs) / 1000)} s; the tasks may still run: wait for their refs again when the cluster is back`;
    this.#options.giveUp(new VolleyError("DISCONNECTED", text, { cause: this.#lostWhy }));
    this.#heardMs = nowMs;
    if (this.#lostSinceMs !== undefined) this.#lostSinceMs = nowMs;
  }

  /** Says what is not needed any more, out of turn. */
  beatSoon(): void {
    if (this.#beating) this.#beatAgain = true;
    else void this.#beat();
  }

  async #beat(): Promise<void> {
    if (this.#beating || this.#closed || this.lost || this.#openings === 0) return;
    this.#beating = true;
    try {
      const { client, session, requests } = this.#options;
      const sent: Beat = { t: "beat", client, session, epoch: this.#epoch as Beat["epoch"], ...this.#options.beat() };
      const reply = await requests.ask(sent, "beat", { timeoutMs: this.#intervalMs });
      this.#heardOf(reply.engine);
      this.#options.onBeat(sent, reply);
      if (!reply.known) this.lose();
    } catch (error) {
      // The next beat tries again; S4 ends the waits if none gets through.
      if (!isVolleyError(error)) this.#options.onError?.(error);
    } finally {
      this.#beating = false;
    }
    if (!this.#beatAgain) return;
    this.#beatAgain = false;
    void this.#beat();
  }
}
