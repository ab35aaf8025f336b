import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { Dictionary, Int32, makeData, makeVector, Table, tableToIPC, Utf8, Vector } from "apache-arrow";
import { afterEach, describe, expect, it } from "vitest";
import { patienceMs } from "../../proto/testing/patience.js";
import { IngestPool, type IngestPoolOptions } from "./ingest-pool.js";
import { sampleStream } from "./testing/mutants.js";

const pools: IngestPool[] = [];
const open = (options: IngestPoolOptions = {}): IngestPool => {
  const pool = new IngestPool(options);
  pools.push(pool);
  return pool;
};
afterEach(async () => {
  await Promise.all(pools.splice(0).map((pool) => pool.close()));
});

/** A thread that does what the first byte of the request says, as a decoder with a fault might. */
const misbehaving = pathToFileURL(path.join(mkdtempSync(path.join(tmpdir(), "volley-ingest-")), "thread.mjs"));
writeFileSync(
  misbehaving,
  `export const answer = ({ bytes }) => {
     switch (String.fromCharCode(bytes[0])) {
       case "l": for (;;);
       case "h": { const kept = []; for (;;) kept.push({ a: [kept.length, String(kept.length)] }); }
       case "e": process.exit(3);
       case "t": setTimeout(() => { throw new Error("a fault of the decoder"); }); return new Promise(() => {});
       case "b": throw new RangeError("surprise");
       default: return { t: "done", result: { data: bytes, rows: bytes.length, columns: [] } };
     }
   };`,
);

const csv = (text: string) => Buffer.from(text);

describe("a thread that misbehaves is ended, and the next request has a fresh one", () => {
  it.each([
    ["loops for ever", "l", "TIMEOUT", /not decoded within 1500 ms/],
    ["exhausts its heap", "h", "INVALID_DATA", /more than 24 MiB of heap/],
    ["exits", "e", "INVALID_DATA", /ended its thread/],
    ["throws outside of its answer", "t", "INVALID_DATA", /a fault of the decoder/],
    ["breaks in a way it did not foresee", "b", "INVALID_DATA", /surprise/],
  ])("%s", async (_, what, code, message) => {
    const pool = open({ thread: misbehaving, heapMb: 24, threads: 1 });
    await expect(
      pool.ingest(csv(what), { format: "csv", timeoutMs: what === "l" ? 1_500 : patienceMs }),
    ).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message),
    });
    await expect(pool.ingest(csv("ok"), { format: "csv" })).resolves.toMatchObject({ rows: 2 });
    expect(pool.threadsStarted).toBe(2);
  });
});

describe("a dictionary of more words than a thread can hold", () => {
  const words = 700_000;
  const text = Array.from({ length: words }, (_, i) => i.toString(36));
  function stream(): Uint8Array {
    const offsets = new Int32Array(words + 1);
    for (let i = 0; i < words; i++) offsets[i + 1] = (offsets[i] as number) + (text[i] as string).length;
    const dictionary = makeVector(
      makeData({
        type: new Utf8(),
        length: words,
        nullCount: 0,
        data: Buffer.from(text.join("")),
        valueOffsets: offsets,
      }),
    );
    const type = new Dictionary(new Utf8(), new Int32(), 0);
    const data = makeData({
      type,
      length: words,
      nullCount: 0,
      data: Int32Array.from({ length: words }, (_, i) => i),
      dictionary,
    });
    return tableToIPC(new Table({ a: new Vector([data]) }), "stream");
  }

  // Such Maps once ended the process, which no heap cap of a thread prevents.
  it.each([
    ["Arrow", stream, { format: "arrow" }],
    ["CSV", () => csv(`a\n${text.join("\n")}\n`), { format: "csv", types: { a: "dictionary" } }],
  ] as const)("is refused with the way out: %s", async (_, make, options) => {
    const pool = open({ threads: 1 });
    await expect(pool.ingest(make(), options)).rejects.toMatchObject({
      code: "TOO_LARGE",
      message: expect.stringMatching(/more than 524288 .*plain text/),
    });
    await expect(pool.ingest(csv("a\n1\n"), { format: "csv" })).resolves.toMatchObject({ rows: 1 });
    expect(pool.threadsStarted).toBe(1);
  });
});

describe("the pool", () => {
  it("uses a thread again after a refusal, and gives the same bytes from a used thread as from a fresh one", async () => {
    const pool = open({ threads: 1 });
    const stream = sampleStream();
    const first = await pool.ingest(stream, { format: "arrow" });
    await expect(pool.ingest(stream.slice(0, 100), { format: "arrow" })).rejects.toMatchObject({
      code: "INVALID_DATA",
    });
    const again = await pool.ingest(stream, { format: "arrow" });
    expect(again.data).toEqual(first.data);
    expect(pool.threadsStarted).toBe(1);
    expect(stream.byteLength).toBeGreaterThan(0);
  });

  it("replaces a thread after reuseMax requests", async () => {
    const pool = open({ thread: misbehaving, threads: 1, reuseMax: 2 });
    for (let i = 0; i < 5; i++) await pool.ingest(csv("ok"), { format: "csv" });
    expect(pool.threadsStarted).toBe(3);
  });

  it("refuses past its queue, lets what waits expire, and fails what it holds when closed", async () => {
    const pool = open({ thread: misbehaving, threads: 1, queueMax: 2 });
    const busy = pool.ingest(csv("l"), { format: "csv", timeoutMs: patienceMs });
    const waiting = pool.ingest(csv("ok"), { format: "csv", timeoutMs: 50 });
    const alsoWaiting = pool.ingest(csv("ok"), { format: "csv", timeoutMs: patienceMs });
    await expect(pool.ingest(csv("ok"), { format: "csv" })).rejects.toMatchObject({ code: "RATE_LIMITED" });
    await expect(waiting).rejects.toMatchObject({ code: "TIMEOUT" });
    const outcomes = Promise.allSettled([busy, alsoWaiting]);
    await pool.close();
    expect((await outcomes).map((o) => o.status === "rejected" && o.reason.code)).toEqual(["CLOSED", "CLOSED"]);
    await expect(pool.ingest(csv("ok"), { format: "csv" })).rejects.toMatchObject({ code: "CLOSED" });
  });
});
