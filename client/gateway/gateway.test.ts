import { createHash } from "node:crypto";
import { tableToIPC } from "apache-arrow";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { randomOf, sampleStream, sampleTable } from "../../data/ingest/testing/mutants.js";
import { encodeParquet } from "../../data/lake/index.js";
import { errorCatalogue, VolleyError } from "../../proto/errors.js";
import { patienceMs } from "../../proto/testing/patience.js";
import type { GatewayOptions } from "./gateway.js";
import { TestGateway, testToken } from "./testing/test-gateway.js";

const token = testToken;
let gateway: TestGateway;
const open = async (options: Partial<GatewayOptions> = {}): Promise<void> => {
  await gateway?.close();
  gateway = await TestGateway.open(options);
};
beforeEach(() => open());
afterEach(() => gateway.close());
const ask: TestGateway["ask"] = (...args) => gateway.ask(...args);
const arrow = { "content-type": "application/vnd.apache.arrow.stream" };

describe("who may ask", () => {
  it.each(["/v1/jobs", "/metrics", "/openapi.json", "/docs", "/v1/workers", "/nowhere"])(
    "%s needs the token",
    async (url) => {
      for (const headers of [
        { authorization: "" },
        { authorization: "Bearer wrong" },
        { authorization: token },
        { authorization: `Basic ${Buffer.from("x:wrong").toString("base64")}` },
      ]) {
        const answer = await ask("GET", url, { headers });
        expect(answer.status).toBe(401);
        expect(answer.json().error.code).toBe("UNAUTHENTICATED");
        expect(answer.headers["www-authenticate"]).toMatch(/^(Bearer|Basic)/);
      }
    },
  );

  it("health needs none, and readiness says when no scheduler answers", async () => {
    for (const url of ["/healthz", "/readyz"])
      expect((await ask("GET", url, { headers: { authorization: "" } })).status).toBe(200);
    await open();
    gateway.cluster.failure = new VolleyError("NO_SCHEDULER", "no scheduler answers");
    const answer = await ask("GET", "/readyz", { headers: { authorization: "" } });
    expect([answer.status, answer.json().error.code]).toEqual([503, "NO_SCHEDULER"]);
    expect((await ask("GET", "/healthz", { headers: { authorization: "" } })).status).toBe(200);
  });

  it("takes the token as a password for the documentation only", async () => {
    const basic = { authorization: `Basic ${Buffer.from(`volley:${token}`).toString("base64")}` };
    expect((await ask("GET", "/openapi.json", { headers: basic })).status).toBe(200);
    expect((await ask("GET", "/v1/jobs", { headers: basic })).status).toBe(401);
  });

  it.each(["evil.example", "127.0.0.1.evil.example", "localhost@evil.example"])("refuses the host %j", async (host) => {
    const answer = await ask("GET", "/v1/jobs", { headers: { host } });
    expect([answer.status, answer.json().error.code]).toEqual([403, "FORBIDDEN"]);
  });

  it("answers for loopback names and the configured ones", async () => {
    await open({ allowedHosts: ["Volley.internal"] });
    for (const host of ["localhost:8080", "127.0.0.1", "[::1]:80", "volley.internal", "VOLLEY.internal:443"])
      expect((await ask("GET", "/v1/jobs", { headers: { host } })).status).toBe(200);
  });
});

