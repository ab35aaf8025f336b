/**
 * Reading Parquet: every file is taken as hostile, and decoded in a disposable thread with a heap cap and a deadline.
 */
import { fileURLToPath } from "node:url";
import { type Table, tableFromIPC } from "apache-arrow";
import { VolleyError } from "../../proto/errors.js";
import type { ColumnInfo } from "../ingest/ingested.js";
import { ThreadPool } from "../ingest/thread-pool.js";
import type { SourceSpec } from "./byte-source.js";
import type { ParquetDescription, ParquetLoaded, ParquetRequest } from "./decode-parquet.js";
import type { Predicate } from "./predicate.js";

export interface ParquetReadOptions {
  /** Columns to read, in this order; default: all. */
  readonly columns?: readonly string[];
  /** All must hold; row groups whose statistics exclude a match are not read. */
  readonly where?: readonly Predicate[];
  /** Numbers of the row groups to read; default: all. */
  readonly rowGroups?: readonly number[];
  /** Default 20,000,000. */
  readonly rowsMax?: number;
  /** Bytes of the table. Default: 2 GiB, what one object of a cluster may have. */
  readonly bytesMax?: number;
  /** For waiting and decoding together. Default 60,000. */
  readonly timeoutMs?: number;
  /** Hex SHA-256 that the bytes must have, if they are given and not a file. */
  readonly sha256?: string;
}

export interface ParquetTable {
  readonly table: Table;
  readonly rows: number;
  readonly columns: readonly ColumnInfo[];
  /** The same table as a canonical Arrow stream. */
  readonly data: Uint8Array;
  /**
   * Bytes of the file that were read: footers, and the chunks of the chosen columns in the row groups that may match.
   */
  readonly bytesRead: number;
}

export type ParquetSource = string | URL | Uint8Array;

const timeoutMsDefault = 60_000;
let shared: ThreadPool<ParquetRequest, ParquetDescription | ParquetLoaded> | undefined;

function run(request: ParquetRequest, timeoutMs = timeoutMsDefault): Promise<ParquetDescription | ParquetLoaded> {
  // V8 ends the whole process, not the thread, when an array grows past 2^27 elements: the heap must be full before (an
  // element takes 8 bytes).
  shared ??= new ThreadPool({
    threads: 2,
    heapMb: 512,
    reuseMax: 1_000,
    queueMax: 100_000,
    thread: new URL("./thread.js", import.meta.url),
  });
  return shared.run(request, timeoutMs);
}

const labelOf = (source: ParquetSource): string =>
  source instanceof Uint8Array ? "the Parquet bytes" : source instanceof URL ? fileURLToPath(source) : source;
const specOf = (source: ParquetSource): SourceSpec =>
  source instanceof Uint8Array ? { bytes: source } : { path: labelOf(source) };

function requestOf(what: ParquetRequest["what"], source: ParquetSource, options: ParquetReadOptions): ParquetRequest {
  const { timeoutMs: _, ...rest } = options;
  if (rest.sha256 !== undefined && !(source instanceof Uint8Array))
    throw new VolleyError(
      "INVALID_ARGUMENT",
      `sha256 is checked of bytes that are given, not of a file: ${labelOf(source)} is read only in part`,
    );
  return { what, source: specOf(source), label: labelOf(source), ...rest };
}

/**
 * Rows, columns and row groups of a Parquet file, from its footer. Throws INVALID_DATA (naming the file),
 * INVALID_ARGUMENT (a column that is not there, a predicate that does not fit, no such file), TIMEOUT.
 */
export async function describeParquet(
  source: ParquetSource,
  options: ParquetReadOptions = {},
): Promise<ParquetDescription> {
  return (await run(requestOf("describe", source, options), options.timeoutMs)) as ParquetDescription;
}

/**
 * A Parquet file, or its bytes, as a table. Flat columns: numbers, booleans, dates, timestamps (with zone: UTC), text
 * and bytes; decimals become float64. Throws INVALID_DATA (naming file, row group and column), INVALID_ARGUMENT,
 * TOO_LARGE, TIMEOUT.
 */
export async function readParquet(source: ParquetSource, options: ParquetReadOptions = {}): Promise<ParquetTable> {
  const { where, rowGroups } = options;
  let groups = rowGroups;
  let bytesRead = 0;
  if (!groups && where && where.length > 0) {
    const description = await describeParquet(source, options);
    bytesRead = description.bytesRead;
    groups = description.rowGroups.flatMap((group, number) => (group.mayMatch ? [number] : []));
  }
  const result = (await run(
    requestOf("load", source, { ...options, ...(groups ? { rowGroups: groups } : {}) }),
    options.timeoutMs,
  )) as ParquetLoaded;
  bytesRead += result.bytesRead;
  return { table: tableFromIPC(result.data), rows: result.rows, columns: result.columns, data: result.data, bytesRead };
}
