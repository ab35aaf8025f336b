/** Kernels that compute nothing: what tests, measurements and graphs need around those that do. */
import { RecordBatch, type Schema, Table } from "apache-arrow";
import { z } from "zod";
import { VolleyError } from "../proto/errors.js";
import { defineKernel, tableArg } from "./kernel.js";

const noop = defineKernel({
  name: "volley.noop",
  version: 1,
  causality: "tool",
  doc: "Takes up to three arguments, does nothing, returns undefined.",
  args: [
    ["a", z.unknown()],
    ["b", z.unknown()],
    ["c", z.unknown()],
  ],
  run: () => undefined,
});

const echo = defineKernel({
  name: "volley.echo",
  version: 1,
  causality: "tool",
  doc: "Returns its argument.",
  args: [["value", z.unknown()]],
  run: ({ value }) => value,
});

const sleep = defineKernel({
  name: "volley.sleep",
  version: 1,
  causality: "tool",
  doc: "Holds its slot for `ms` milliseconds, waiting or (busy) computing, and returns `value`. For tests of scheduling.",
  args: [
    ["ms", z.number().min(0).max(3_600_000)],
    ["busy", z.boolean().default(false)],
    ["value", z.unknown()],
  ],
  run: ({ ms, busy, value }) => {
    if (!busy) return new Promise((resolve) => setTimeout(() => resolve(value), ms));
    const end = performance.now() + ms;
    while (performance.now() < end);
    return value;
  },
});

const describe = (schema: Schema): string => schema.fields.map((field) => `${field.name}: ${field.type}`).join(", ");

const concat = defineKernel({
  name: "volley.concat",
  version: 1,
  causality: "tool",
  doc: "Joins a list of tables of one schema into one table, in order. Batches are kept, nothing is copied; empty batches are dropped.",
  args: [["tables", z.array(tableArg).min(1)]],
  run: ({ tables }) => {
    const first = tables[0] as Table;
    const batches: RecordBatch[] = [];
    tables.forEach((table, i) => {
      if (describe(table.schema) !== describe(first.schema)) {
        throw new VolleyError(
          "INVALID_ARGUMENT",
          `volley.concat: tables.${i} has columns (${describe(table.schema)}), the first table has (${describe(first.schema)})`,
        );
      }
      // One schema object for all, so that the stream carries it once whatever metadata the tables came with.
      for (const batch of table.batches) if (batch.numRows > 0) batches.push(new RecordBatch(first.schema, batch.data));
    });
    return new Table(first.schema, batches);
  },
});

export const basicKernels = [noop, echo, sleep, concat] as const;
