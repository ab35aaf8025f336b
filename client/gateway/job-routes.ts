/** Jobs: submit, list, status, cancel, explain, and results in the form the client asks for. */

import type { FastifyRequest } from "fastify";
import { z } from "zod";
import { resolveKernel } from "../../kernels/catalog/catalog.js";
import { VolleyError } from "../../proto/errors.js";
import { jsonGraph, parseGraph } from "../../proto/graph.js";
import { explanation } from "../../proto/messages/explanation.js";
import { type JobStatus, jobStatus } from "../../proto/messages/status.js";
import { type App, type Context, jobOf, stageOf } from "./context.js";
import { uncountedBytes } from "./held-bytes.js";
import { mediaTypeOf, mediaTypes, render } from "./result-rendering.js";
import { acceptedShape, errorShape, explainQuery, idParams, listQuery, resultQuery } from "./shapes.js";

/** Graphs are parsed by proto's own parser, whose faults carry paths; the schema in the route is its description. */
const describedOnly = () => (value: unknown) => ({ value });

export function jobRoutes(app: App, context: Context): void {
  submitRoute(app, context);
  statusRoutes(app, context);
  explainRoute(app, context);
  resultRoute(app, context);
}

function submitRoute(app: App, { cluster, graphBytesMax }: Context): void {
  app.post(
    "/v1/jobs",
    {
      bodyLimit: graphBytesMax,
      validatorCompiler: describedOnly,
      schema: {
        summary: "Submit a graph as a durable job",
        description:
          "With an Idempotency-Key the same graph is one job, however often it is sent; the same key with another graph is CONFLICT.",
        tags: ["jobs"],
        headers: z.object({ "idempotency-key": z.string().min(1).max(128).optional() }),
        body: jsonGraph,
        response: { 202: acceptedShape, 400: errorShape, 401: errorShape, 409: errorShape, 413: errorShape },
      },
    },
    async (request, reply) => {
      const key = idempotencyKey(request);
      const graph = parseGraph(request.body, resolveKernel);
      const job = await cluster.run(graph, key === undefined ? {} : { key });
      return reply.code(202).header("location", `/v1/jobs/${job.id}`).send({ job: job.id });
    },
  );
}

function statusRoutes(app: App, { cluster }: Context): void {
  app.get(
    "/v1/jobs",
    {
      schema: {
        summary: "List jobs, newest first",
        tags: ["jobs"],
        querystring: listQuery,
        response: { 200: z.object({ jobs: z.array(jobStatus) }), 400: errorShape },
      },
    },
    async (request) => ({ jobs: await cluster.jobs({ limit: request.query.limit }) }),
  );

  app.get(
    "/v1/jobs/:id",
    {
      schema: {
        summary: "Status of a job",
        tags: ["jobs"],
        params: idParams,
        response: { 200: jobStatus, 404: errorShape },
      },
    },
    async (request) => jobOf(cluster, request.params.id).status(),
  );

  const cancel = async (id: string): Promise<JobStatus> => {
    const job = jobOf(cluster, id);
    await job.cancel();
    return job.status();
  };
  const cancelSchema = {
    summary: "Cancel a job",
    tags: ["jobs"],
    params: idParams,
    response: { 202: jobStatus, 404: errorShape },
  };
  app.post("/v1/jobs/:id/cancel", { schema: cancelSchema }, async (request, reply) =>
    reply.code(202).send(await cancel(request.params.id)),
  );
  app.delete("/v1/jobs/:id", { schema: cancelSchema }, async (request, reply) =>
    reply.code(202).send(await cancel(request.params.id)),
  );
}

