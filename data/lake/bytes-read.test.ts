/**
 * What projection and pruning save: the bytes that are read are counted, and held against the footer as another reader
 * sees it.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { Table, vectorFromArray } from "apache-arrow";
import { parquetMetadata } from "hyparquet";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { describeParquet, encodeParquet, openLake, type ParquetReadOptions, readParquet } from "./index.js";

const rows = 10_000;
const perGroup = 1_000;
const names = ["id", "a", "b", "c", "d", "e", "f", "g"];
/** Noise, so that no column is smaller than another for being alike. */
const noise = (column: number): Float64Array =>
  Float64Array.from({ length: rows }, (_, i) => Math.sin(i * 12.9898 + column * 78.233) * 43_758.5453);
const table = new Table(
  Object.fromEntries(
    names.map((name, c) => [
      name,
      vectorFromArray(c === 0 ? Float64Array.from({ length: rows }, (_, i) => i) : noise(c)),
    ]),
  ),
);
const bytes = encodeParquet(table, { rowGroupRows: perGroup });

interface Range {
  readonly from: number;
  readonly bytes: number;
}
const footer = parquetMetadata(bytes.slice().buffer);
/** Magic word, length and magic word, and the footer with these last two once more. */
const footerBytes = 4 + 8 + (8 + footer.metadata_length);
function rangeOf(group: number, name: string): Range {
  const meta = footer.row_groups[group]?.columns.find(
    (column) => column.meta_data?.path_in_schema[0] === name,
  )?.meta_data;
  if (!meta) throw new Error(`no column ${name}`);
  return {
    from: Number(meta.dictionary_page_offset ?? meta.data_page_offset),
    bytes: Number(meta.total_compressed_size),
  };
}
const chunks = (groups: readonly number[], columns: readonly string[]): Range[] =>
  groups.flatMap((group) => columns.map((name) => rangeOf(group, name)));
const sum = (ranges: readonly Range[]): number => ranges.reduce((total, range) => total + range.bytes, 0);

let folder: string;
let file: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "volley-bytes-"));
  file = path.join(folder, "noise.parquet");
  await writeFile(file, bytes);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const all = Array.from({ length: rows / perGroup }, (_, g) => g);
const lastTwo: ParquetReadOptions = { where: [["id", ">=", 8_000]] };

describe("bytes read", () => {
  it("to describe a file: its footer", async () => {
    expect((await describeParquet(file, lastTwo)).bytesRead).toBe(footerBytes);
    expect(footerBytes).toBeLessThan(bytes.byteLength / 10);
  });

  it.each([
    ["everything", {}, () => footerBytes + sum(chunks(all, names))],
    ["two columns of eight", { columns: ["f", "b"] }, () => footerBytes + sum(chunks(all, ["b", "f"]))],
    ["one row group", { rowGroups: [3] }, () => footerBytes + sum(chunks([3], names))],
    ["the row groups that may match", lastTwo, () => 2 * footerBytes + sum(chunks([8, 9], names))],
    [
      "one column of them, and the one the predicate needs",
      { ...lastTwo, columns: ["g"] },
      () => 2 * footerBytes + sum(chunks([8, 9], ["id", "g"])),
    ],
    ["no row group, as none matches", { where: [["id", "<", 0]], columns: ["g"] }, () => 2 * footerBytes],
  ] as const)("for %s", async (_, options, expected) => {
    for (const source of [file, bytes]) expect((await readParquet(source, options)).bytesRead).toBe(expected());
  });
});

describe("what is not read may be anything", () => {
  /** The file with noise wherever `kept` does not say it is needed. */
  async function ruinedBut(kept: readonly Range[]): Promise<string> {
    const ruined = bytes.slice();
    const needed = new Uint8Array(bytes.length);
    for (const { from, bytes: length } of kept) needed.fill(1, from, from + length);
    for (const { from, bytes: length } of chunks(all, names))
      for (let at = from; at < from + length; at++) if (!needed[at]) ruined[at] = (at * 151) & 255;
    const name = path.join(folder, "ruined.parquet");
    await writeFile(name, ruined);
    return name;
  }

  it("other columns, and row groups that statistics exclude", async () => {
    const ruined = await ruinedBut(chunks([8, 9], ["id", "g"]));
    const options = { ...lastTwo, columns: ["g"] };
    expect((await readParquet(ruined, options)).data).toEqual((await readParquet(file, options)).data);
    const lake = await openLake(ruined, options);
    expect([...((await lake.table()).getChild("g") ?? [])]).toEqual([...noise(7).subarray(8_000)]);
    for (const wrong of [
      { columns: ["a"] },
      { columns: ["g"] },
      { columns: ["g"], where: [["id", ">=", 7_999]] } as const,
    ])
      await expect(readParquet(ruined, wrong)).rejects.toMatchObject({ code: "INVALID_DATA" });
  });
});
