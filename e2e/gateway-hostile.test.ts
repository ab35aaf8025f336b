/**
 * The gateway as a process of a real cluster, fed what nobody should send: 10,000 mutated Arrow streams, and bombs that
 * unpack into far more than they are. Every one must be answered (201 if the change is only another value, else 400 or
 * 413), the process must be the same one afterwards with about the memory it had, and the cluster must still do work.
 */
import { readFileSync } from "node:fs";
import { Field, makeData, Null, RecordBatch, Schema, Struct, Table, tableFromIPC, tableToIPC } from "apache-arrow";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { LocalCluster } from "../cluster/local/local-cluster.js";
import { startTestCluster } from "../cluster/local/testing/test-cluster.js";
import { mutate, sampleStream, sampleTable, structureBytes } from "../data/ingest/testing/mutants.js";

const mutations = 10_000;
const clients = 4;
const arrowType = "application/vnd.apache.arrow.stream";
/**
 * What the process may have grown by in the end: code that got compiled, two threads, buffers that V8 has not given
 * back.
 */
const growthMibMax = 400;

let local: LocalCluster;
beforeAll(async () => {
  local = await startTestCluster({ workers: 1, slots: 1, gateway: true });
});
afterAll(() => local?.stop());

interface Answer {
  readonly status: number;
  readonly rows: number | undefined;
  readonly object: string | undefined;
  readonly code: string | undefined;
}
async function upload(type: string, body: Uint8Array): Promise<Answer> {
  for (;;) {
    const response = await fetch(`${local.gatewayUrl}/v1/objects`, {
      method: "POST",
      headers: { authorization: `Bearer ${local.token}`, "content-type": type },
      body: Buffer.from(body),
    });
    const json = (await response.json()) as { rows?: number; object?: string; error?: { code: string } };
    // A bound that did its work: the sender waits as it was told.
    if (response.status !== 429)
      return { status: response.status, rows: json.rows, object: json.object, code: json.error?.code };
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const gatewayPid = (): number => local.processes.find(({ role }) => role === "gateway")?.pid ?? 0;
const residentMib = (): number =>
  Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${gatewayPid()}/status`, "utf8"))?.[1]) / 1024;

test("10,000 mutated Arrow streams are each answered, and nothing grows", { timeout: 900_000 }, async () => {
  const streams = [
    sampleStream(30, 2),
    sampleStream(1, 1),
    tableToIPC(sampleTable(200, 1), "stream"),
    sampleStream(8, 5),
  ].map((stream) => ({
    stream,
    structure: structureBytes(stream),
    rows: tableFromIPC(stream).numRows,
  }));
  const pid = gatewayPid();
  for (const { stream, rows } of streams) expect(await upload(arrowType, stream)).toMatchObject({ status: 201, rows });
  const before = residentMib();
  const counts: Record<string, number> = {};
  let next = 1;
  const client = async (): Promise<void> => {
    for (let seed = next++; seed <= mutations; seed = next++) {
      const { stream, structure, rows } = streams[seed % streams.length] as (typeof streams)[number];
      const answer = await upload(arrowType, mutate(stream, structure, seed));
      if (answer.status === 201) expect(answer.rows, `seed ${seed}`).toBe(rows);
      else expect([answer.status, answer.code], `seed ${seed}`).toEqual([400, "INVALID_DATA"]);
      counts[answer.status] = (counts[answer.status] ?? 0) + 1;
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  expect((counts[201] ?? 0) + (counts[400] ?? 0)).toBe(mutations);
  expect(counts[400]).toBeGreaterThan(mutations / 2);
  expect(gatewayPid()).toBe(pid);
  expect(residentMib() - before).toBeLessThan(growthMibMax);
});

/** A stream of a few hundred bytes that says it has two thousand million rows of nothing. */
function rowsOfNothing(): Uint8Array {
  const fields = [new Field("nothing", new Null(), true)];
  const schema = new Schema(fields);
  const length = 2_000_000_000;
  const batch = new RecordBatch(
    schema,
    makeData({ type: new Struct(fields), length, nullCount: 0, children: [makeData({ type: new Null(), length })] }),
  );
  return tableToIPC(new Table(schema, [batch]), "stream");
}

test("bombs end in their thread, and the cluster still works", { timeout: 900_000 }, async () => {
  const pid = gatewayPid();
  const json = "application/json";
  const bombs: [string, Uint8Array, number, string][] = [
    [arrowType, rowsOfNothing(), 413, "TOO_LARGE"],
    // 50 MB of text that would become 20 million arrays and objects.
    [json, Buffer.from(`[${"[{}],".repeat(10_000_000)}{}]`), 400, "INVALID_DATA"],
    [json, Buffer.from(`[${'{"a":1},'.repeat(7_000_000)}{"b":{}}]`), 400, "INVALID_DATA"],
    // Each row has another key: rows times columns cells.
    [
      json,
      Buffer.from(`[${Array.from({ length: 4_000 }, (_, i) => `{"k${i}":1}`).join(",")}${",{}".repeat(1_000_000)}]`),
      413,
      "TOO_LARGE",
    ],
    [json, Buffer.from("[".repeat(5_000_000)), 400, "INVALID_DATA"],
    ["text/csv", Buffer.from(`a\n"${"x".repeat(40_000_000)}`), 400, "INVALID_DATA"],
    ["text/csv", Buffer.from(`${Array.from({ length: 100_000 }, (_, i) => `c${i}`).join(",")}\n`), 413, "TOO_LARGE"],
    [arrowType, Buffer.alloc(70 * 1024 * 1024), 413, "TOO_LARGE"],
  ];
  for (const [type, body, status, code] of bombs) {
    const answer = await upload(type, body);
    expect(answer, `${type} of ${body.byteLength} bytes`).toMatchObject({ status, code });
  }
  expect(gatewayPid()).toBe(pid);
  expect((await fetch(`${local.gatewayUrl}/readyz`)).status).toBe(200);
  const sound = await upload(arrowType, sampleStream(30, 2));
  expect(sound).toMatchObject({ status: 201, rows: 60 });
  const back = await fetch(`${local.gatewayUrl}/v1/objects/${sound.object}`, {
    headers: { authorization: `Bearer ${local.token}`, accept: arrowType },
  });
  expect(tableFromIPC(new Uint8Array(await back.arrayBuffer())).numRows).toBe(60);
});
