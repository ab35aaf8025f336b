/**
 * An agent's parts, put together: store, slots, frames, fetches, metrics and the core's state, wired to what the agent
 * does when it hears of them.
 */

import { ownEngine, packageVersion } from "../../cluster/process/release.js";
import type { WorkerStores } from "../../proto/durable/durable.js";
import { FramePeer } from "../../proto/frames/peer.js";
import type { Instance, ObjectId, WorkerId } from "../../proto/ids.js";
import { limits } from "../../proto/limits.js";
import { type Runtime, realRuntime } from "../../proto/runtime.js";
import type { Transport } from "../../proto/transport/transport.js";
import { PROTOCOL_VERSION } from "../../proto/version.js";
import type { WorkerEvent } from "../core/events.js";
import { createWorkerState, type WorkerState } from "../core/state.js";
import { kernelBytes } from "../pool/kernel-engines.js";
import { InputRoom } from "../store/input-room.js";
import type { ObjectStore } from "../store/store.js";
import { InputResolver } from "./inputs.js";
import type { LeaseRunContext } from "./lease-run.js";
import type { WorkerStats } from "./metrics.js";
import { ObjectFetcher } from "./objects.js";
import { type AgentMetrics, type AgentParts, type AgentPool, processParts } from "./parts.js";
import { PeerObjects } from "./peer-objects.js";

export interface AgentLog {
  info(fields: object, text: string): void;
  warn(fields: object, text: string): void;
  error(fields: object, text: string): void;
}

export interface AgentOptions {
  readonly worker: WorkerId;
  readonly node: string;
  readonly slots: number;
  readonly storeBytes: number;
  readonly threadHeapBytes: number;
  readonly spillParent?: string;
  readonly bundleFolder?: string;
  readonly control: Transport;
  readonly frames: Transport;
  readonly durable: WorkerStores;
  readonly log: AgentLog;
  /** Default: this process. */
  readonly runtime?: Runtime;
  readonly parts?: AgentParts;
}

/** What the agent does for its parts. */
export interface AgentHooks {
  emit(event: WorkerEvent): void;
  /** What the scheduler takes to be here is not, or is something else. */
  emitHeld(id: ObjectId): void;
  stats(): WorkerStats;
  /** Grows with every lease taken. */
  leasesTaken(): number;
}

export interface Assembly {
  readonly runtime: Runtime;
  readonly step: AgentParts["step"];
  readonly state: WorkerState;
  readonly metrics: AgentMetrics;
  readonly store: ObjectStore;
  readonly pool: AgentPool;
  readonly framePeer: FramePeer;
  readonly objects: ObjectFetcher;
  readonly peers: PeerObjects;
  readonly context: LeaseRunContext;
}

export function assemble(options: AgentOptions, hooks: AgentHooks): Assembly {
  const { runtime = realRuntime, parts = processParts } = options;
  const about = { volley: packageVersion(), engine: ownEngine() };
  const state = stateOf(options, about, runtime);
  const metrics = parts.metrics(() => hooks.stats(), about);
  const store = storeOf(options, hooks, runtime, parts);
  const pool = poolOf(options, store, parts);
  const { worker, frames, log } = options;
  const framePeer = new FramePeer({
    transport: frames,
    peer: worker,
    runtime,
    onFrame: (direction, bytes) => metrics.frame(direction, bytes),
    onError: (error, where) => log.warn({ error: String(error), where }, "frames"),
  });
  const made = { runtime, step: parts.step, state, metrics, store, pool, framePeer };
  const objects = fetcherOf(options, hooks, made);
  const peers = new PeerObjects(
    store,
    (event) => hooks.emit(event),
    () => state.draining,
    runtime,
  );
  return { ...made, objects, peers, context: leaseContextOf(options, hooks, made, objects, parts) };
}

type Made = Pick<Assembly, "runtime" | "state" | "metrics" | "store" | "pool" | "framePeer">;

function stateOf(
  { worker, node, slots, storeBytes }: AgentOptions,
  about: { volley: string; engine: ReturnType<typeof ownEngine> },
  runtime: Runtime,
): WorkerState {
  const instance = Buffer.from(runtime.randomBytes(9)).toString("base64url") as Instance;
  return createWorkerState(
    {
      worker,
      instance,
      node,
      pid: process.pid,
      version: PROTOCOL_VERSION,
      ...about,
      slots,
      storeBudgetBytes: storeBytes,
    },
    limits.heartbeatIntervalMs,
  );
}

function storeOf(
  { slots, storeBytes, spillParent, log }: AgentOptions,
  hooks: AgentHooks,
  runtime: Runtime,
  parts: AgentParts,
): ObjectStore {
  return parts.store({
    budgetBytes: storeBytes,
    runtime,
    reservedBytes: kernelBytes(slots),
    ...(spillParent === undefined ? {} : { spillParent }),
    onLost: (id, error) => {
      log.error({ id, error: String(error) }, "an object was lost");
      hooks.emitHeld(id);
    },
    onDropped: (id) => hooks.emit({ e: "objects", added: [], removed: [id] }),
  });
}

function poolOf({ slots, threadHeapBytes, log }: AgentOptions, store: ObjectStore, parts: AgentParts): AgentPool {
  return parts.pool({
    slots,
    memory: store.memory,
    reserved: store.reserved,
    store,
    heapBytesMax: threadHeapBytes,
    onLog: ({ level, where, text, dropped }) => log[level]({ task: where, ...(dropped > 0 ? { dropped } : {}) }, text),
    onError: (error) => log.error({ error: String(error) }, "slot pool"),
  });
}

function fetcherOf(
  { worker, control, frames, durable }: AgentOptions,
  hooks: AgentHooks,
  { runtime, state, metrics, store, framePeer }: Made,
): ObjectFetcher {
  return new ObjectFetcher({
    worker,
    store,
    control,
    epoch: () => state.epoch,
    framesTransport: frames,
    frames: framePeer,
    durable: durable.objects,
    runtime,
    onFetched: (bytes, seconds) => metrics.fetched(bytes, seconds),
    order: () => hooks.leasesTaken(),
    onCopied: (object) => hooks.emit({ e: "objects", added: [object], removed: [] }),
    onMissing: (id) => hooks.emitHeld(id),
  });
}

function leaseContextOf(
  { control, storeBytes, bundleFolder, durable, log }: AgentOptions,
  hooks: AgentHooks,
  { runtime, state, metrics, store, pool }: Made,
  objects: ObjectFetcher,
  parts: AgentParts,
): LeaseRunContext {
  return {
    pool,
    store,
    inputs: new InputResolver(control, objects, new InputRoom(storeBytes), () => state.epoch, runtime),
    runtime,
    bundles: parts.bundles(durable.bundles, bundleFolder),
    durable: durable.objects,
    emit: (event) => hooks.emit(event),
    onSlotTime: (us) => metrics.slotTime(us),
    onEnded: (seconds) => metrics.lease(seconds),
    onFault: (error, where) => log.error({ error: String(error), where }, "lease"),
  };
}