function explainRoute(app: App, { cluster }: Context): void {
  app.get(
    "/v1/jobs/:id/explain",
    {
      schema: {
        summary: "Why a task is where it is",
        tags: ["jobs"],
        params: idParams,
        querystring: explainQuery,
        response: { 200: explanation, 400: errorShape, 404: errorShape },
      },
    },
    async (request) => {
      const job = jobOf(cluster, request.params.id);
      const status = await job.status();
      const { stage, task } = request.query;
      const open =
        status.stages.find(
          (candidate) => candidate.succeeded + candidate.failed + candidate.cancelled < candidate.count,
        ) ?? status.stages[0];
      const index =
        stage === undefined
          ? (open?.index ?? 0)
          : stageOf(
              status,
              stage,
              status.stages.map((candidate) => candidate.index),
            );
      const count = status.stages.find((candidate) => candidate.index === index)?.count ?? 0;
      if (task >= count)
        throw new VolleyError(
          "INVALID_ARGUMENT",
          `querystring.task: the stage has ${count} tasks, so there is no task ${task}`,
          {
            details: { path: "querystring.task" },
          },
        );
      return job.explain(index, task);
    },
  );
}

function idempotencyKey(request: FastifyRequest): string | undefined {
  const key = request.headers["idempotency-key"];
  if (key === undefined) return undefined;
  if (typeof key === "string" && key.length >= 1 && key.length <= 128) return key;
  throw new VolleyError("INVALID_ARGUMENT", "headers.idempotency-key: expected one text of 1 to 128 characters", {
    details: { path: "headers.idempotency-key" },
  });
}

/** The stage whose results are asked for; fails unless the job has succeeded. */
function finishedStage(status: JobStatus, given: string | undefined): number {
  if (status.state === "running")
    throw new VolleyError(
      "NOT_READY",
      `job ${status.job} is running: ${status.succeeded} of ${status.tasks} tasks are done; follow /v1/jobs/${status.job}/events`,
    );
  if (status.state === "cancelled")
    throw new VolleyError("CANCELLED", `job ${status.job} was cancelled, so it has no results`);
  if (status.state === "failed") {
    const { error } = status;
    throw new VolleyError(error?.code ?? "TASK_FAILED", error?.message ?? `job ${status.job} failed`, {
      remoteStack: error?.stack,
      ...(error?.details ? { details: { ...error.details } } : {}),
    });
  }
  return given === undefined ? (status.outputs[0] ?? 0) : stageOf(status, given, status.outputs);
}

function resultRoute(app: App, { cluster, answers }: Context): void {
  app.get(
    "/v1/jobs/:id/result",
    {
      handlerTimeout: 600_000,
      schema: {
        summary: "Results of an output stage",
        description:
          "In the form of the Accept header: an Arrow IPC stream or Parquet (tables of the same columns follow each other), JSON, or CSV. ETag and x-volley-digest carry the digest of the job's results.",
        tags: ["jobs"],
        params: idParams,
        querystring: resultQuery,
        produces: Object.values(mediaTypes),
        response: {
          200: z.any(),
          304: z.any(),
          404: errorShape,
          406: errorShape,
          409: errorShape,
          422: errorShape,
          429: errorShape,
        },
      },
    },
    async (request, reply) => {
      const mediaType = mediaTypeOf(request.headers.accept);
      const job = jobOf(cluster, request.params.id);
      const status = await job.status();
      const stage = finishedStage(status, request.query.stage);
      reply.header("vary", "accept");
      if (status.digest !== undefined) {
        const tag = `"${status.digest}.${stage}.${mediaType}"`;
        reply.header("x-volley-digest", status.digest).header("etag", tag);
        if (request.headers["if-none-match"]?.split(",").some((given) => given.trim() === tag))
          return reply.code(304).send(undefined);
      }
      const hold = answers.enter(reply);
      const values = job.stream(stage, { admit: hold.admit, bytesAhead: uncountedBytes });
      const head = {
        job: status.job,
        stage: status.stages.find(({ index }) => index === stage)?.name ?? String(stage),
        digest: status.digest ?? null,
      };
      const rendered = await render(mediaType, values, head, hold);
      return reply.type(rendered.contentType).send(rendered.body);
    },
  );
}
