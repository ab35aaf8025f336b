/** Progress as server-sent events: `progress` at every change, then one `end` (or `error`), then the stream closes. */
import { Timer } from "../../proto/timer.js";
import { type App, type Context, jobOf } from "./context.js";
import { countAsAnswered } from "./metrics.js";
import { errorShape, idParams } from "./shapes.js";

export function eventRoute(app: App, context: Context): void {
  app.get(
    "/v1/jobs/:id/events",
    {
      schema: {
        summary: "Progress of a job as server-sent events",
        description:
          "event: progress carries the job's status as JSON; event: end the terminal one. A client that is slow to read gets the newest status, not every one; one that does not read is cut off.",
        tags: ["jobs"],
        params: idParams,
        produces: ["text/event-stream"],
        response: { 404: errorShape, 429: errorShape },
      },
    },
    async (request, reply) => {
      const job = jobOf(context.cluster, request.params.id);
      // Before the stream begins, so that an unknown job is a plain 404.
      await job.status();
      context.streams.enter(reply);
      const { raw } = reply;
      const following = context.events.open(job);
      reply.hijack();
      for (const [name, value] of Object.entries(reply.getHeaders()))
        if (value !== undefined) raw.setHeader(name, value as string | string[]);
      raw.writeHead(200, {
        "content-type": "text/event-stream; charset=utf-8",
        "cache-control": "no-store",
        "x-accel-buffering": "no",
      });
      countAsAnswered(reply);
      let old: Timer | undefined;
      const tooOld = new Promise<void>((resolve) => {
        old = new Timer(resolve, context.streamMsMax);
      });
      try {
        await following(raw, tooOld);
      } finally {
        old?.stop();
        raw.end();
      }
    },
  );
}