describe("what is not there", () => {
  it("is said with a code", async () => {
    expect((await ask("GET", "/nowhere")).json().error.code).toBe("ROUTE_NOT_FOUND");
    const wrong = await ask("PUT", "/v1/jobs/job-1");
    expect([wrong.status, wrong.json().error.code, wrong.json().error.details]).toEqual([
      405,
      "METHOD_NOT_ALLOWED",
      { allow: ["GET", "HEAD", "DELETE"] },
    ]);
    expect(wrong.headers.allow).toBe("GET, HEAD, DELETE");
    for (const path of ["", "/events", "/result", "/explain"]) {
      for (const id of ["job-9", "no%20job", "..%2f.."]) {
        const answer = await ask("GET", `/v1/jobs/${id}${path}`);
        expect([answer.status, answer.json().error.code]).toEqual([404, "JOB_NOT_FOUND"]);
      }
    }
    expect((await ask("GET", "/v1/objects/none")).json().error.code).toBe("OBJECT_NOT_FOUND");
    expect((await ask("GET", `/v1/objects/c${"0".repeat(32)}-0`)).json().error.code).toBe("OBJECT_NOT_FOUND");
  });
});

describe("submitting", () => {
  it("answers 202 with the job and where it is", async () => {
    const answer = await ask("POST", "/v1/jobs", { body: gateway.graph });
    expect([answer.status, answer.json(), answer.headers.location]).toEqual([202, { job: "job-1" }, "/v1/jobs/job-1"]);
    expect((await ask("GET", "/v1/jobs/job-1")).json()).toMatchObject({ job: "job-1", state: "running", tasks: 4 });
    expect((await ask("GET", "/v1/jobs?limit=5")).json()).toMatchObject({ jobs: [{ job: "job-1" }] });
  });

  it("is one job for one key, and a conflict for another graph under it", async () => {
    const headers = { "idempotency-key": "k1" };
    const [a, b] = [
      await ask("POST", "/v1/jobs", { headers, body: gateway.graph }),
      await ask("POST", "/v1/jobs", { headers, body: gateway.graph }),
    ];
    expect([a.json().job, b.json().job, gateway.cluster.jobsById.size]).toEqual(["job-1", "job-1", 1]);
    const other = await ask("POST", "/v1/jobs", { headers, body: { ...gateway.graph, name: "other" } });
    expect([other.status, other.json().error.code]).toEqual([409, "CONFLICT"]);
    expect(
      (await ask("POST", "/v1/jobs", { headers: { "idempotency-key": "x".repeat(200) }, body: gateway.graph })).json()
        .error.path,
    ).toBe("headers.idempotency-key");
  });

  it.each([
    [{}, "stages"],
    [{ stages: [] }, "stages"],
    [{ stages: [{ name: "a", fn: { kernel: "k" }, count: 0 }] }, "stages.0.count"],
    [{ stages: [{ name: "a", fn: {} }] }, "stages.0.fn"],
    [{ stages: [{ name: "a", fn: { kernel: "k" }, args: [{ stage: "b", edge: "all" }] }] }, "stages.0.args.0.stage"],
    [{ stages: [{ name: "a", fn: { kernel: "k" } }], outputs: ["b"] }, "outputs.0"],
    [{ stages: [{ name: "a", fn: { kernel: "k" }, extra: 1 }] }, "stages.0"],
  ])("%j is refused with the path of the fault, %s", async (body, path) => {
    const answer = await ask("POST", "/v1/jobs", { body });
    expect([answer.status, answer.json().error.code, answer.json().error.path]).toEqual([400, "INVALID_GRAPH", path]);
    expect(gateway.cluster.jobsById.size).toBe(0);
  });

  it("refuses what is not JSON, has the wrong type or is too large", async () => {
    const json = { "content-type": "application/json" };
    const broken = await ask("POST", "/v1/jobs", { headers: json, body: "{" });
    expect([broken.status, broken.json().error.code]).toEqual([400, "INVALID_ARGUMENT"]);
    const poisoned = await ask("POST", "/v1/jobs", { headers: json, body: '{"__proto__": {"a": 1}}' });
    expect(poisoned.status).toBe(400);
    const typed = await ask("POST", "/v1/jobs", { headers: { "content-type": "application/xml" }, body: "<a/>" });
    expect([typed.status, typed.json().error.code]).toEqual([415, "UNSUPPORTED_TYPE"]);
    await open({ graphBytesMax: 1_000, uploadBytesMax: 1_000 });
    const large = await ask("POST", "/v1/jobs", { headers: json, body: JSON.stringify({ name: "x".repeat(2_000) }) });
    expect([large.status, large.json().error.code]).toEqual([413, "TOO_LARGE"]);
    const upload = await ask("POST", "/v1/objects", {
      headers: { "content-type": "text/csv" },
      body: `a\n${"1\n".repeat(1_000)}`,
    });
    expect([upload.status, upload.json().error.code]).toEqual([413, "TOO_LARGE"]);
  });

  it("answers a bad query with its path, and a failure of its own without saying more", async () => {
    expect((await ask("GET", "/v1/jobs?limit=0")).json().error).toMatchObject({
      code: "INVALID_ARGUMENT",
      path: "querystring.limit",
    });
    gateway.cluster.jobs = async () => {
      throw new Error("secret detail");
    };
    const answer = await ask("GET", "/v1/jobs");
    expect([answer.status, answer.json().error.code]).toEqual([500, "INTERNAL"]);
    expect(answer.text).not.toMatch(/secret|stack|\.js/);
  });
});

