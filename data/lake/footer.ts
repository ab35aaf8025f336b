/**
 * The footer of a Parquet file: read, and checked as far as reading relies on it. Runs inside the disposable thread.
 */
import type { DataType } from "apache-arrow";
import { type FileMetaData, parquetMetadata, type SchemaElement } from "hyparquet";
import { VolleyError } from "../../proto/errors.js";
import { columnsMax, invalidData } from "../ingest/ingested.js";
import type { ByteSource } from "./byte-source.js";
import { type ColumnType, columnType } from "./column-type.js";
import type { Bounds } from "./predicate.js";
import { checkThriftShape } from "./thrift-shape.js";

/** Where a column's values of one row group are. */
export interface Chunk {
  readonly from: number;
  readonly to: number;
  readonly codec: string;
  readonly bounds: Bounds;
}

export interface RowGroup {
  readonly rows: number;
  /** By column. */
  readonly chunks: ReadonlyMap<string, Chunk>;
}

export interface FooterColumn {
  readonly name: string;
  /** Undefined if it cannot be read: nested, or of a type that Arrow has not. */
  readonly type: ColumnType | undefined;
  readonly what: string;
}

export interface Footer {
  readonly rows: number;
  readonly columns: readonly FooterColumn[];
  readonly groups: readonly RowGroup[];
}

/** Key of the file's metadata under which writing keeps the names of columns that were dictionaries. */
export const dictionariesKey = "volley.dictionaries";

/** A footer beyond this is no footer. */
const footerBytesMax = 256 * 1024 * 1024;

/** Throws INVALID_DATA that names the file. */
export function readFooter(source: ByteSource, label: string): Footer {
  const fault = (why: string): VolleyError => invalidData(`${label}: ${why}`, { file: label });
  let metadata: FileMetaData;
  try {
    const bytes = footerBytes(source);
    checkThriftShape(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength - 8), 0);
    metadata = parquetMetadata(bytes, { parsers: rawParsers, geoparquet: false });
  } catch (error) {
    throw fault(`is no Parquet file that can be read: ${(error as Error).message}`);
  }
  try {
    return check(metadata, source.size, label);
  } catch (error) {
    if (error instanceof VolleyError) throw error;
    throw fault(`has a broken footer: ${(error as Error).message}`);
  }
}

function footerBytes(source: ByteSource): Uint8Array {
  if (source.size < 12) throw new Error(`it has ${source.size} bytes`);
  const head = Buffer.from(source.read(0, 4)).toString("latin1");
  const tail = Buffer.from(source.read(source.size - 8, source.size));
  if (head === "PARE" || tail.toString("latin1", 4) === "PARE") throw new Error("it is encrypted");
  if (head !== "PAR1") throw new Error("it does not begin with PAR1");
  if (tail.toString("latin1", 4) !== "PAR1") throw new Error("it does not end with PAR1; it may be truncated");
  const length = tail.readUInt32LE(0);
  if (length > source.size - 12 || length > footerBytesMax)
    throw new Error(`its footer says that it has ${length} bytes, in a file of ${source.size}`);
  return source.read(source.size - 8 - length, source.size);
}

/** Statistics as they are in the file: what they mean depends on the column's type here. */
const rawParsers = {
  timestampFromMilliseconds: (value: bigint) => value,
  timestampFromMicroseconds: (value: bigint) => value,
  timestampFromNanoseconds: (value: bigint) => value,
  dateFromDays: (days: number) => days,
  stringFromBytes: (bytes: Uint8Array) => Buffer.from(bytes),
};

