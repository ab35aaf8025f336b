/**
 * What needs a socket: event streams, timeouts, broken requests, bounds on what is open, and where the gateway listens.
 */
import { once } from "node:events";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { connect as connectSocket } from "node:net";
import { type Table, tableFromArrays, tableFromIPC } from "apache-arrow";
import { afterEach, describe, expect, it } from "vitest";
import { mutate, sampleStream, structureBytes } from "../../data/ingest/testing/mutants.js";
import { VolleyError } from "../../proto/errors.js";
import type { App } from "./context.js";
import { buildGateway, type GatewayOptions } from "./gateway.js";
import { checkListen } from "./security.js";
import { FakeCluster } from "./testing/fake-cluster.js";

const token = "a-token-of-some-length";
const headers = { authorization: `Bearer ${token}` };
const graph = { name: "g", stages: [{ name: "one", fn: { kernel: "noop" } }] };

let app: App | undefined;
let cluster: FakeCluster;
let url: string;
const open = async (options: Partial<GatewayOptions> = {}): Promise<void> => {
  cluster = new FakeCluster();
  app = await buildGateway({ cluster, token, ...options });
  url = await app.listen({ host: "127.0.0.1", port: 0 });
};
afterEach(async () => {
  await app?.close();
  app = undefined;
});
const submit = async (): Promise<string> => {
  const answer = await fetch(`${url}/v1/jobs`, {
    method: "POST",
    headers: { ...headers, "content-type": "application/json" },
    body: JSON.stringify(graph),
  });
  return ((await answer.json()) as { job: string }).job;
};

interface SseEvent {
  readonly event: string;
  readonly data: { state?: string; succeeded?: number; error?: { code: string } };
}
/** Parses a stream of server-sent events; comments are given as the event ":". */
async function* events(response: Response): AsyncGenerator<SseEvent> {
  let text = "";
  for await (const bytes of response.body as unknown as AsyncIterable<Uint8Array>) {
    text += Buffer.from(bytes).toString();
    for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
      const block = text.slice(0, end);
      text = text.slice(end + 2);
      if (block.startsWith(":")) yield { event: ":", data: {} };
      const match = /^event: (.*)\ndata: (.*)$/.exec(block);
      if (match) yield { event: match[1] as string, data: JSON.parse(match[2] as string) };
    }
  }
}

describe("the download of a table", () => {
  const table = (): Table => tableFromArrays({ x: new Float64Array(4 * 1024 * 1024).fill(1.5) });
  const arrow = { ...headers, accept: "application/vnd.apache.arrow.stream" };

  it("is read as its reader takes it, and comes whole", async () => {
    await open();
    const { id } = await cluster.put(table());
    const response = await fetch(`${url}/v1/objects/${id}`, { headers: arrow });
    await expect.poll(() => cluster.piecesTaken).toBeGreaterThan(0);
    await new Promise((resolve) => setTimeout(resolve, 100));
    // 512 pieces: what sockets and buffers take of them lies between.
    expect(cluster.piecesTaken).toBeLessThan(300);
    const bytes = new Uint8Array(await response.arrayBuffer());
    expect(Number(response.headers.get("content-length"))).toBe(bytes.byteLength);
    expect(
      tableFromIPC(bytes)
        .getChild("x")
        ?.get(4 * 1024 * 1024 - 1),
    ).toBe(1.5);
  });

  it("that turns out to be spoilt is cut off", async () => {
    await open();
    const { id } = await cluster.put(table());
    cluster.spoiltPiece = 400;
    const response = await fetch(`${url}/v1/objects/${id}`, { headers: arrow });
    await expect(response.arrayBuffer()).rejects.toThrow();
  });
});