describe("a job", () => {
  it("is cancelled by POST and by DELETE", async () => {
    for (const [method, path] of [
      ["POST", "/cancel"],
      ["DELETE", ""],
    ] as const) {
      const id = await gateway.submit();
      const answer = await ask(method, `/v1/jobs/${id}${path}`);
      expect([answer.status, answer.json().state]).toEqual([202, "cancelled"]);
      expect((await ask("GET", `/v1/jobs/${id}/result`)).json().error.code).toBe("CANCELLED");
    }
  });

  it("explains a task by stage name or index", async () => {
    const id = await gateway.submit();
    expect((await ask("GET", `/v1/jobs/${id}/explain?stage=one&task=2`)).json()).toMatchObject({ stage: 0, task: 2 });
    expect((await ask("GET", `/v1/jobs/${id}/explain?stage=1`)).json()).toMatchObject({ stage: 1, task: 0 });
    expect((await ask("GET", `/v1/jobs/${id}/explain?stage=three`)).json().error).toMatchObject({
      code: "INVALID_ARGUMENT",
      path: "querystring.stage",
    });
    expect((await ask("GET", `/v1/jobs/${id}/explain?stage=one&task=3`)).json().error).toMatchObject({
      path: "querystring.task",
    });
  });

  it("has no result while it runs, and its own error when it failed", async () => {
    const id = await gateway.submit();
    const running = await ask("GET", `/v1/jobs/${id}/result`);
    expect([running.status, running.json().error.code]).toEqual([409, "NOT_READY"]);
    gateway.cluster
      .fake(id)
      .update({ state: "failed", error: { code: "TASK_FAILED", message: "division by zero", stack: "at user code" } });
    const failed = await ask("GET", `/v1/jobs/${id}/result`);
    expect([failed.status, failed.json().error]).toEqual([
      422,
      { code: "TASK_FAILED", message: "division by zero", details: { stack: "at user code" } },
    ]);
  });
});

