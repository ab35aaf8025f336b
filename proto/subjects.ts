import type { ClientId, WorkerId } from "./ids.js";

/** Every subject and stream name in one place. One NATS account is one cluster, so the prefix is fixed. */
export const subjects = {
  /** ClientRequest in, ClientReply out. */
  schedulerClient: "volley.scheduler.client",
  /** What workers may ask of what clients may: where objects are, and results of a stage. */
  schedulerQuestion: "volley.scheduler.question",
  /** WorkerRequest in; WorkerOrders out as reply. */
  schedulerWorker: "volley.scheduler.worker",
  client: (client: ClientId): string => `volley.client.${client}`,
  worker: (worker: WorkerId): string => `volley.worker.${worker}`,
  /** DataRequest in, DataReply out, on the frames connection. */
  data: (peer: string): string => `volley.data.${peer}`,
  /** Binary frames to this peer: data, credit, end, abort. */
  frames: (peer: string): string => `volley.frames.${peer}`,
} as const;

export const streams = {
  journal: "VOLLEY_JOURNAL",
  journalSubject: "volley.journal",
  bundles: "volley-bundles",
  objects: "volley-objects",
  snapshots: "volley-snapshots",
  results: "volley-results",
  scratch: "volley-scratch",
} as const;
