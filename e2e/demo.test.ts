/**
 * The demo as a user runs it, against an evaluation of the same graph in one thread: whatever the cluster did, the
 * digest is the same.
 */
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, expect, test } from "vitest";
import { sweepGraph } from "../client/cli/demo/plan.js";
import { loadCsv } from "../data/ingest/index.js";
import { evaluateSerially } from "../kernels/testing/serial.js";
import { putObjectId } from "../proto/address.js";
import { parseGraph } from "../proto/graph.js";
import { encodeValue } from "../proto/values/value.js";

const folder = mkdtempSync(join(tmpdir(), "volley-demo-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("volley demo --json: the digest of a serial evaluation, twice, the second time from the store", {
  timeout: 900_000,
}, async () => {
  const report = join(folder, "report.html");
  const cli = fileURLToPath(new URL("../client/cli/volley.js", import.meta.url));
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [cli, "demo", "--json", "--workers", "2", "--out", report],
    { timeout: 900_000 },
  );
  const lines = stdout.trimEnd().split("\n");
  expect(lines).toHaveLength(1);
  const summary = JSON.parse(lines[0] as string) as Record<string, unknown>;

  const { table } = await loadCsv(new URL("../data/sp500-2000.csv", import.meta.resolve("vega-datasets")));
  const prices = encodeValue(table);
  const id = putObjectId(prices.kind, prices.data);
  const serial = await evaluateSerially(parseGraph(sweepGraph(id)), new Map([[id, prices]]));

  expect(summary.digestSdk).toBe(serial.digest);
  // On every version of Node (`npm run engines -- --demo`); another one is a change of what kernels give, or of how
  // values are digested.
  expect(summary.digestSdk).toBe("af9b1f60bf4024e3f99a256d5dc054d8da21cbe285f2ead8120252effa09318f");
  expect(summary.digestGateway).toBe(serial.digest);
  expect(summary.combinations).toBeGreaterThanOrEqual(20_000);
  expect(summary).toMatchObject({ secondRunTasksExecuted: 0, secondRunTasksReused: summary.tasks, workers: 2, report });
  // Small results travel in packs, whose heads count as their bytes.
  const bytes = serial.stages.flat().reduce((sum, value) => sum + value.data.byteLength, 0);
  expect(Math.abs((summary.bytes as number) - bytes)).toBeLessThan(bytes / 1_000);
  expect(readFileSync(report, "utf8")).toContain("Both digests are the same");
});
