/**
 * The worker's agent: carries out what the core commands, and tells it what happens. Lives on the main thread, which
 * never runs user code, so that heartbeats go out whatever the slots do.
 */

import { decodeMessage, encodeMessage } from "../../proto/codec.js";
import { fromWireError, isVolleyError, VolleyError } from "../../proto/errors.js";
import type { FramePeer } from "../../proto/frames/peer.js";
import type { LeaseId, ObjectId, WorkerId } from "../../proto/ids.js";
import { limits } from "../../proto/limits.js";
import { schedulerCommands, type WorkerRequest } from "../../proto/messages/worker.js";
import type { Runtime } from "../../proto/runtime.js";
import { subjects } from "../../proto/subjects.js";
import type { Subscription } from "../../proto/transport/transport.js";
import type { WorkerCommand, WorkerEvent } from "../core/events.js";
import { slotsBusy, type WorkerState } from "../core/state.js";
import type { ObjectStore } from "../store/store.js";
import { type AgentOptions, type Assembly, assemble } from "./assembly.js";
import { LeaseRun, type LeaseRunContext } from "./lease-run.js";
import type { ObjectFetcher } from "./objects.js";
import type { AgentMetrics, AgentPool } from "./parts.js";
import type { PeerObjects } from "./peer-objects.js";

const tickMs = 50;

export class Agent {
  readonly worker: WorkerId;
  readonly metrics: AgentMetrics;
  /**
   * Settles when the agent cannot go on: rejects with the reason, resolves after a drain that the scheduler asked for.
   */
  readonly ended: Promise<void>;
  readonly #options: AgentOptions;
  readonly #runtime: Runtime;
  readonly #state: WorkerState;
  readonly #store: ObjectStore;
  readonly #step: Assembly["step"];
  readonly #pool: AgentPool;
  readonly #framePeer: FramePeer;
  readonly #objects: ObjectFetcher;
  readonly #peers: PeerObjects;
  readonly #context: LeaseRunContext;
  readonly #leases = new Map<LeaseId, LeaseRun>();
  readonly #events: WorkerEvent[] = [];
  readonly #cleanup: (() => void)[] = [];
  #leasesTaken = 0;
  #stepping = false;
  #flushing = false;
  #closed: Promise<void> | undefined;
  #joined: () => void = () => undefined;
  readonly joined: Promise<void>;
  #end: { resolve(): void; reject(error: unknown): void } = { resolve: () => undefined, reject: () => undefined };

  constructor(options: AgentOptions) {
    this.#options = options;
    this.worker = options.worker;
    this.ended = new Promise((resolve, reject) => {
      this.#end = { resolve, reject };
    });
    this.ended.catch(() => undefined);
    this.joined = new Promise((resolve) => {
      this.#joined = resolve;
    });
    const made = assemble(options, {
      emit: (event) => this.#emit(event),
      emitHeld: (id) => this.#emitHeld(id),
      stats: () => this.stats(),
      leasesTaken: () => this.#leasesTaken,
    });
    this.#runtime = made.runtime;
    this.#step = made.step;
    this.#state = made.state;
    this.metrics = made.metrics;
    this.#store = made.store;
    this.#pool = made.pool;
    this.#framePeer = made.framePeer;
    this.#objects = made.objects;
    this.#peers = made.peers;
    this.#context = made.context;
  }

