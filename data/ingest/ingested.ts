/**
 * What goes into and comes out of ingest. Every column is flat; the result is canonical: one record batch, no metadata,
 * dictionaries in order of first use, zeroes under nulls. So the same rows have the same bytes, and the same content
 * address, however they were sent.
 */
import { VolleyError } from "../../proto/errors.js";

export type IngestFormat = "arrow" | "csv" | "json";

/**
 * Types that a column of text (CSV, JSON) may be given. `timestamp` is in microseconds; text with a zone is kept as
 * UTC.
 */
export const textTypes = [
  "float64",
  "float32",
  "int32",
  "int64",
  "bool",
  "date",
  "timestamp",
  "timestamp-ns",
  "string",
  "dictionary",
] as const;
export type TextType = (typeof textTypes)[number];

export interface IngestOptions {
  readonly format: IngestFormat;
  /** Wall-clock bound for waiting and decoding together. Default 30,000. */
  readonly timeoutMs?: number;
  /** Default 20,000,000. */
  readonly rowsMax?: number;
  /** CSV and JSON: types of columns by name, instead of what their values look like. */
  readonly types?: Readonly<Record<string, TextType>>;
  /** CSV: one character. Default ",". */
  readonly delimiter?: string;
  /** CSV: fields that mean "no value". Default: only the empty field. */
  readonly nullValues?: readonly string[];
  /**
   * Hex SHA-256 that the bytes must have. Arrow has no checksum of its own: without this a flipped bit inside a value
   * cannot be seen.
   */
  readonly sha256?: string;
}

export interface ColumnInfo {
  readonly name: string;
  /** As Arrow writes it, e.g. Float64, Date32<DAY>, Dictionary<Int32, Utf8>. */
  readonly type: string;
  readonly nulls: number;
}

export interface Ingested {
  /** A canonical Arrow IPC stream. */
  readonly data: Uint8Array;
  readonly rows: number;
  readonly columns: readonly ColumnInfo[];
}

export const ingestDefaults = { timeoutMs: 30_000, rowsMax: 20_000_000 } as const;

/** Rows times columns of one upload. Bounds what short rows (JSON `{}`) can be blown up to. */
export const cellsMax = 200_000_000;
export const columnsMax = 4_096;

/**
 * Words of one dictionary. Beyond, a Map grows by allocations for which V8 ends the whole process, and not the thread,
 * when the heap is nearly full. So the decoders allocate nothing on the heap above some 24 MiB at once: no longer
 * arrays than 2^21 entries, no larger Maps than 2^19.
 */
const dictionaryWordsMax = 524_288;

/** Call before a word is added to a dictionary of `words`. Throws TOO_LARGE. */
export function checkWords(words: number): void {
  if (words >= dictionaryWordsMax)
    throw new VolleyError(
      "TOO_LARGE",
      `a dictionary has more than ${dictionaryWordsMax} different words; send that column as plain text (utf8)`,
    );
}

export const invalidData = (message: string, details?: Record<string, unknown>): VolleyError =>
  new VolleyError("INVALID_DATA", message, details ? { details } : {});

/** Column names come from outside: `constructor` is one as good as any, and not a property of the types given. */
export const givenType = (types: Readonly<Record<string, TextType>> | undefined, name: string): TextType | undefined =>
  types && Object.hasOwn(types, name) ? types[name] : undefined;