describe("an event stream", () => {
  it("gives every change, then one end, and closes", async () => {
    await open();
    const id = await submit();
    const response = await fetch(`${url}/v1/jobs/${id}/events`, { headers });
    expect(response.headers.get("content-type")).toBe("text/event-stream; charset=utf-8");
    const seen: string[] = [];
    for await (const { event, data } of events(response)) {
      seen.push(`${event} ${data.state} ${data.succeeded}`);
      if (seen.length === 1) cluster.fake(id).update({ succeeded: 0, reused: 1 });
      if (seen.length === 2) cluster.fake(id).succeed([1]);
    }
    expect(seen).toEqual(["progress running 0", "progress running 0", "progress succeeded 1", "end succeeded 1"]);
    await expect.poll(() => cluster.following).toBe(0);
  });

  it("says that it is there while nothing changes, and lets go of the job when the client leaves", async () => {
    await open({ heartbeatMs: 20, streamsMax: 1 });
    const id = await submit();
    const abort = new AbortController();
    const response = await fetch(`${url}/v1/jobs/${id}/events`, { headers, signal: abort.signal });
    const stream = events(response);
    expect((await stream.next()).value).toMatchObject({ event: "progress" });
    expect((await stream.next()).value).toMatchObject({ event: ":" });
    const second = await fetch(`${url}/v1/jobs/${id}/events`, { headers });
    expect([second.status, ((await second.json()) as { error: { code: string } }).error.code]).toEqual([
      429,
      "RATE_LIMITED",
    ]);
    abort.abort();
    await stream.next().catch(() => undefined);
    // The job's next change is what ends an iterator that waits for it.
    await expect
      .poll(
        async () =>
          (await fetch(`${url}/v1/jobs/${id}/events`, { headers, signal: AbortSignal.timeout(2_000) })).status,
      )
      .toBe(200);
    cluster.fake(id).update({ reused: 1 });
    cluster.fake(id).succeed([1]);
    await expect.poll(() => cluster.following).toBe(0);
  });

  it("is not counted among the requests in flight", async () => {
    await open({ inFlightMax: 1 });
    const id = await submit();
    const stream = events(await fetch(`${url}/v1/jobs/${id}/events`, { headers }));
    expect((await stream.next()).value).toMatchObject({ event: "progress" });
    expect((await fetch(`${url}/v1/jobs`, { headers })).status).toBe(200);
    expect(await (await fetch(`${url}/metrics`, { headers })).text()).toMatch(/volley_gateway_event_streams 1\n/);
    cluster.fake(id).succeed([1]);
    for await (const _ of stream);
    await expect
      .poll(async () => (await fetch(`${url}/metrics`, { headers })).text())
      .toMatch(/volley_gateway_event_streams 0\n/);
  });

  it("costs the cluster one follower a job, and readers that do not read are bounded together and cut off", async () => {
    const eventBytesMax = 2_000_000;
    await open({ eventBytesMax, stallMs: 50, heartbeatMs: 20 });
    const id = await submit();
    const fake = cluster.fake(id);
    // A status of 200 kB.
    const name = "x".repeat(200_000);
    fake.update({ name });
    const sockets = Array.from({ length: 40 }, () => {
      const socket = connectSocket(Number(new URL(url).port), "127.0.0.1");
      socket.on("error", () => undefined);
      socket.write(
        `GET /v1/jobs/${id}/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: ${headers.authorization}\r\n\r\n`,
      );
      socket.once("data", () => socket.pause());
      return socket;
    });
    const metric = async (pattern: RegExp): Promise<number> =>
      Number(pattern.exec(await (await fetch(`${url}/metrics`, { headers })).text())?.[1] ?? 0);
    await expect.poll(() => metric(/volley_gateway_event_streams (\d+)/)).toBe(40);
    expect(cluster.following).toBe(1);
    const reader = events(await fetch(`${url}/v1/jobs/${id}/events`, { headers }));
    let reused = 0;
    // What the system buffers for a socket nobody reads is filled first.
    for (
      ;
      (await metric(/dropped_total\{reason="memory"\} (\d+)/)) +
        (await metric(/dropped_total\{reason="stalled"\} (\d+)/)) <
      40;
      reused++
    ) {
      fake.update({ reused });
      // One that reads sees the newest in spite of the others.
      for (;;) {
        const { value } = await reader.next();
        if (value?.event === "progress" && (value.data as { reused?: number }).reused === reused) break;
      }
      expect(await metric(/volley_gateway_event_bytes (\d+)/)).toBeLessThanOrEqual(eventBytesMax);
    }
    await expect.poll(() => metric(/volley_gateway_event_streams (\d+)/)).toBe(1);
    fake.succeed([1]);
    let last = "";
    for await (const { event } of reader) last = event;
    expect(last).toBe("end");
    for (const socket of sockets) socket.destroy();
  });

  it("ends when it is old, and with an error event when following fails", async () => {
    await open({ streamMsMax: 100 });
    const id = await submit();
    const seen: string[] = [];
    for await (const { event } of events(await fetch(`${url}/v1/jobs/${id}/events`, { headers }))) seen.push(event);
    expect(seen).toEqual(["progress"]);
    const job = cluster.job(id);
    cluster.job = () => ({
      ...job,
      // biome-ignore lint/correctness/useYield: it fails before it has anything to give
      progress: async function* () {
        throw new VolleyError("NO_SCHEDULER", "the scheduler is gone");
      },
    });
    for await (const { event, data } of events(await fetch(`${url}/v1/jobs/${id}/events`, { headers })))
      seen.push(`${event} ${data.error?.code}`);
    expect(seen).toEqual(["progress", "error NO_SCHEDULER"]);
  });
});

