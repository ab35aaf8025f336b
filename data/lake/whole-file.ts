/**
 * Files that are read as a whole: CSV, JSON rows and Arrow. Decoded in a disposable thread; `columns` and `where` are
 * applied to what came out.
 */
import { readFile, stat } from "node:fs/promises";
import { type Data, type Table, tableFromIPC } from "apache-arrow";
import { isVolleyError, VolleyError } from "../../proto/errors.js";
import { encodeColumns } from "../ingest/column.js";
import { type IngestFormat, type IngestOptions, ingest } from "../ingest/index.js";
import { takeRows, withDictionaryId } from "./column-data.js";
import { bind, matchingRows, type Predicate } from "./predicate.js";

export interface WholeFileOptions {
  readonly columns?: readonly string[];
  readonly where?: readonly Predicate[];
  /** CSV: types, delimiter, null values; JSON: types. */
  readonly csv?: Omit<IngestOptions, "format" | "timeoutMs">;
  readonly timeoutMs?: number;
}

const fileBytesMax = 1024 * 1024 * 1024;

/** Throws INVALID_DATA and INVALID_ARGUMENT (naming the file), TOO_LARGE, TIMEOUT. */
export async function loadWholeFile(file: string, format: IngestFormat, options: WholeFileOptions): Promise<Table> {
  const { csv, timeoutMs } = options;
  const tabs = /\.tsv$/i.test(file) ? { delimiter: "\t" } : {};
  const bytes = await bytesOf(file);
  const { data, rows } = await ingest(bytes, {
    ...tabs,
    ...csv,
    format,
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  }).catch((error: unknown) => {
    throw isVolleyError(error)
      ? new VolleyError(error.code, `${file}: ${error.message}`, { details: { ...(error.details as object), file } })
      : error;
  });
  return choose(tableFromIPC(data), rows, file, options);
}

async function bytesOf(file: string): Promise<Uint8Array> {
  const fault = (code: "INVALID_ARGUMENT" | "TOO_LARGE", why: string): VolleyError =>
    new VolleyError(code, `${file} ${why}`, { details: { file } });
  try {
    const { size } = await stat(file);
    if (size > fileBytesMax)
      throw fault(
        "TOO_LARGE",
        `has ${size} bytes; at most ${fileBytesMax} are read as a whole. Parquet is read by row groups`,
      );
    return await readFile(file);
  } catch (error) {
    throw isVolleyError(error) ? error : fault("INVALID_ARGUMENT", `cannot be opened: ${(error as Error).message}`);
  }
}

function choose(table: Table, rows: number, file: string, { columns, where = [] }: WholeFileOptions): Table {
  if (!columns && where.length === 0) return table;
  const names = table.schema.fields.map((field) => field.name);
  const dataOf = (name: string): Data => {
    const data = table.getChild(name)?.data[0];
    if (data) return data;
    throw new VolleyError(
      "INVALID_ARGUMENT",
      `${file} has no column ${JSON.stringify(name)}; it has ${names.slice(0, 20).join(", ")}`,
      {
        details: { file, column: name },
      },
    );
  };
  const kept = matchingRows(
    where.map((predicate) => bind(predicate, dataOf(predicate[0]).type)),
    dataOf,
    rows,
  );
  const out = (columns ?? names).map((name, id) => ({
    name,
    data: withDictionaryId(kept ? takeRows(dataOf(name), kept) : dataOf(name), id),
  }));
  return tableFromIPC(encodeColumns(out, kept?.length ?? rows).data);
}
