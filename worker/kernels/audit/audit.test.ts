/** Every rolling feature of the library passes the look-ahead check, in process: cut, run and compare at every bar. */
import { Table as ArrowTable, type Data, Field, makeData, RecordBatch, Schema, Struct, type Table } from "apache-arrow";
import { describe, expect, test } from "vitest";
import { dayVector, float64Vector } from "../columns.js";
import { features } from "../features/index.js";
import { firstDifference } from "./compare.js";
import { poisonAfter, truncateAt } from "./cut.js";
import { knownAt } from "./knowledge.js";

const bars = 60;
const wave = (phase: number): Float64Array =>
  Float64Array.from({ length: bars }, (_, i) => (i === 17 ? Number.NaN : 100 + 7 * Math.sin(i / 3 + phase) + i / 5));

/** Every column that some feature reads by its conventional name. */
function tableOf(): Table {
  const names = new Set(["close", ...features.flatMap(({ kernel }) => kernel.columns?.inputs.map((column) => column.name) ?? [])]);
  const offset = (name: string): number => (name === "high" ? 3 : name === "low" ? -3 : 0);
  const columns = [
    { name: "date", vector: dayVector(Int32Array.from({ length: bars }, (_, i) => 10_000 + i)) },
    ...[...names].map((name, i) => ({ name, vector: float64Vector(wave(["open", "high", "low"].includes(name) ? 0 : i).map((v) => v + offset(name))) })),
  ];
  const fields = columns.map(({ name, vector }) => new Field(name, vector.type, true));
  const children = columns.map(({ vector }) => vector.data[0] as Data);
  const schema = new Schema(fields);
  return new ArrowTable(schema, [new RecordBatch(schema, makeData({ type: new Struct(fields), length: bars, nullCount: 0, children }))]);
}

/** What a feature needs beside its defaults. */
function paramsOf(feature: (typeof features)[number]): Record<string, unknown> {
  const schema = feature.kernel.argSchema("params") as { required?: string[] };
  return Object.fromEntries((schema.required ?? []).map((name) => [name, name === "quantile" || name === "q" ? 0.3 : 5]));
}

describe("look-ahead", () => {
  const table = tableOf();
  const known = knownAt("test", table, "date");

  test.each(features.map((feature) => [feature.kernel.name, feature] as const))("%s does not change when the future does", (_name, feature) => {
    const params = paramsOf(feature);
    const run = (input: Table): Table => feature.kernel.run(input, params) as Table;
    const full = run(table);
    for (let rows = 1; rows < bars; rows++) {
      const at = known[rows - 1] as number;
      for (const part of [truncateAt(table, known, at), poisonAfter(table, known, at, "date")]) {
        expect(firstDifference(full, run(part), { at, rows }), `${rows} rows`).toBe(undefined);
      }
    }
  });
});