/** Sends raw bytes and gives the whole answer as text. */
async function raw(text: string, end = true): Promise<string> {
  const socket = connectSocket(Number(new URL(url).port), "127.0.0.1");
  let answer = "";
  socket.on("data", (data) => {
    answer += data.toString();
  });
  socket.on("error", () => undefined);
  await once(socket, "connect");
  if (end) socket.end(text);
  else socket.write(text);
  await once(socket, "close");
  return answer;
}
const codeOf = (answer: string): string => /"code":"([A-Z_]+)"/.exec(answer)?.[1] ?? answer;

describe("a request that is not one", () => {
  it("is answered in the one form of errors", async () => {
    await open();
    expect(codeOf(await raw("GARBAGE\r\n\r\n"))).toBe("INVALID_ARGUMENT");
    expect(await raw(`GET / HTTP/1.1\r\nHost: localhost\r\nX-Large: ${"x".repeat(20_000)}\r\n\r\n`)).toMatch(
      /^HTTP\/1\.1 431 [\s\S]*TOO_LARGE/,
    );
    expect(await raw(`GET /%ff HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`)).toMatch(
      /^HTTP\/1\.1 400 [\s\S]*INVALID_ARGUMENT/,
    );
    expect(await raw(`GET /healthz HTTP/1.1\r\nHost: rebound.example\r\nConnection: close\r\n\r\n`)).toMatch(
      /^HTTP\/1\.1 403 [\s\S]*FORBIDDEN/,
    );
    expect(await raw(`GET /healthz HTTP/1.0\r\n\r\n`)).toMatch(/^HTTP\/1\.[01] 403 [\s\S]*FORBIDDEN/);
  });

  it("is ended when it does not arrive in time", async () => {
    await open({ requestTimeoutMs: 300 });
    const answer = await raw(
      `POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{`,
      false,
    );
    expect(answer).toMatch(/^HTTP\/1\.1 (408|504) [\s\S]*TIMEOUT/);
  });
});

