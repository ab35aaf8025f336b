/** Progress as server-sent events: `progress` at every change, then one `end` (or `error`), then the stream closes. */
import type { ServerResponse } from "node:http";
import type { JobStatus } from "../../proto/messages.js";
import { Timer } from "../../proto/timer.js";
import type { Job } from "../sdk/api.js";
import { type App, type Context, jobOf } from "./context.js";
import { bodyOf, faultOf } from "./faults.js";
import { countAsAnswered } from "./metrics.js";
import { errorShape, idParams } from "./shapes.js";

export function eventRoute(app: App, context: Context): void {
  app.get(
    "/v1/jobs/:id/events",
    {
      schema: {
        summary: "Progress of a job as server-sent events",
        description:
          "event: progress carries the job's status as JSON; event: end the terminal one. A client that is slow to read gets the newest status, not every one.",
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
      reply.hijack();
      for (const [name, value] of Object.entries(reply.getHeaders())) if (value !== undefined) reply.raw.setHeader(name, value as string | string[]);
      reply.raw.writeHead(200, { "content-type": "text/event-stream; charset=utf-8", "cache-control": "no-store", "x-accel-buffering": "no" });
      countAsAnswered(reply);
      try {
        await follow(job, reply.raw, context);
      } finally {
        reply.raw.end();
      }
    },
  );
}

const event = (name: string, data: unknown): string => `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;

/** Writes until the job has ended, the client has gone, or the stream is as old as it may get (a client's EventSource then comes back by itself). */
async function follow(job: Job, out: ServerResponse, { heartbeatMs, streamMsMax }: Context): Promise<void> {
  const updates = job.progress()[Symbol.asyncIterator]();
  const gone = new Promise<"gone">((resolve) => {
    out.once("close", () => resolve("gone"));
    if (out.destroyed) resolve("gone");
  });
  const heartbeat = setInterval(() => {
    if (!out.writableNeedDrain) out.write(": still here\n\n");
  }, heartbeatMs);
  let old: Timer | undefined;
  const tooOld = new Promise<"old">((resolve) => {
    old = new Timer(() => resolve("old"), streamMsMax);
  });
  let last: JobStatus | undefined;
  try {
    out.write("retry: 1000\n\n");
    for (;;) {
      const next = await Promise.race([updates.next(), gone, tooOld]);
      if (next === "gone" || next === "old") return;
      if (next.done) break;
      last = next.value;
      if (!out.writableNeedDrain) out.write(event("progress", last));
    }
    if (last) out.write(event("end", last));
  } catch (error) {
    out.write(event("error", bodyOf(faultOf(error))));
  } finally {
    clearInterval(heartbeat);
    old?.stop();
    // Not awaited: an iterator that waits for the next update ends only with it.
    void updates.return?.()?.catch(() => undefined);
  }
}