function check(metadata: FileMetaData, size: number, label: string): Footer {
  const [root, ...elements] = metadata.schema;
  if (!root) throw new Error("no schema");
  const dictionaries = dictionaryNames(metadata);
  const columns = topLevel(root, elements, dictionaries);
  if (columns.length > columnsMax)
    throw new VolleyError("TOO_LARGE", `${label} has ${columns.length} columns; at most ${columnsMax} are taken`);
  const byName = new Map(columns.map((column) => [column.name, column]));
  if (byName.size !== columns.length) throw new Error("two columns have one name");
  const groups = metadata.row_groups.map((group, g): RowGroup => {
    const rows = whole(group.num_rows, `the rows of row group ${g}`);
    const chunks = new Map<string, Chunk>();
    for (const { meta_data: meta, file_path: path } of group.columns) {
      if (path) throw new Error(`row group ${g} has its values in another file, ${JSON.stringify(path)}`);
      if (!meta) throw new Error(`row group ${g} has a column without metadata`);
      const name = meta.path_in_schema[0] as string;
      const column = byName.get(name);
      if (!column) throw new Error(`row group ${g} has a column ${JSON.stringify(name)} that the schema has not`);
      if (meta.path_in_schema.length > 1 || !column.type) continue;
      if (meta.type !== column.type.element.type)
        throw new Error(`row group ${g}, column ${JSON.stringify(name)} is ${meta.type}, in the schema ${column.what}`);
      const values = whole(meta.num_values, `the values of column ${JSON.stringify(name)} in row group ${g}`);
      if (values !== rows)
        throw new Error(`row group ${g}, column ${JSON.stringify(name)} has ${values} values for ${rows} rows`);
      const from = whole(
        meta.dictionary_page_offset || meta.data_page_offset,
        `the offset of column ${JSON.stringify(name)} in row group ${g}`,
      );
      const to =
        from + whole(meta.total_compressed_size, `the size of column ${JSON.stringify(name)} in row group ${g}`);
      if (to > size) throw new Error(`row group ${g}, column ${JSON.stringify(name)} ends at byte ${to} of ${size}`);
      chunks.set(name, {
        from,
        to,
        codec: String(meta.codec),
        bounds: boundsOf(meta.statistics, column.type.type, rows),
      });
    }
    return { rows, chunks };
  });
  const rows = groups.reduce((sum, group) => sum + group.rows, 0);
  if (BigInt(rows) !== metadata.num_rows)
    throw new Error(`${metadata.num_rows} rows in all, but ${rows} in its row groups`);
  return { rows, columns, groups };
}

/** Columns under the root; what lies below a nested one is passed over. */
function topLevel(
  root: SchemaElement,
  elements: readonly SchemaElement[],
  dictionaries: ReadonlySet<string>,
): FooterColumn[] {
  const columns: FooterColumn[] = [];
  let at = 0;
  const skip = (): void => {
    const element = elements[at++];
    if (!element) throw new Error("the schema is cut off");
    for (let left = element.num_children ?? 0; left > 0; left--) skip();
  };
  for (let i = 0; i < (root.num_children ?? 0); i++) {
    const element = elements[at];
    if (!element || typeof element.name !== "string") throw new Error("the schema is cut off");
    skip();
    const nested = (element.num_children ?? 0) > 0 || element.repetition_type === "REPEATED";
    const what = nested
      ? "nested"
      : [element.type, element.logical_type?.type ?? element.converted_type]
          .filter((part) => part !== undefined)
          .join(" ");
    columns.push({
      name: element.name,
      type: nested ? undefined : columnType(element, dictionaries.has(element.name)),
      what,
    });
  }
  if (at !== elements.length) throw new Error("the schema has more elements than columns");
  return columns;
}

function dictionaryNames(metadata: FileMetaData): ReadonlySet<string> {
  const value = metadata.key_value_metadata?.find(({ key }) => key === dictionariesKey)?.value;
  const names: unknown = value === undefined ? [] : JSON.parse(value);
  if (!Array.isArray(names)) throw new Error(`${dictionariesKey} is no list`);
  return new Set(names.filter((name) => typeof name === "string"));
}

function whole(value: bigint | undefined, what: string): number {
  if (typeof value !== "bigint" || value < 0n || value > BigInt(Number.MAX_SAFE_INTEGER))
    throw new Error(`${what} are given as ${String(value)}`);
  return Number(value);
}

/** Only the newer bounds: of the older ones the order is not defined for text and unsigned numbers. */
function boundsOf(
  statistics: { min_value?: unknown; max_value?: unknown; null_count?: bigint } | undefined,
  type: DataType,
  rows: number,
): Bounds {
  const usable = !String(type).startsWith("FixedSizeBinary") && !String(type).startsWith("Binary");
  const nulls = statistics?.null_count;
  return {
    min: usable ? statistics?.min_value : undefined,
    max: usable ? statistics?.max_value : undefined,
    nulls: typeof nulls === "bigint" ? Number(nulls) : undefined,
    rows,
  };
}
