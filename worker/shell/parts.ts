/**
 * What an agent is made of besides its core and its network: threads, memory and disk, files of code, metrics. A
 * process takes {@link processParts}; the simulation gives models of them, and runs the agent unchanged.
 */
import type { EngineFacts } from "../../proto/engine.js";
import { workerStep } from "../core/step.js";
import { SlotPool, type SlotPoolOptions } from "../pool/pool.js";
import { ObjectStore, type StoreOptions } from "../store/store.js";
import { BundleCache } from "./bundles.js";
import { WorkerMetrics, type WorkerStats } from "./metrics.js";

export type AgentPool = Pick<SlotPool, "run" | "close" | "threadsReplaced">;
export type AgentBundles = Pick<BundleCache, "url" | "urlNow">;
export type AgentMetrics = Pick<WorkerMetrics, "frame" | "fetched" | "slotTime" | "lease" | "count" | "close">;

export interface AgentParts {
  /** The core. */
  readonly step: typeof workerStep;
  pool(options: SlotPoolOptions): AgentPool;
  store(options: StoreOptions): ObjectStore;
  bundles(...options: ConstructorParameters<typeof BundleCache>): AgentBundles;
  metrics(stats: () => WorkerStats, about: { volley: string; engine: EngineFacts }): AgentMetrics;
}

export const processParts: AgentParts = {
  step: workerStep,
  pool: (options) => new SlotPool(options),
  store: (options) => new ObjectStore(options),
  bundles: (...options) => new BundleCache(...options),
  metrics: (stats, about) => new WorkerMetrics(stats, about),
};