describe("uploads", () => {
  it("in Arrow, CSV and JSON of the same rows are one object", async () => {
    const csv = await ask("POST", "/v1/objects", {
      headers: { "content-type": "text/csv; charset=utf-8" },
      body: "a,b\n1,x\n2,y\n3,x\n4,y\n",
    });
    expect([csv.status, csv.json()]).toEqual([
      201,
      {
        object: expect.stringMatching(/^c[0-9a-f]{32}-0$/),
        rows: 4,
        bytes: expect.any(Number),
        columns: [
          { name: "a", type: "Float64", nulls: 0 },
          { name: "b", type: "Dictionary<Int32, Utf8>", nulls: 0 },
        ],
      },
    ]);
    const rows = [1, 2, 3, 4].map((a) => ({ a, b: a % 2 === 1 ? "x" : "y" }));
    const json = await ask("POST", "/v1/objects", {
      headers: { "content-type": "application/json" },
      body: JSON.stringify(rows),
    });
    const stream = await ask("GET", `/v1/objects/${csv.json().object}`, { headers: { accept: arrow["content-type"] } });
    const again = await ask("POST", "/v1/objects", { headers: arrow, body: stream.bytes });
    expect([json.json().object, again.json().object]).toEqual([csv.json().object, csv.json().object]);
    expect((await ask("GET", `/v1/objects/${csv.json().object}`)).json().rows).toEqual(rows);
  });

  it("take types, delimiter and null words for CSV", async () => {
    const answer = await ask("POST", "/v1/objects?delimiter=%3B&types=a:int32,b:string&nulls=NA", {
      headers: { "content-type": "text/csv" },
      body: "a;b\n1;2\nNA;3\n",
    });
    expect(answer.json().columns).toEqual([
      { name: "a", type: "Int32", nulls: 1 },
      { name: "b", type: "Utf8", nulls: 0 },
    ]);
    expect(
      (
        await ask("POST", "/v1/objects?types=a:int99", { headers: { "content-type": "text/csv" }, body: "a\n1\n" })
      ).json().error,
    ).toMatchObject({
      code: "INVALID_ARGUMENT",
      path: "querystring.types",
    });
    const bad = await ask("POST", "/v1/objects?types=a:int32", {
      headers: { "content-type": "text/csv" },
      body: "a\n1\nx\n",
    });
    expect([bad.status, bad.json().error.message]).toEqual([
      400,
      'line 3, column "a": "x" is not a whole number of 32 bits',
    ]);
  });

  it("of a changed Arrow stream are refused: its structure always, its values where a digest is announced", async () => {
    const stream = Buffer.from(sampleStream());
    const cut = await ask("POST", "/v1/objects", { headers: arrow, body: stream.subarray(0, stream.byteLength - 64) });
    expect([cut.status, cut.json().error.code]).toEqual([400, "INVALID_DATA"]);
    const changed = Buffer.from(stream);
    const at = changed.indexOf(Buffer.from(Float64Array.of(100).buffer));
    changed[at + 2] = 0x55;
    const sha256 = createHash("sha256").update(stream).digest();
    for (const headers of [
      { "x-volley-sha256": sha256.toString("hex") },
      { "content-digest": `sha-256=:${sha256.toString("base64")}:` },
    ]) {
      expect((await ask("POST", "/v1/objects", { headers: { ...arrow, ...headers }, body: stream })).status).toBe(201);
      const answer = await ask("POST", "/v1/objects", { headers: { ...arrow, ...headers }, body: changed });
      expect([answer.status, answer.json().error.code]).toEqual([400, "INVALID_DATA"]);
    }
    expect(
      (await ask("POST", "/v1/objects", { headers: { ...arrow, "x-volley-sha256": "abc" }, body: stream })).json().error
        .path,
    ).toBe("headers.x-volley-sha256");
    expect((await ask("GET", "/metrics")).text).toContain(
      'volley_gateway_decode_rejections_total{format="arrow",code="INVALID_DATA"} 3',
    );
  });
});

