/** `volley audit` and Parquet results on a real cluster, as a person would use them. */
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { DateDay, Table, vectorFromArray } from "apache-arrow";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { LocalCluster } from "../../cluster/local/local-cluster.js";
import { startTestCluster } from "../../cluster/local/testing/test-cluster.js";
import { readParquet, writeParquet } from "../../data/lake/index.js";

const volley = fileURLToPath(new URL("./volley.js", import.meta.url));
let local: LocalCluster;
let root: string;

const bars = (from: number, to: number): Table =>
  new Table({
    date: vectorFromArray(
      Array.from({ length: to - from }, (_, i) => new Date(Date.UTC(2024, 0, 1 + from + i))),
      new DateDay(),
    ),
    close: vectorFromArray(Float64Array.from({ length: to - from }, (_, i) => 100 + Math.sin(from + i))),
  });

beforeAll(async () => {
  local = await startTestCluster({ workers: 1, slots: 2, gateway: true });
  root = mkdtempSync(path.join(tmpdir(), "volley-cli-audit-"));
  // One lake of two files, and the same rows as CSV.
  await writeParquet(path.join(root, "prices/2024-01.parquet"), bars(0, 31));
  await writeParquet(path.join(root, "prices/2024-02.parquet"), bars(31, 60));
  const rows = bars(0, 60).toArray() as { date: number; close: number }[];
  writeFileSync(
    path.join(root, "prices.csv"),
    `date,close\n${rows.map(({ date, close }) => `${new Date(date).toISOString().slice(0, 10)},${close}`).join("\n")}\n`,
  );
  writeFileSync(
    path.join(root, "functions.mjs"),
    `import { Table, vectorFromArray } from "apache-arrow";
     const over = (table, make) => new Table({ out: vectorFromArray(Float64Array.from(make([...table.getChild("close")]))) });
     export const gain = (table) => over(table, (close) => close.map((price, i) => price - (close[i - 1] ?? price)));
     export const centred = (table) => over(table, (close) => close.map((price) => price - close.reduce((a, b) => a + b, 0) / close.length));`,
  );
});
afterAll(async () => {
  await local?.stop();
  rmSync(root, { recursive: true, force: true });
});

function run(args: readonly string[], input = ""): Promise<{ code: number | null; stdout: string; stderr: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [volley, ...args], {
      cwd: root,
      env: { ...process.env, VOLLEY_URL: local.url, NO_COLOR: "1" },
    });
    const said = { stdout: "", stderr: "" };
    child.stdout.on("data", (part) => {
      said.stdout += part;
    });
    child.stderr.on("data", (part) => {
      said.stderr += part;
    });
    child.once("error", reject);
    child.once("close", (code) => resolve({ code, ...said }));
    child.stdin.end(input);
  });
}

describe("volley audit", () => {
  test.each([
    [
      "a kernel by its short name, over a lake of Parquet",
      ["rsi", "--data", "prices/*.parquet:date", "--params", '{"window":5,"columns":["close"]}'],
    ],
    ["a function, over CSV", ["functions.mjs#gain", "--data", "prices.csv:date"]],
  ])("passes %s", async (_, args) => {
    const { code, stdout } = await run(["audit", ...args, "--cuts", "9"]);
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: expect.stringMatching(/^no look-ahead found at 9 of 59 cuts.*\n$/),
    });
  });

  test("finds a function that looks ahead: exit status 1, the first column, row and date, and one line of JSON", async () => {
    const args = ["audit", "functions.mjs#centred", "--data", "prices/*.parquet:date", "--cuts", "9"];
    const plain = await run(args);
    expect({ code: plain.code, stdout: plain.stdout }).toEqual({ code: 1, stdout: "" });
    expect(plain.stderr).toMatch(
      /volley: LOOK_AHEAD: looks ahead: column out, row 0 changes when what was known after 2024-01-01 is taken away: \S+ with the future, \S+ without/,
    );
    const json = await run([...args, "--json"]);
    expect(json.code).toBe(1);
    expect(json.stdout.split("\n")).toHaveLength(2);
    expect(JSON.parse(json.stdout)).toMatchObject({
      ok: false,
      finding: { column: "out", row: 0, cut: Date.UTC(2024, 0, 1) },
    });
  });

  test("says what is wrong with a parameter", async () => {
    const { code, stderr } = await run(["audit", "rsi", "--data", "prices.csv:date", "--params", '{"window":0}']);
    expect(code).toBe(2);
    expect(stderr).toMatch(/feature\.rsi: params\.window is 0/);
  });
});

test("results as Parquet into a file; what is no table is refused and leaves no file", async () => {
  const graph = (kernel: string, args: object[]) => JSON.stringify({ stages: [{ name: "all", fn: { kernel }, args }] });
  const upload = await fetch(`${local.gatewayUrl}/v1/objects`, {
    method: "POST",
    headers: { authorization: `Bearer ${local.token}`, "content-type": "application/vnd.apache.parquet" },
    body: new Uint8Array(readFileSync(path.join(root, "prices/2024-01.parquet"))),
  });
  const { object } = (await upload.json()) as { object: string };
  const job = (
    await run(["submit", "-"], graph("feature.sma", [{ object }, { value: { window: 3, keep: ["date"] } }]))
  ).stdout.trim();
  await run(["job", job, "--watch"]);
  expect(await run(["job", job, "--result", "--format", "parquet", "-o", "sma.parquet"])).toMatchObject({ code: 0 });
  const { table } = await readParquet(path.join(root, "sma.parquet"));
  expect([table.numRows, ...table.schema.fields.map(String)]).toEqual([31, "date: Date32<DAY>", "close: Float64"]);
  expect(table.getChild("close")?.get(2)).toBeCloseTo((300 + Math.sin(0) + Math.sin(1) + Math.sin(2)) / 3, 12);
  const other = (await run(["submit", "-", "--wait", "--json"], graph("volley.echo", [{ value: 1 }]))).stdout;
  const refused = await run([
    "job",
    (JSON.parse(other) as { job: string }).job,
    "--result",
    "--format",
    "parquet",
    "-o",
    "one.parquet",
  ]);
  expect([refused.code, refused.stderr]).toEqual([
    1,
    expect.stringMatching(/not a table, so it cannot be given as Parquet/),
  ]);
});
