/**
 * A cluster over HTTP, by programs that know nothing of Volley: curl, and pyarrow where VOLLEY_PEERS_PYTHON names a
 * Python that has it (python3 -m venv …, pip install pyarrow). Everything behind the gateway is real.
 */
import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { tableFromIPC } from "apache-arrow";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { LocalCluster } from "../cluster/local/local-cluster.js";
import { startTestCluster } from "../cluster/local/testing/test-cluster.js";
import { mutate, sampleStream, structureBytes } from "../data/ingest/testing/mutants.js";
import type { JobStatus } from "../proto/messages/status.js";

const run = promisify(execFile);
const python = process.env.VOLLEY_PEERS_PYTHON;
const arrowType = "application/vnd.apache.arrow.stream";
const prices = path.join(process.cwd(), "node_modules/vega-datasets/data/sp500-2000.csv");
const priceRows = readFileSync(prices, "utf8").trim().split("\n").length - 1;

let local: LocalCluster;
let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), "volley-gateway-"));
  local = await startTestCluster({ workers: 1, slots: 2, gateway: true });
});
afterAll(async () => {
  await local?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const file = (name: string): string => path.join(folder, name);

interface Answer {
  readonly status: number;
  readonly headers: string;
  readonly body: Buffer;
  readonly json: { error: { code: string; path?: string; message: string } } & Record<string, unknown>;
}
/** curl with these arguments; the body goes through a file, as bytes. */
async function curl(url: string, args: readonly string[] = [], token = true): Promise<Answer> {
  const out = file("body");
  const auth = token ? ["-H", `Authorization: Bearer ${local.token}`] : [];
  const { stdout } = await run("curl", [
    "-sS",
    "--max-time",
    "60",
    "-o",
    out,
    "-D",
    "-",
    ...auth,
    ...args,
    `${local.gatewayUrl}${url}`,
  ]);
  const statuses = [...stdout.matchAll(/^HTTP\/[\d.]+ (\d{3})/gm)];
  // An answer without a body (304) leaves no file.
  const body = existsSync(out) ? readFileSync(out) : Buffer.alloc(0);
  rmSync(out, { force: true });
  const text = body.toString("utf8");
  return {
    status: Number(statuses.at(-1)?.[1]),
    headers: stdout,
    body,
    json: text.startsWith("{") ? JSON.parse(text) : {},
  };
}
const post = (url: string, type: string, data: string, headers: readonly string[] = []) =>
  curl(url, [
    "-X",
    "POST",
    "-H",
    `Content-Type: ${type}`,
    ...headers.flatMap((header) => ["-H", header]),
    "--data-binary",
    data,
  ]);
const submit = async (graph: unknown, headers: readonly string[] = []): Promise<string> => {
  const answer = await post("/v1/jobs", "application/json", JSON.stringify(graph), headers);
  expect(answer.status, answer.body.toString()).toBe(202);
  return answer.json.job as string;
};
/** The events of a job, read by curl until the gateway closes the stream. */
async function events(job: string): Promise<{ event: string; status: JobStatus }[]> {
  const { body } = await curl(`/v1/jobs/${job}/events`, ["-N"]);
  return [...body.toString().matchAll(/^event: (.*)\ndata: (.*)$/gm)].map((match) => ({
    event: match[1] as string,
    status: JSON.parse(match[2] as string),
  }));
}
const echo = (arg: unknown, count?: number) => ({
  name: "echo",
  stages: [{ name: "echo", fn: { kernel: "volley.echo" }, count, args: [arg] }],
});

describe("what is wrong is said so", () => {
  test("no token, a malformed graph, an unknown job, an oversized body, a mutated Arrow upload", async () => {
    expect(await curl("/v1/jobs", [], false)).toMatchObject({
      status: 401,
      json: { error: { code: "UNAUTHENTICATED" } },
    });
    const malformed = await post(
      "/v1/jobs",
      "application/json",
      JSON.stringify({ stages: [{ name: "a", fn: { kernel: "volley.echo" }, args: [{ stage: "b", edge: "all" }] }] }),
    );
    expect(malformed).toMatchObject({
      status: 400,
      json: { error: { code: "INVALID_GRAPH", path: "stages.0.args.0.stage" } },
    });
    expect(await curl("/v1/jobs/none")).toMatchObject({ status: 404, json: { error: { code: "JOB_NOT_FOUND" } } });
    writeFileSync(file("large"), Buffer.alloc(80 * 1024 * 1024, "x"));
    for (const url of ["/v1/jobs", "/v1/objects"])
      expect(await post(url, "application/json", `@${file("large")}`)).toMatchObject({
        status: 413,
        json: { error: { code: "TOO_LARGE" } },
      });
    const stream = sampleStream();
    writeFileSync(file("mutant"), mutate(stream, structureBytes(stream), 3));
    expect(await post("/v1/objects", arrowType, `@${file("mutant")}`)).toMatchObject({
      status: 400,
      json: { error: { code: "INVALID_DATA" } },
    });
    expect((await curl("/healthz", [], false)).status).toBe(200);
    expect((await curl("/readyz", [], false)).status).toBe(200);
  });

  test("a kernel that does not exist, and a job that was cancelled", async () => {
    const unknown = await post(
      "/v1/jobs",
      "application/json",
      JSON.stringify({ stages: [{ name: "a", fn: { kernel: "volley.nothing" } }] }),
    );
    if (unknown.status === 202) {
      const [last] = (await events(unknown.json.job as string)).slice(-1);
      expect(last?.status).toMatchObject({ state: "failed", error: { code: "FUNCTION_NOT_FOUND" } });
      expect((await curl(`/v1/jobs/${unknown.json.job}/result`)).json.error.code).toBe("FUNCTION_NOT_FOUND");
    } else expect(unknown).toMatchObject({ status: 400, json: { error: { code: "FUNCTION_NOT_FOUND" } } });

    const job = await submit({
      name: "long",
      stages: [
        {
          name: "sleep",
          fn: { kernel: "volley.sleep" },
          args: [{ items: Array(20).fill(60_000) }, { value: false }, { index: true }],
        },
      ],
    });
    expect((await curl(`/v1/jobs/${job}/result`)).json.error.code).toBe("NOT_READY");
    expect((await curl(`/v1/jobs/${job}/explain?stage=sleep&task=19`)).json).toMatchObject({
      stage: 0,
      task: 19,
      reason: expect.any(String),
    });
    expect((await curl(`/v1/jobs/${job}`, ["-X", "DELETE"])).status).toBe(202);
    const [last] = (await events(job)).slice(-1);
    expect(last).toMatchObject({ event: "end", status: { state: "cancelled" } });
    expect((await curl(`/v1/jobs/${job}/result`)).json.error.code).toBe("CANCELLED");
  });
});

describe("a job from upload to result", () => {
  test("prices go in as CSV, through kernels, and come out as Arrow, JSON and CSV", async () => {
    const uploaded = await post("/v1/objects", "text/csv", `@${prices}`);
    expect(uploaded).toMatchObject({ status: 201, json: { rows: priceRows } });
    const object = uploaded.json.object as string;
    expect((await post("/v1/objects", "text/csv", `@${prices}`)).json.object).toBe(object);

    const job = await submit(echo({ object }, 3));
    const seen = await events(job);
    expect(seen.slice(0, -1).every(({ event }) => event === "progress")).toBe(true);
    expect(seen.at(-1)).toMatchObject({ event: "end", status: { state: "succeeded", tasks: 3, succeeded: 3 } });
    const digest = seen.at(-1)?.status.digest;

    const arrow = await curl(`/v1/jobs/${job}/result?stage=echo`, ["-H", `Accept: ${arrowType}`]);
    expect(arrow.headers).toContain(`x-volley-digest: ${digest}`);
    const table = tableFromIPC(arrow.body);
    expect([table.numRows, table.schema.fields.map((field) => field.name)]).toEqual([
      3 * priceRows,
      ["date", "open", "high", "low", "close", "adjclose", "volume"],
    ]);
    const closes = readFileSync(prices, "utf8")
      .trim()
      .split("\n")
      .slice(1)
      .map((line) => Number(line.split(",")[4]));
    expect(Array.from(table.getChild("close") ?? [])).toEqual([...closes, ...closes, ...closes]);

    const json = await curl(`/v1/jobs/${job}/result`, ["-H", "Accept: application/json"]);
    expect((json.json.rows as unknown[])[0]).toEqual({
      date: "2000-01-03",
      open: 1469.25,
      high: 1478,
      low: 1438.359985,
      close: 1455.219971,
      adjclose: 1455.219971,
      volume: 931800000,
    });
    const csv = (await curl(`/v1/jobs/${job}/result`, ["-H", "Accept: text/csv"])).body.toString().split("\r\n");
    expect([csv.length, csv[0], csv[1]]).toEqual([
      3 * priceRows + 2,
      "date,open,high,low,close,adjclose,volume",
      "2000-01-03,1469.25,1478,1438.359985,1455.219971,1455.219971,931800000",
    ]);
    const again = await curl(`/v1/jobs/${job}/result`, [
      "-H",
      "Accept: text/csv",
      "-H",
      `If-None-Match: "${digest}.0.csv"`,
    ]);
    expect(again.status).toBe(304);
  });

  test("a key makes a submission one job, and a pure graph is computed once", async () => {
    const graph = echo({ items: ["a", { b: [1, 2.5, null] }, 3] });
    const first = await submit(graph, ["Idempotency-Key: e2e-1"]);
    await events(first);
    expect(await submit(graph, ["Idempotency-Key: e2e-1"])).toBe(first);
    expect(
      await post("/v1/jobs", "application/json", JSON.stringify(echo({ items: [1] })), ["Idempotency-Key: e2e-1"]),
    ).toMatchObject({
      status: 409,
      json: { error: { code: "CONFLICT" } },
    });
    const second = await submit(graph);
    expect(second).not.toBe(first);
    const end = (await events(second)).at(-1)?.status;
    expect(end).toMatchObject({ state: "succeeded", executed: 0, reused: 3 });
    expect((await curl(`/v1/jobs/${second}/result`)).json.values).toEqual(["a", { b: [1, 2.5, null] }, 3]);
    expect(((await curl("/v1/jobs")).json.jobs as JobStatus[]).map((status) => status.job)).toEqual(
      expect.arrayContaining([first, second]),
    );
    expect((await curl("/v1/workers")).json.workers).toMatchObject([
      { volley: expect.any(String), engine: { v8: process.versions.v8 } },
    ]);
    expect((await curl("/metrics")).body.toString()).toContain("volley_gateway_http_request_duration_seconds_bucket");
  });
});

test.skipIf(!python)(
  "pyarrow reads what the gateway gives, and what pyarrow writes comes back as it was (skipped without VOLLEY_PEERS_PYTHON)",
  async () => {
    const write = [
      "import pyarrow as pa, datetime as dt, sys",
      "n = 500; idx = range(n)",
      "t = pa.table({'b': [None if i % 7 == 0 else i % 2 == 0 for i in idx], 'i': pa.array([None if i % 3 == 0 else i for i in idx], pa.int32()), 'l': pa.array(idx, pa.int64()),",
      "  'f': [i / 7 for i in idx], 's': [None if i % 5 == 0 else 'ü %d' % i for i in idx], 'ls': pa.array(['L%d' % i for i in idx], pa.large_string()),",
      "  'd': [dt.date(2020, 1, 1) + dt.timedelta(days=i) for i in idx], 't': pa.array([dt.datetime(2020, 1, 1, 0, 0, i % 60, i) for i in idx], pa.timestamp('us', 'UTC')),",
      "  'c': pa.array([['x', 'y', None][i % 3] for i in idx]).dictionary_encode(), 'n': pa.nulls(n)})",
      "with pa.OSFile(sys.argv[1], 'wb') as f, pa.ipc.new_stream(f, t.schema) as w: w.write_table(t, max_chunksize=77)",
    ].join("\n");
    const compare = [
      "import pyarrow as pa, sys",
      "a, b = (pa.ipc.open_stream(open(p, 'rb')).read_all() for p in sys.argv[1:3]); b.validate(full=True)",
      "assert b.num_rows == 2 * a.num_rows, b.num_rows",
      "for name in a.column_names: assert a[name].to_pylist() * 2 == b[name].to_pylist(), name",
      "print('equal', a.num_rows, a.num_columns)",
    ].join("\n");
    await run(python as string, ["-c", write, file("sent.arrow")]);
    const uploaded = await post("/v1/objects", arrowType, `@${file("sent.arrow")}`);
    expect(uploaded, uploaded.body.toString()).toMatchObject({ status: 201, json: { rows: 500 } });
    const job = await submit(echo({ object: uploaded.json.object }, 2));
    await events(job);
    writeFileSync(file("got.arrow"), (await curl(`/v1/jobs/${job}/result`, ["-H", `Accept: ${arrowType}`])).body);
    expect((await run(python as string, ["-c", compare, file("sent.arrow"), file("got.arrow")])).stdout).toBe(
      "equal 500 10\n",
    );
  },
);
