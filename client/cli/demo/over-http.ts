/**
 * The same job as any program would submit it: over HTTP with a token, prices as CSV, the graph as JSON, progress as
 * server-sent events.
 */
import { z } from "zod";
import { VolleyError } from "../../../proto/errors.js";
import type { JsonGraphInput } from "../../../proto/graph.js";
import { type JobStatus, jobStatus } from "../../../proto/messages/status.js";

export interface Gateway {
  readonly url: string;
  readonly token: string;
  readonly signal: AbortSignal;
}

const requestTimeoutMs = 120_000;
const jobTimeoutMs = 3_600_000;

const uploaded = z.object({ object: z.string(), rows: z.number() });
const accepted = z.object({ job: z.string() });
const refused = z.object({ error: z.object({ code: z.string(), message: z.string() }) });

async function request(
  gateway: Gateway,
  path: string,
  init: RequestInit,
  timeoutMs = requestTimeoutMs,
): Promise<Response> {
  const response = await fetch(new URL(path, gateway.url), {
    ...init,
    headers: { authorization: `Bearer ${gateway.token}`, ...(init.headers as Record<string, string>) },
    signal: AbortSignal.any([gateway.signal, AbortSignal.timeout(Math.min(timeoutMs, 3_600_000))]),
  });
  if (response.ok) return response;
  const body = await response.text();
  const sent = refused.safeParse(safeJson(body));
  throw new VolleyError(
    "INTERNAL",
    `the gateway answered ${init.method ?? "GET"} ${path} with ${response.status}: ${sent.success ? `${sent.data.error.code}, ${sent.data.error.message}` : body.slice(0, 300)}`,
  );
}

function safeJson(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

/** Uploads CSV; gives the id of the object, which follows from its content. */
export async function uploadCsv(gateway: Gateway, csv: Uint8Array): Promise<string> {
  const response = await request(gateway, "/v1/objects", {
    method: "POST",
    headers: { "content-type": "text/csv" },
    body: csv as Uint8Array<ArrayBuffer>,
  });
  return uploaded.parse(await response.json()).object;
}

/** Submits a graph and follows its events to the end. Resolves with the terminal status, whatever it is. */
export async function runOverHttp(gateway: Gateway, graph: JsonGraphInput, idempotencyKey: string): Promise<JobStatus> {
  const headers = { "content-type": "application/json", "idempotency-key": idempotencyKey };
  const { job } = accepted.parse(
    await (await request(gateway, "/v1/jobs", { method: "POST", headers, body: JSON.stringify(graph) })).json(),
  );
  const events = await request(
    gateway,
    `/v1/jobs/${job}/events`,
    { headers: { accept: "text/event-stream" } },
    jobTimeoutMs,
  );
  for await (const { name, data } of serverSentEvents(events)) {
    if (name === "end") return jobStatus.parse(JSON.parse(data));
    if (name === "error") throw new VolleyError("INTERNAL", `the gateway ended the events of job ${job}: ${data}`);
  }
  // The stream may close early (its age is limited); the status has the last word.
  return jobStatus.parse(await (await request(gateway, `/v1/jobs/${job}`, {})).json());
}

/** The text/event-stream of the HTML standard, as much of it as the gateway sends. */
async function* serverSentEvents(response: Response): AsyncGenerator<{ name: string; data: string }> {
  if (!response.body) return;
  let rest = "";
  for await (const text of response.body.pipeThrough(new TextDecoderStream())) {
    const blocks = (rest + text).split("\n\n");
    rest = blocks.pop() ?? "";
    for (const block of blocks) {
      let name = "message";
      const data: string[] = [];
      for (const line of block.split("\n")) {
        if (line.startsWith("event:")) name = line.slice(6).trim();
        else if (line.startsWith("data:")) data.push(line.slice(5).trim());
      }
      if (data.length > 0) yield { name, data: data.join("\n") };
    }
  }
}
