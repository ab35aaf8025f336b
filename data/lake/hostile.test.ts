/** Truncated and damaged files: each ends in a table or a coded error, soon, and never takes the process with it. */
import { readFile } from "node:fs/promises";
import { tableToIPC } from "apache-arrow";
import { describe, expect, it } from "vitest";
import { isVolleyError } from "../../proto/errors.js";
import { patienceMs } from "../../proto/testing/patience.js";
import { randomOf, sampleTable } from "../ingest/testing/mutants.js";
import { encodeParquet, readParquet } from "./index.js";

const codes = new Set(["INVALID_DATA", "TOO_LARGE", "TIMEOUT"]);

async function outcome(bytes: Uint8Array): Promise<string> {
  try {
    const { rows, columns } = await readParquet(bytes, { timeoutMs: patienceMs, rowsMax: 100_000 });
    return `read ${rows} x ${columns.length}`;
  } catch (error) {
    if (!isVolleyError(error)) throw error;
    expect(codes, `${error.code}: ${error.message}`).toContain(error.code);
    expect(error.message).toMatch(/the Parquet bytes|bytes (could|need)|decod/);
    return error.code;
  }
}

const ours = encodeParquet(sampleTable(60, 3), { rowGroupRows: 70 });
const theirs = new Uint8Array(
  await readFile(new URL("../../../data/lake/fixtures/pyarrow-v2-zstd.parquet", import.meta.url)),
);
const snappy = new Uint8Array(
  await readFile(new URL("../../../data/lake/fixtures/pyarrow-snappy.parquet", import.meta.url)),
);

describe.each([
  ["ours", ours],
  ["pyarrow, snappy", snappy],
  ["pyarrow, zstd, checksums", theirs],
])("%s", (name, file) => {
  it("is refused when it is cut off anywhere", async () => {
    const cuts = [
      0,
      1,
      3,
      4,
      7,
      8,
      11,
      12,
      ...Array.from({ length: 120 }, (_, i) => Math.floor(((i + 1) * (file.length - 1)) / 120)),
    ];
    for (const cut of cuts) expect(await outcome(file.slice(0, cut)), `cut at ${cut}`).toBe("INVALID_DATA");
  });

  it("ends in a table or a coded error for 1,500 mutants", async () => {
    const seen = new Map<string, number>();
    const footer = new DataView(file.buffer, file.byteOffset).getUint32(file.length - 8, true) + 8;
    for (let seed = 0; seed < 1_500; seed++) {
      const random = randomOf(seed * 7 + name.length);
      const mutation = file.slice();
      for (let change = 1 + random(3); change > 0; change--) {
        // Half of the changes hit the footer, where a change is about structure.
        const at = random(2) === 0 ? file.length - 1 - random(footer) : random(file.length);
        mutation[at] =
          random(3) === 0 ? ([0, 255, 127, 128][random(4)] as number) : (mutation[at] as number) ^ (1 << random(8));
      }
      const result = (await outcome(mutation)).replace(/ .*/, "");
      seen.set(result, (seen.get(result) ?? 0) + 1);
    }
    expect([...seen.values()].reduce((sum, count) => sum + count, 0)).toBe(1_500);
    expect(seen.get("INVALID_DATA")).toBeGreaterThan(500);
  });
});

it("a damaged page is named by row group and column", async () => {
  const damaged = theirs.slice();
  // Inside the first page of the first column, behind its header.
  damaged[60] = (damaged[60] as number) ^ 0xff;
  await expect(readParquet(damaged)).rejects.toMatchObject({
    code: "INVALID_DATA",
    message: expect.stringMatching(/row group 0, column "bool" cannot be read/),
    details: { rowGroup: 0, column: "bool" },
  });
});

it("other files are said to be no Parquet files", async () => {
  for (const bytes of [
    Buffer.from("date,close\n2004-01-01,5\n"),
    tableToIPC(sampleTable(5, 1), "file"),
    Buffer.alloc(100),
  ])
    await expect(readParquet(Uint8Array.from(bytes))).rejects.toMatchObject({
      code: "INVALID_DATA",
      message: expect.stringMatching(/does not begin with PAR1/),
    });
  await expect(readParquet("no-such.parquet")).rejects.toMatchObject({
    code: "INVALID_ARGUMENT",
    message: expect.stringMatching(/no-such\.parquet cannot be opened/),
  });
});
