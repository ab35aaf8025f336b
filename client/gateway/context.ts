/** What the routes work with. */

import type { IncomingMessage, ServerResponse } from "node:http";
import type { FastifyBaseLogger, FastifyInstance, RawServerDefault } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import type { IngestPool } from "../../data/ingest/index.js";
import { VolleyError } from "../../proto/errors.js";
import { isName } from "../../proto/ids.js";
import type { JobStatus } from "../../proto/messages/status.js";
import type { Cluster, Job } from "../sdk/api.js";
import type { EventStreams } from "./event-streams.js";
import type { Answers, Gate, GatewayMetrics } from "./metrics.js";

export type GatewayCluster = Pick<Cluster, "run" | "job" | "jobs" | "workers" | "put" | "get" | "getEncoded">;
export type App = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  ZodTypeProvider
>;

export interface Context {
  readonly cluster: GatewayCluster;
  readonly pool: IngestPool;
  readonly metrics: GatewayMetrics;
  readonly uploads: Gate;
  readonly streams: Gate;
  readonly answers: Answers;
  readonly events: EventStreams;
  readonly graphBytesMax: number;
  readonly uploadBytesMax: number;
  readonly decodeTimeoutMs: number;
  readonly streamMsMax: number;
}

export function jobOf(cluster: GatewayCluster, id: string): Job {
  if (!isName(id))
    throw new VolleyError("JOB_NOT_FOUND", `there is no job ${JSON.stringify(id)}: that is not a job's id`);
  return cluster.job(id);
}

/** A stage by its name or index; `among`: the stages that may be asked for. */
export function stageOf(status: JobStatus, given: string, among: readonly number[]): number {
  const byIndex = /^\d+$/.test(given) ? Number(given) : undefined;
  const stage =
    status.stages.find((candidate) => candidate.name === given) ??
    status.stages.find((candidate) => candidate.index === byIndex);
  if (stage && among.includes(stage.index)) return stage.index;
  const names = among.map(
    (index) => status.stages.find((candidate) => candidate.index === index)?.name ?? String(index),
  );
  const known = names.length > 20 ? `${names.slice(0, 20).join(", ")}, …` : names.join(", ");
  throw new VolleyError(
    "INVALID_ARGUMENT",
    `querystring.stage: job ${status.job} has no ${stage ? "output " : ""}stage ${JSON.stringify(given)}; it has ${known}`,
    {
      details: { path: "querystring.stage" },
    },
  );
}
