import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import type { JobStatus } from "../../../proto/messages/status.js";
import { type Gateway, runOverHttp, uploadCsv } from "./over-http.js";

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

async function gatewayOf(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<Gateway> {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closers.push(() => server.close());
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    token: "secret",
    signal: new AbortController().signal,
  };
}

const status = {
  job: "j1",
  name: "job",
  tenant: "default",
  durable: true,
  state: "succeeded",
  submittedAtMs: 1,
  stages: [],
  outputs: [],
  tasks: 3,
  succeeded: 3,
  reused: 3,
  executed: 0,
  retried: 0,
  slotTimeUs: 0,
  resultBytes: 9,
  digest: "ab",
} as unknown as JobStatus;

describe("the job over HTTP", () => {
  it("follows events that arrive in pieces to the end", async () => {
    const seen: string[] = [];
    const gateway = await gatewayOf((request, response) => {
      seen.push(`${request.method} ${request.url} ${request.headers.authorization}`);
      if (request.method === "POST") {
        response.writeHead(202, { "content-type": "application/json" }).end(JSON.stringify({ job: "j1" }));
        return;
      }
      response.writeHead(200, { "content-type": "text/event-stream" });
      const text = `: hello\n\nevent: progress\ndata: {}\n\nevent: end\ndata: ${JSON.stringify(status)}\n\n`;
      response.write(text.slice(0, 25));
      setImmediate(() => response.end(text.slice(25)));
    });
    expect(await runOverHttp(gateway, { stages: [] }, "key")).toMatchObject({
      state: "succeeded",
      digest: "ab",
      executed: 0,
    });
    expect(seen).toEqual(["POST /v1/jobs Bearer secret", "GET /v1/jobs/j1/events Bearer secret"]);
  });

  it("asks for the status when the events end early", async () => {
    const gateway = await gatewayOf((request, response) => {
      if (request.url?.endsWith("/events")) response.writeHead(200).end("event: progress\ndata: {}\n\n");
      else response.writeHead(200).end(JSON.stringify(request.method === "POST" ? { job: "j1" } : status));
    });
    expect((await runOverHttp(gateway, { stages: [] }, "key")).digest).toBe("ab");
  });

  it("repeats what the gateway says when it refuses", async () => {
    const gateway = await gatewayOf((_request, response) =>
      response
        .writeHead(400)
        .end(JSON.stringify({ error: { code: "INVALID_DATA", message: "line 3 has two fields" } })),
    );
    await expect(uploadCsv(gateway, Buffer.from("a,b\n"))).rejects.toThrow(
      "POST /v1/objects with 400: INVALID_DATA, line 3 has two fields",
    );
  });
});
