/** Bytes from outside, validated and decoded in a disposable thread, as canonical Arrow. */
import { readFile } from "node:fs/promises";
import { type Table, tableFromIPC } from "apache-arrow";
import { IngestPool } from "./ingest-pool.js";
import type { Ingested, IngestOptions } from "./ingested.js";

export { IngestPool, type IngestPoolOptions } from "./ingest-pool.js";
export type { ColumnInfo, Ingested, IngestFormat, IngestOptions, TextType } from "./ingested.js";

let shared: IngestPool | undefined;

/**
 * Validates and decodes bytes in the process's shared pool of threads; idle threads do not keep the process alive.
 * Throws INVALID_DATA (with line and column for CSV, path for JSON), TOO_LARGE, CORRUPT (sha256 differs), TIMEOUT,
 * RATE_LIMITED (queue full).
 */
export function ingest(bytes: Uint8Array, options: IngestOptions): Promise<Ingested> {
  shared ??= new IngestPool();
  return shared.ingest(bytes, options);
}

export interface LoadedTable extends Ingested {
  readonly table: Table;
}

/**
 * A CSV file, or its bytes, as a table. The header row names the columns; types follow from all values of a column:
 * number → float64 (int64 only if a whole number is beyond 2^53), ISO date → date32, ISO time → timestamp, true/false →
 * bool, text → dictionary or utf8; an empty field is null. `data` is the same table as a canonical Arrow stream.
 */
export async function loadCsv(
  source: string | URL | Uint8Array,
  options: Omit<IngestOptions, "format"> = {},
): Promise<LoadedTable> {
  const bytes = source instanceof Uint8Array ? source : await readFile(source);
  const result = await ingest(bytes, { ...options, format: "csv" });
  return { ...result, table: tableFromIPC(result.data) };
}
