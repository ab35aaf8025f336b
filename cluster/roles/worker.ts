/**
 * The worker as a process: configuration, connections, the metrics port. Signals are role.ts's.
 */
import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import { pino } from "pino";
import { openStores } from "../../proto/durable/nats.js";
import { isName, type WorkerId } from "../../proto/ids.js";
import { sleep as delay } from "../../proto/timer.js";
import { asRefusedSubject, connectNats, type NatsTransport } from "../../proto/transport/nats.js";
import { Agent } from "../../worker/shell/agent.js";
import { WorkerMetrics } from "../../worker/shell/metrics.js";
import { processParts } from "../../worker/shell/parts.js";
import { type ConfigOf, type ConfigTable, configKey, integer, text } from "../process/config.js";
import { cores, memoryBytes, slotHeapBytes } from "../process/host.js";
import { type MetricsServer, serveMetrics } from "../process/metrics-server.js";
import { metricsConfig, roleConfig } from "../process/role-config.js";

const MiB = 2 ** 20;
const GiB = 2 ** 30;
const name = (value: string): string => {
  if (value !== "" && !isName(value)) throw new Error("expected 1 to 64 letters, digits, _ or -");
  return value;
};

export const workerConfig = {
  ...roleConfig,
  ...metricsConfig,
  worker: configKey<string>({
    env: "VOLLEY_WORKER",
    flag: "name",
    doc: "The worker's id; made up from host and a random number if empty.",
    default: "",
    parse: name,
  }),
  slots: configKey({
    env: "VOLLEY_SLOTS",
    flag: "slots",
    doc: "Tasks executed at the same time, a thread each.",
    default: cores(),
    defaultDoc: "the cores of the machine, or of the container's quota",
    parse: integer(1, 1024),
  }),
  storeBytes: configKey({
    env: "VOLLEY_STORE_BYTES",
    flag: "store-bytes",
    doc: "Budget of the object store in shared memory, bytes; beyond it objects go to disk.",
    default: Math.min(GiB, Math.max(MiB, Math.floor(memoryBytes() / 4))),
    defaultDoc: "a quarter of the memory (the container's, where it has a limit), at most 1 GiB",
    parse: integer(MiB, 4 * GiB - MiB),
  }),
  spillFolder: configKey<string>({
    env: "VOLLEY_SPILL_FOLDER",
    flag: "spill-folder",
    doc: "Parent of the folder for spilled objects; the system's temporary folder if empty.",
    default: "",
    parse: text,
  }),
  bundleFolder: configKey<string>({
    env: "VOLLEY_BUNDLE_FOLDER",
    flag: "bundle-folder",
    doc: "Folder for fetched code; the system's temporary folder if empty.",
    default: "",
    parse: text,
  }),
  threadHeapBytes: configKey({
    env: "VOLLEY_THREAD_HEAP_BYTES",
    flag: "thread-heap-bytes",
    doc: "JavaScript heap of one slot's thread, bytes.",
    default: 0,
    defaultDoc: "half of the memory, shared by the slots; 64 MiB to 1 GiB each",
    parse: integer(32 * MiB, 64 * GiB),
  }),
} satisfies ConfigTable;

export interface RunningWorker {
  readonly worker: WorkerId;
  /** Gives back what has not started, finishes what runs, leaves. */
  drain(): Promise<void>;
  stop(): Promise<void>;
  /** Settles when the worker has to end by itself: rejects with the reason. */
  readonly ended: Promise<void>;
  /** -1: none. */
  readonly metricsPort: number;
}

/**
 * How long the start waits for a scheduler's welcome; without one the worker serves all the same and joins when there
 * is one.
 */
const joinPatienceMs = 5_000;

/** Frames and blobs are large: heartbeats would be late behind them. Blobs are kept, as frames are not. */
async function connectAll(
  url: string,
  worker: WorkerId,
  onError: (error: unknown, where: string) => void,
): Promise<Record<"control" | "frames" | "blobs", NatsTransport>> {
  const control = await connectNats({ url, name: `volley-worker-${worker}`, onError });
  const frames = await connectNats({ url, name: `volley-worker-frames-${worker}`, reuseMemory: true, onError });
  const blobs = await connectNats({ url, name: `volley-worker-durable-${worker}`, onError });
  return { control, frames, blobs };
}

/** Starts a worker; resolves when it serves. */
export async function runWorker(config: ConfigOf<typeof workerConfig>): Promise<RunningWorker> {
  const log = pino({ name: "worker", level: config.logLevel }, pino.destination({ fd: 2, sync: true }));
  const host = hostname()
    .replace(/[^A-Za-z0-9_-]/g, "-")
    .slice(0, 40);
  const worker = (config.worker || `${host}-${randomBytes(4).toString("hex")}`) as WorkerId;
  let refuse: (why: Error) => void = () => {};
  const refused = new Promise<never>((_, reject) => {
    refuse = reject;
  });
  const onError = (error: unknown, where: string): void => {
    log.error({ error: String(error), where }, "transport");
    const why = asRefusedSubject(error);
    if (why) refuse(why);
  };
  const { control, frames, blobs } = await connectAll(config.url, worker, onError);
  let metrics: WorkerMetrics | undefined;
  const agent = new Agent({
    worker,
    node: hostname(),
    slots: config.slots,
    storeBytes: config.storeBytes,
    threadHeapBytes: config.threadHeapBytes || slotHeapBytes(memoryBytes(), config.slots),
    ...(config.spillFolder === "" ? {} : { spillParent: config.spillFolder }),
    ...(config.bundleFolder === "" ? {} : { bundleFolder: config.bundleFolder }),
    control,
    frames,
    durable: openStores(blobs),
    log,
    parts: {
      ...processParts,
      metrics: (stats, about) => {
        metrics = new WorkerMetrics(stats, about);
        return metrics;
      },
    },
  });
  let server: MetricsServer | undefined;
  if (config.metricsPort >= 0 && metrics) {
    const { registry } = metrics;
    server = await serveMetrics({
      port: config.metricsPort,
      contentType: registry.contentType,
      scrape: () => registry.metrics(),
      health: () => {
        const { slots, slotsBusy, leases, joined } = agent.stats();
        return { ok: control.status === "connected", role: "worker", worker, joined, slots, slotsBusy, leases };
      },
    });
  }
  agent.start();
  // It ends by itself, too, when it has drained.
  const closeBlobs = (): void => void blobs.close();
  agent.ended.then(closeBlobs, closeBlobs);
  const ended = Promise.race([agent.ended, refused]);
  ended.catch(() => undefined);
  const patience = new AbortController();
  const stop = async (): Promise<void> => {
    await agent.stop();
    await blobs.close();
    await server?.close();
  };
  try {
    await Promise.race([
      agent.joined,
      ended,
      delay(joinPatienceMs, undefined, { signal: patience.signal }).catch(() => undefined),
    ]);
  } catch (error) {
    await stop();
    throw error;
  }
  patience.abort();
  log.info({ worker, slots: config.slots, storeBytes: config.storeBytes, metricsPort: server?.port ?? -1 }, "serving");
  return {
    worker,
    ended,
    metricsPort: server?.port ?? -1,
    drain: () => agent.drain(),
    stop,
  };
}
