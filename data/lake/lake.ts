/**
 * A lake: many files, one dataset. Opening it reads footers only; a partition is read when it is loaded, and holds what
 * `columns` and `where` leave of one file or one row group.
 */
import { stat } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { DataType, Table, Vector } from "apache-arrow";
import { glob, isDynamicPattern } from "tinyglobby";
import { VolleyError } from "../../proto/errors.js";
import type { ObjectRef } from "../../proto/object-ref.js";
import type { IngestOptions } from "../ingest/index.js";
import { invalidData } from "../ingest/ingested.js";
import { joinDictionaries } from "./column-data.js";
import { kindOf } from "./file-kind.js";
import { describeParquet, readParquet } from "./parquet.js";
import type { Predicate } from "./predicate.js";
import { loadWholeFile } from "./whole-file.js";

export interface LakeOptions {
  /** Columns to read, in this order; default: all. */
  readonly columns?: readonly string[];
  /** Rows to keep: all predicates must hold. Row groups whose statistics exclude a match are never read. */
  readonly where?: readonly Predicate[];
  /** What becomes a partition. Default: a file. Only Parquet has row groups; a file of another kind is always one. */
  readonly partitionBy?: "file" | "row-group";
  /** Of CSV files: types, delimiter, null values; of JSON files: types. */
  readonly csv?: Omit<IngestOptions, "format" | "timeoutMs">;
  /** Of each read. Default 60,000. */
  readonly timeoutMs?: number;
}

export interface Partition {
  readonly file: string;
  /** Numbers of its row groups in the file; undefined where it has none (CSV, Arrow, JSON). */
  readonly rowGroups: readonly number[] | undefined;
  /** Rows before `where`; undefined for CSV, Arrow and JSON, whose rows are counted when they are read. */
  readonly rowsMax: number | undefined;
  /** Reads it. Throws INVALID_DATA (naming file, row group and column), TOO_LARGE, TIMEOUT. */
  load(): Promise<Table>;
}

export interface Lake {
  /** In the order of file names. */
  readonly partitions: readonly Partition[];
  /** Of the Parquet files. */
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  /** What statistics spared. */
  readonly pruned: { readonly files: number; readonly rowGroups: number };
  /** All partitions in order, as one table of as many batches. */
  table(): Promise<Table>;
  /** Puts every partition into the cluster, a few at a time; ref i is partition i. */
  put(cluster: TakesTables, options?: { durable?: boolean }): Promise<ObjectRef<Table>[]>;
}

/** What partitions are put into: the SDK's cluster is one. */
export interface TakesTables {
  put(table: Table, options?: { durable?: boolean }): Promise<ObjectRef<Table>>;
}

/** Partitions read and in memory at once while putting. */
const loadsAtOnce = 2;

/**
 * Opens local files, by paths or globs ("prices/*.parquet"): Parquet, Arrow (stream or file), CSV or JSON rows, by the
 * name's ending. All Parquet files must have the columns with the same types. Throws INVALID_ARGUMENT (no such file or
 * column, a predicate that does not fit), INVALID_DATA (naming the file).
 */
export async function openLake(
  source: string | URL | readonly (string | URL)[],
  options: LakeOptions = {},
): Promise<Lake> {
  const files = await expand(source instanceof URL || typeof source === "string" ? [source] : source);
  const partitions: Partition[] = [];
  const pruned = { files: 0, rowGroups: 0 };
  let columns: Lake["columns"] = [];
  let first: string | undefined;
  for (const file of files) {
    const kind = kindOf(file);
    if (kind !== "parquet") {
      partitions.push({
        file,
        rowGroups: undefined,
        rowsMax: undefined,
        load: () => loadWholeFile(file, kind, options),
      });
      continue;
    }
    const description = await describeParquet(file, options);
    if (first === undefined) [first, columns] = [file, description.columns];
    else sameColumns({ file: first, columns }, { file, columns: description.columns });
    const groups = description.rowGroups.flatMap((group, number) =>
      group.mayMatch ? [{ number, rows: group.rows }] : [],
    );
    pruned.rowGroups += description.rowGroups.length - groups.length;
    if (groups.length === 0 && description.rowGroups.length > 0) pruned.files++;
    const parts =
      options.partitionBy === "row-group" ? groups.map((group) => [group]) : groups.length > 0 ? [groups] : [];
    for (const part of parts) {
      const rowGroups = part.map((group) => group.number);
      const rowsMax = part.reduce((sum, group) => sum + group.rows, 0);
      partitions.push({
        file,
        rowGroups,
        rowsMax,
        load: async () => (await readParquet(file, { ...readOptions(options), rowGroups })).table,
      });
    }
  }
  return {
    partitions,
    columns,
    pruned,
    table: () => wholeTable(partitions),
    put: (cluster, put) => putAll(partitions, cluster, put),
  };
}