describe("bounds", () => {
  it("on the time of a handler and on requests at once", async () => {
    await open({ requestTimeoutMs: 400, inFlightMax: 1 });
    cluster.jobs = () => new Promise(() => undefined);
    const slow = fetch(`${url}/v1/jobs`, { headers });
    await expect.poll(async () => (await fetch(`${url}/v1/workers`, { headers })).status, { interval: 5 }).toBe(429);
    const refused = await fetch(`${url}/v1/workers`, { headers });
    if (refused.status === 429)
      expect([
        refused.headers.get("retry-after"),
        ((await refused.json()) as { error: { code: string } }).error.code,
      ]).toEqual(["1", "RATE_LIMITED"]);
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
    const answer = await slow;
    expect([answer.status, ((await answer.json()) as { error: { code: string } }).error.code]).toEqual([
      504,
      "TIMEOUT",
    ]);
    await expect.poll(async () => (await fetch(`${url}/v1/workers`, { headers })).status).toBe(200);
  });

  it("on uploads at once, counted until their client has gone", async () => {
    await open({ uploadsMax: 1 });
    const half = httpRequest(`${url}/v1/objects`, {
      method: "POST",
      headers: { ...headers, "content-type": "text/csv", "content-length": "100" },
    });
    half.on("error", () => undefined);
    half.write("a\n");
    const upload = () =>
      fetch(`${url}/v1/objects`, {
        method: "POST",
        headers: { ...headers, "content-type": "text/csv" },
        body: "a\n1\n",
      });
    await expect.poll(async () => (await upload()).status).toBe(429);
    half.destroy();
    await expect.poll(async () => (await upload()).status).toBe(201);
  });

  it("on the size of a body, whose sender gets the answer while it still writes", async () => {
    await open({ uploadBytesMax: 100_000 });
    for (let i = 0; i < 5; i++) {
      const answer = await fetch(`${url}/v1/objects`, {
        method: "POST",
        headers: { ...headers, "content-type": "text/csv" },
        body: Buffer.alloc(30_000_000, "x"),
      });
      expect([answer.status, ((await answer.json()) as { error: { code: string } }).error.code]).toEqual([
        413,
        "TOO_LARGE",
      ]);
    }
  });

  it("on the size of a body whose length is not announced", async () => {
    await open({ uploadBytesMax: 100_000 });
    const upload = httpRequest(`${url}/v1/objects`, {
      method: "POST",
      headers: { ...headers, "content-type": "text/csv", "transfer-encoding": "chunked" },
    });
    upload.on("error", () => undefined);
    for (let i = 0; i < 20; i++) upload.write("x".repeat(10_000));
    upload.end();
    const [response] = (await once(upload, "response")) as [IncomingMessage];
    expect(response.statusCode).toBe(413);
    response.resume();
  });
});

describe("1,000 mutated Arrow streams", () => {
  it("are each answered with 201 or 400, and the gateway lives on", async () => {
    await open();
    const stream = sampleStream(30, 2);
    const structure = structureBytes(stream);
    const counts = new Map<number, number>();
    let next = 1;
    const client = async (): Promise<void> => {
      for (let seed = next++; seed <= 1_000; seed = next++) {
        const answer = await fetch(`${url}/v1/objects`, {
          method: "POST",
          headers: { ...headers, "content-type": "application/vnd.apache.arrow.stream" },
          body: Buffer.from(mutate(stream, structure, seed)),
        });
        const body = (await answer.json()) as { rows?: number; error?: { code: string } };
        if (answer.status === 201) expect(body.rows).toBe(60);
        else expect([answer.status, body.error?.code], `seed ${seed}`).toEqual([400, "INVALID_DATA"]);
        counts.set(answer.status, (counts.get(answer.status) ?? 0) + 1);
      }
    };
    await Promise.all([client(), client(), client()]);
    expect(counts.get(400)).toBeGreaterThan(500);
    expect((counts.get(400) ?? 0) + (counts.get(201) ?? 0)).toBe(1_000);
    expect((await fetch(`${url}/readyz`)).status).toBe(200);
  });
});

describe("where it listens", () => {
  it.each([
    ["127.0.0.1", {}, true],
    ["127.8.8.8", {}, true],
    ["::1", {}, true],
    ["localhost", {}, true],
    ["0.0.0.0", {}, false],
    ["::", {}, false],
    ["10.0.0.1", {}, false],
    ["127.example", {}, false],
    ["0.0.0.0", { tls: true }, true],
    ["0.0.0.0", { insecure: true }, true],
  ])("%s with %j: %s", (host, given, allowed) => {
    const check = (): void => checkListen(host, { tls: false, insecure: false, ...given });
    if (allowed) expect(check).not.toThrow();
    else expect(check).toThrow(/refusing to listen/);
  });
});