describe("Parquet uploads", () => {
  const parquet = { "content-type": "application/vnd.apache.parquet" };
  const file = Buffer.from(encodeParquet(sampleTable(60, 3), { rowGroupRows: 70 }));
  const upload = (body: Buffer, headers: Record<string, string> = {}) =>
    ask("POST", "/v1/objects", { headers: { ...parquet, ...headers }, body });

  it("have the id of the same rows in any other form", async () => {
    const sent = await upload(file);
    expect([sent.status, sent.json().rows]).toEqual([201, 180]);
    const stream = await ask("GET", `/v1/objects/${sent.json().object}`, {
      headers: { accept: arrow["content-type"] },
    });
    const again = await ask("GET", `/v1/objects/${sent.json().object}`, {
      headers: { accept: parquet["content-type"] },
    });
    const arrowFile = Buffer.from(tableToIPC(sampleTable(180, 1), "file"));
    const ids = [
      await ask("POST", "/v1/objects", { headers: arrow, body: stream.bytes }),
      await upload(again.bytes),
      await ask("POST", "/v1/objects", {
        headers: { "content-type": "application/vnd.apache.arrow.file" },
        body: arrowFile,
      }),
    ].map((answer) => answer.json().object);
    expect(ids).toEqual([sent.json().object, sent.json().object, sent.json().object]);
  });

  it("that are cut off, changed against their digest, or something else are refused with the reason", async () => {
    const sha256 = createHash("sha256").update(file).digest("hex");
    expect((await upload(file, { "x-volley-sha256": sha256 })).status).toBe(201);
    const changed = Buffer.from(file);
    changed[200] = (changed[200] as number) ^ 1;
    for (const [body, headers, message] of [
      [file.subarray(0, file.length - 1), {}, /does not end with PAR1; it may be truncated/],
      [Buffer.from("a,b\n1,2\n"), {}, /is no Parquet file/],
      [Buffer.alloc(0), {}, /is no Parquet file|send one of/],
      [changed, { "x-volley-sha256": sha256 }, /have the SHA-256 [0-9a-f]{64}, not/],
    ] as const) {
      const answer = await upload(body, headers);
      expect([answer.status, answer.json().error.code, answer.json().error.message]).toEqual([
        400,
        "INVALID_DATA",
        expect.stringMatching(message),
      ]);
    }
    expect((await ask("GET", "/metrics")).text).toContain(
      'volley_gateway_decode_rejections_total{format="parquet",code="INVALID_DATA"} 4',
    );
  });

  it("of 1,000 mutants are each taken or refused with a 4xx, and the gateway answers on", {
    timeout: patienceMs,
  }, async () => {
    const seen: Record<number, number> = {};
    for (let seed = 0; seed < 1_000; seed++) {
      const random = randomOf(seed + 77);
      const mutation = Buffer.from(file);
      for (let change = 1 + random(3); change > 0; change--) {
        const at = random(2) === 0 ? mutation.length - 1 - random(900) : random(mutation.length);
        mutation[at] =
          random(3) === 0 ? ([0, 255, 127, 128][random(4)] as number) : (mutation[at] as number) ^ (1 << random(8));
      }
      const { status } = await upload(mutation);
      seen[status] = (seen[status] ?? 0) + 1;
    }
    expect(
      Object.keys(seen).every((status) => ["201", "400", "413"].includes(status)),
      JSON.stringify(seen),
    ).toBe(true);
    expect(seen[400]).toBeGreaterThan(300);
    expect((await upload(file)).status).toBe(201);
  });
});

describe("metrics", () => {
  it("count requests by route, never by address", async () => {
    const id = await gateway.submit();
    await ask("GET", `/v1/jobs/${id}`);
    await ask("GET", "/nowhere/42");
    const { text } = await ask("GET", "/metrics");
    expect(text).toMatch(
      /volley_gateway_http_request_duration_seconds_count\{method="GET",route="\/v1\/jobs\/:id",status="200"\} 1/,
    );
    expect(text).toMatch(/volley_gateway_http_requests_in_flight 1\n/);
    expect(text).not.toMatch(/job-1|nowhere/);
  });
});

describe("every code of the catalogue", () => {
  it("has its status in an answer", async () => {
    for (const [code, { http }] of Object.entries(errorCatalogue)) {
      gateway.cluster.jobs = async () => {
        throw new VolleyError(code as keyof typeof errorCatalogue, "as it is");
      };
      const answer = await ask("GET", "/v1/jobs");
      expect([answer.status, answer.json()]).toEqual([http, { error: { code, message: "as it is" } }]);
    }
  });
});