const readOptions = ({ columns, where, timeoutMs }: LakeOptions) => ({
  ...(columns ? { columns } : {}),
  ...(where ? { where } : {}),
  ...(timeoutMs === undefined ? {} : { timeoutMs }),
});

async function expand(sources: readonly (string | URL)[]): Promise<string[]> {
  const found = new Set<string>();
  for (const source of sources) {
    const text = source instanceof URL ? fileURLToPath(source) : source;
    // A file whose name has brackets in it is that file, and no pattern.
    const exact = await stat(text).catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT" && !isDynamicPattern(text))
        throw new VolleyError("INVALID_ARGUMENT", `there is no file ${text}`, { details: { file: text } });
      return undefined;
    });
    if (exact?.isDirectory())
      throw new VolleyError(
        "INVALID_ARGUMENT",
        `${text} is a folder; name its files, for example ${JSON.stringify(path.join(text, "**/*.parquet"))}`,
      );
    if (exact && !exact.isFile()) throw new VolleyError("INVALID_ARGUMENT", `${text} is not a regular file`);
    const matches =
      exact || !isDynamicPattern(text)
        ? [text]
        : await glob(text.split(path.sep).join("/"), { absolute: path.isAbsolute(text), expandDirectories: false });
    if (matches.length === 0) throw new VolleyError("INVALID_ARGUMENT", `no file matches ${JSON.stringify(text)}`);
    for (const match of matches) found.add(match);
  }
  return [...found].sort();
}

type Columns = { readonly file: string; readonly columns: Lake["columns"] };

function sameColumns(first: Columns, other: Columns): void {
  const fault = (why: string): VolleyError =>
    invalidData(
      `${other.file} ${why}; the files of a lake have the same columns, choose among them with the option columns`,
      { file: other.file },
    );
  if (first.columns.length !== other.columns.length)
    throw fault(`has ${other.columns.length} columns, ${first.file} has ${first.columns.length}`);
  for (const [i, { name, type }] of first.columns.entries()) {
    const found = other.columns[i];
    if (found?.name !== name)
      throw fault(`has ${JSON.stringify(found?.name)} as column ${i}, ${first.file} has ${JSON.stringify(name)}`);
    if (found.type !== type)
      throw fault(`has column ${JSON.stringify(name)} as ${found.type}, ${first.file} as ${type}`);
  }
}

async function wholeTable(partitions: readonly Partition[]): Promise<Table> {
  const loaded: { file: string; table: Table }[] = [];
  for (const partition of partitions) loaded.push({ file: partition.file, table: await partition.load() });
  const [first] = loaded;
  if (!first)
    throw new VolleyError("INVALID_ARGUMENT", "the lake has no partitions: no row group can fulfil its predicates");
  if (loaded.length === 1) return first.table;
  // Columns of Parquet were compared when it was opened; the types of other files are known only now.
  for (const other of loaded.slice(1)) sameColumns(columnsOf(first), columnsOf(other));
  const tables = loaded.map(({ table }) => table);
  const columns = first.table.schema.fields.map(({ name }): [string, Vector] => [
    name,
    concatenated(tables.map((table) => table.getChild(name) as Vector)),
  ]);
  return new Table(Object.fromEntries(columns));
}

const columnsOf = ({ file, table }: { file: string; table: Table }): Columns => ({
  file,
  columns: table.schema.fields.map(({ name, type }) => ({ name, type: String(type) })),
});

/** Dictionaries differ from file to file; the whole has one. */
function concatenated(parts: readonly Vector[]): Vector {
  const data = parts.flatMap((part) => part.data);
  return new Vector(DataType.isDictionary(parts[0]?.type) ? [joinDictionaries(data)] : data);
}

async function putAll(
  partitions: readonly Partition[],
  cluster: TakesTables,
  options: { durable?: boolean } = {},
): Promise<ObjectRef<Table>[]> {
  const refs = new Array<ObjectRef<Table>>(partitions.length);
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let i = next++; i < partitions.length; i = next++)
      refs[i] = await cluster.put(await (partitions[i] as Partition).load(), options);
  };
  await Promise.all(Array.from({ length: Math.min(loadsAtOnce, partitions.length) }, worker));
  return refs;
}