  stats() {
    return {
      slots: this.#options.slots,
      slotsBusy: slotsBusy(this.#state),
      threadsReplaced: this.#pool.threadsReplaced,
      leases: this.#state.leases.size,
      store: this.#store.stats,
      joined: this.#state.link.l === "joined",
    };
  }

  /** For whoever looks on; the agent alone changes it. */
  get state(): WorkerState {
    return this.#state;
  }

  start(): void {
    const { control, frames, log } = this.#options;
    const serving = this.#peers.serve({
      transport: frames,
      frames: this.#framePeer,
      onError: (error, where) => log.error({ error: String(error), where }, "data plane"),
    });
    const commands: Subscription = control.subscribe(subjects.worker(this.worker), (message) =>
      this.#receive(message.data),
    );
    const stopWatching = control.onStatus((status) => {
      if (status === "connected") this.#emit({ e: "connected" });
      if (status === "closed" && this.#closed === undefined)
        this.#end.reject(new VolleyError("DISCONNECTED", "the connection to NATS was closed"));
    });
    const stopTicking = this.#runtime.every(tickMs, () => this.#tick());
    this.#cleanup.push(
      () => serving.unsubscribe(),
      () => commands.unsubscribe(),
      stopWatching,
      stopTicking,
    );
    this.#emit({ e: "start" });
  }

  /** Gives back what has not started, finishes what runs, says bye. Resolves then. */
  async drain(): Promise<void> {
    this.#emit({ e: "drain" });
    await this.ended;
  }

  /** Ends at once. */
  stop(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    for (const clean of this.#cleanup.splice(0)) clean();
    await this.#pool.close();
    await this.#framePeer.close();
    await Promise.all([this.#options.control.close(), this.#options.frames.close()]);
    this.#store.close();
    this.metrics.close();
    this.#end.resolve();
  }

  /** What the scheduler takes to be here is not, or is something else: it hears what is. */
  #emitHeld(id: ObjectId): void {
    const held = this.#store.meta(id);
    this.#emit({ e: "objects", added: held ? [{ id, ...held }] : [], removed: held ? [] : [id] });
  }

  // ---------------------------------------------------------------------------------------------- the core's loop

  #tick(): void {
    const { usedBytes, copyBytes, spilledBytes } = this.#store.stats;
    // Copies are as good as free: they go when their room is needed.
    this.#emit({ e: "tick", storeBytes: Math.max(0, usedBytes - copyBytes), spilledBytes });
  }

  #receive(data: Uint8Array): void {
    this.#emit({ e: "commands", message: decodeMessage(schedulerCommands, data) });
  }

  /**
   * Steps the core. Events that commands give rise to at once wait for their turn. A flush ends the event loop's turn
   * (W5).
   */
  #emit(event: WorkerEvent): void {
    if (this.#closed !== undefined) return;
    this.#events.push(event);
    if (event.e !== "flush") this.#flushSoon();
    if (this.#stepping) return;
    this.#stepping = true;
    try {
      for (let next = this.#events.shift(); next; next = this.#events.shift()) {
        for (const command of this.#step(this.#state, next, this.#runtime.nowMs())) this.#carryOut(command);
      }
    } catch (error) {
      this.#end.reject(error);
      throw error;
    } finally {
      this.#stepping = false;
    }
  }

  #flushSoon(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    // What was told in this microtask may give rise to more in the next.
    queueMicrotask(() =>
      this.#runtime.atTickEnd(() => {
        this.#flushing = false;
        this.#emit({ e: "flush" });
      }),
    );
  }

  #carryOut(command: WorkerCommand): void {
    switch (command.c) {
      case "send":
        this.#send(command.message, command.answered);
        return;
      case "prepare": {
        const run = new LeaseRun(this.#context, command.lease, ++this.#leasesTaken);
        this.#leases.set(command.lease.lease, run);
        run.prepare();
        return;
      }
      case "run":
        this.#leases.get(command.lease.lease)?.start(command.slot, command.from, command.to);
        return;
      case "recall":
        if (this.#leases.get(command.lease)?.recall()) this.#emit({ e: "recalled", lease: command.lease });
        return;
      case "resume":
        // No task awaits others yet.
        return;
      case "limit": {
        const to = this.#leases.get(command.lease)?.limit(command.to);
        if (to !== undefined) this.#emit({ e: "limited", lease: command.lease, to });
        return;
      }
      case "kill":
        this.#leases.get(command.lease)?.kill();
        return;
      case "release":
        this.#leases.get(command.lease)?.release();
        this.#leases.delete(command.lease);
        return;
      case "free":
        command.ids.forEach((id, i) => {
          this.#store.free(id, command.digests?.[i]);
        });
        return;
      case "keep":
        for (const id of command.ids) this.#store.own(id);
        return;
      case "fetch":
        for (const location of command.objects)
          void this.#objects.take(location).then(() => this.#emitHeld(location.id));
        return;
      case "objectsAcked":
        this.#peers.acknowledged(command.token);
        return;
      case "joined":
        this.#options.log.info({ epoch: command.epoch, worker: this.worker, slots: this.#options.slots }, "joined");
        this.#joined();
        return;
      case "stopped":
        // Its last words are lost with the connection: the scheduler finds out by its silence.
        void this.#options.control
          .flush()
          .catch(() => undefined)
          .then(() => this.#end.resolve());
        return;
      case "refused":
        this.#end.reject(fromWireError(command.error));
        return;
      case "count":
        this.metrics.count(command.metric, command.by);
        return;
      case "log":
        this.#options.log[command.level]({ ...command.fields }, command.text);
        return;
    }
  }

  #send(message: WorkerRequest, answered: boolean): void {
    const { control, log } = this.#options;
    const data = encodeMessage(message);
    if (!answered) {
      try {
        control.publish(subjects.schedulerWorker, data);
      } catch (error) {
        // Kept in the outbox and sent again; too large would be so for ever, and is a fault of ours.
        if (!isVolleyError(error) || error.code !== "DISCONNECTED")
          log.error({ error: String(error), type: message.t, bytes: data.byteLength }, "publish");
      }
      return;
    }
    control
      .request(subjects.schedulerWorker, data, { timeoutMs: limits.heartbeatTimeoutMs })
      .then(
        (reply) => this.#receive(reply),
        // The next registration or heartbeat asks again.
        () => undefined,
      )
      .catch((error: unknown) => log.error({ error: String(error) }, `the answer to ${message.t}`));
  }
}
