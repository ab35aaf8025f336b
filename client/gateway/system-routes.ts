/** Health, readiness, workers and metrics. */
import { z } from "zod";
import { toWireError } from "../../proto/errors.js";
import { workerStatus } from "../../proto/messages/status.js";
import type { App, Context } from "./context.js";
import { bodyOf, faultOf } from "./faults.js";
import { errorShape } from "./shapes.js";

export const healthPaths: readonly string[] = ["/healthz", "/readyz"];

/** Readiness needs no token, so its question to the scheduler is asked at most this often. */
const readyCacheMs = 1_000;

export function systemRoutes(app: App, { cluster, metrics }: Context): void {
  app.get(
    "/healthz",
    {
      schema: {
        summary: "The process answers",
        tags: ["system"],
        security: [],
        response: { 200: z.object({ status: z.literal("ok") }) },
      },
    },
    async () => ({ status: "ok" as const }),
  );

  let asked: { atMs: number; answer: Promise<unknown> } | undefined;
  app.get(
    "/readyz",
    {
      schema: {
        summary: "A scheduler answers",
        tags: ["system"],
        security: [],
        response: { 200: z.object({ status: z.literal("ready") }), 503: errorShape },
      },
    },
    async (_request, reply) => {
      const now = performance.now();
      if (!asked || now - asked.atMs > readyCacheMs)
        asked = {
          atMs: now,
          answer: cluster.workers().then(
            () => undefined,
            (error: unknown) => error ?? new Error("unknown"),
          ),
        };
      const failure = await asked.answer;
      if (failure === undefined) return { status: "ready" as const };
      // Without a token, only that it is not ready and the kind of the reason.
      const { code } = toWireError(failure);
      const shown = bodyOf(faultOf(failure));
      return reply.code(503).send({ error: { code, message: shown.error.message.slice(0, 200) } });
    },
  );

  app.get(
    "/v1/workers",
    {
      schema: {
        summary: "Workers of the cluster",
        tags: ["system"],
        response: {
          200: z.object({ workers: z.array(workerStatus), queued: z.number(), running: z.number() }),
          503: errorShape,
        },
      },
    },
    async () => cluster.workers(),
  );

  app.get(
    "/metrics",
    { schema: { summary: "Metrics for Prometheus", tags: ["system"], produces: ["text/plain"] } },
    async (_request, reply) => reply.type(metrics.registry.contentType).send(await metrics.registry.metrics()),
  );
}
