/**
 * What the disposable thread does with a Parquet file: say what is in it, or read columns of row groups as one
 * canonical Arrow stream.
 */
import { VolleyError } from "../../proto/errors.js";
import { limits } from "../../proto/limits.js";
import { encodeColumns } from "../ingest/column.js";
import { checkDigest } from "../ingest/digest.js";
import { cellsMax, type Ingested, ingestDefaults, invalidData } from "../ingest/ingested.js";
import { openSource, type SourceSpec } from "./byte-source.js";
import { BytesBudget } from "./bytes-budget.js";
import { type ColumnBuilder, columnBuilder, takeRows, withDictionaryId } from "./column-data.js";
import { type Footer, type FooterColumn, readFooter } from "./footer.js";
import { readChunk } from "./pages.js";
import { type BoundPredicate, bind, matchingRows, mayMatch, type Predicate } from "./predicate.js";

export interface ParquetRequest {
  readonly what: "describe" | "load";
  readonly source: SourceSpec;
  /** Name of the file in messages. */
  readonly label: string;
  /** Default: all. */
  readonly columns?: readonly string[];
  readonly where?: readonly Predicate[];
  /** `load`: numbers of row groups; default: all. */
  readonly rowGroups?: readonly number[];
  readonly rowsMax?: number;
  /** Bytes of the table that comes out. Default: what one object of a cluster may have. */
  readonly bytesMax?: number;
  /** `load` of bytes: hex SHA-256 that they must have. */
  readonly sha256?: string;
}

export interface ParquetLoaded extends Ingested {
  /** Bytes of the file that were read for it: its footer, and the chunks of the chosen columns and row groups. */
  readonly bytesRead: number;
}

export interface ParquetDescription {
  readonly rows: number;
  readonly bytesRead: number;
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  /** `mayMatch` is false if the group's statistics show that no row of it fulfils `where`. */
  readonly rowGroups: readonly { readonly rows: number; readonly mayMatch: boolean }[];
}

/** Throws INVALID_DATA (naming file, row group and column), INVALID_ARGUMENT, TOO_LARGE. */
export function describe(request: ParquetRequest): ParquetDescription {
  using source = openSource(request.source, request.label);
  const footer = readFooter(source, request.label);
  const columns = chosen(footer, request);
  const predicates = bindAll(footer, request);
  return {
    rows: footer.rows,
    bytesRead: source.bytesRead,
    columns: columns.map(({ name, type }) => ({ name, type: String(type?.type) })),
    rowGroups: footer.groups.map((group) => ({
      rows: group.rows,
      mayMatch: predicates.every((predicate) =>
        mayMatch(predicate, group.chunks.get(predicate.column)?.bounds ?? unknownBounds(group.rows)),
      ),
    })),
  };
}

const unknownBounds = (rows: number) => ({ min: undefined, max: undefined, nulls: undefined, rows });

/** See {@link describe}. */
export function load(request: ParquetRequest): ParquetLoaded {
  const { label } = request;
  if ("bytes" in request.source) checkDigest(request.source.bytes, request.sha256);
  using source = openSource(request.source, label);
  const footer = readFooter(source, label);
  const columns = chosen(footer, request);
  const predicates = bindAll(footer, request);
  const numbers = request.rowGroups ?? footer.groups.map((_, g) => g);
  const groups = numbers.map((number) => {
    const group = footer.groups[number];
    if (!group)
      throw new VolleyError(
        "INVALID_ARGUMENT",
        `${label} has ${footer.groups.length} row groups; there is no row group ${number}`,
      );
    return { number, group };
  });
  const rows = groups.reduce((sum, { group }) => sum + group.rows, 0);
  const read = [
    ...columns,
    ...footer.columns.filter(
      ({ name }) => predicates.some(({ column }) => column === name) && !columns.some((one) => one.name === name),
    ),
  ];
  const rowsMax = request.rowsMax ?? ingestDefaults.rowsMax;
  if (rows > rowsMax || rows * read.length > cellsMax)
    throw new VolleyError(
      "TOO_LARGE",
      `${label} has ${rows} rows of ${read.length} columns; at most ${rowsMax} rows and ${cellsMax} values are read at once. Read it by row groups, or fewer columns`,
    );
  const bytesMax = request.bytesMax ?? limits.objectBytesMax;
  const budget = new BytesBudget(label, bytesMax);
  // Values may take twice as many bytes in the file as here: decimals, and times of 12 bytes.
  const unpacked = new BytesBudget(label, 2 * bytesMax);
  const readOne = (column: FooterColumn) => {
    const type = column.type as NonNullable<FooterColumn["type"]>;
    return readWhole(column, columnBuilder(type, rows, budget), label, (push) => {
      for (const { number, group } of groups) {
        if (group.rows === 0) continue;
        push(number, () => {
          const chunk = group.chunks.get(column.name);
          if (!chunk) throw new Error("is missing");
          return readChunk(
            source.read(chunk.from, chunk.to),
            { name: column.name, type, codec: chunk.codec, rows: group.rows },
            unpacked,
          );
        });
      }
    });
  };
  const data = new Map(read.map((column) => [column.name, readOne(column)]));
  const kept = matchingRows(predicates, (name) => data.get(name) as NonNullable<ReturnType<typeof data.get>>, rows);
  const out = columns.map(({ name }, id) => {
    const whole = data.get(name) as NonNullable<ReturnType<typeof data.get>>;
    return { name, data: withDictionaryId(kept ? takeRows(whole, kept) : whole, id) };
  });
  return { ...encodeColumns(out, kept?.length ?? rows), bytesRead: source.bytesRead };
}

/** Errors get the place: file, row group, column. */
function readWhole(
  column: FooterColumn,
  builder: ColumnBuilder,
  label: string,
  each: (push: (group: number, read: () => Iterable<ArrayLike<unknown>>) => void) => void,
) {
  let group: number | undefined;
  try {
    each((number, read) => {
      group = number;
      for (const run of read()) builder.push(run);
    });
    group = undefined;
    return builder.finish();
  } catch (error) {
    if (error instanceof VolleyError) throw error;
    const where = group === undefined ? "" : `row group ${group}, `;
    throw invalidData(
      `${label}: ${where}column ${JSON.stringify(column.name)} cannot be read: ${(error as Error).message}`,
      {
        file: label,
        column: column.name,
        ...(group === undefined ? {} : { rowGroup: group }),
      },
    );
  }
}

function named(footer: Footer, label: string, name: string): FooterColumn {
  const column = footer.columns.find((one) => one.name === name);
  if (column) return column;
  const names = footer.columns.map((one) => one.name);
  throw new VolleyError(
    "INVALID_ARGUMENT",
    `${label} has no column ${JSON.stringify(name)}; it has ${names.slice(0, 20).join(", ")}${names.length > 20 ? ", …" : ""}`,
    {
      details: { file: label, column: name },
    },
  );
}

function chosen(footer: Footer, { columns, label }: ParquetRequest): readonly FooterColumn[] {
  const found = columns ? columns.map((name) => named(footer, label, name)) : footer.columns;
  if (found.length === 0) throw invalidData(`${label} has no columns`, { file: label });
  if (new Set(found).size !== found.length)
    throw new VolleyError("INVALID_ARGUMENT", `columns ${JSON.stringify(columns)} name one twice`);
  for (const { name, type, what } of found)
    if (!type)
      throw invalidData(
        `${label}: column ${JSON.stringify(name)} is ${what}, which has no flat Arrow type here; choose other columns with the option columns`,
        {
          file: label,
          column: name,
        },
      );
  return found;
}

function bindAll(footer: Footer, { where = [], label }: ParquetRequest): readonly BoundPredicate[] {
  return where.map((predicate) => {
    const { type, what } = named(footer, label, predicate[0]);
    if (!type)
      throw new VolleyError(
        "INVALID_ARGUMENT",
        `where: column ${JSON.stringify(predicate[0])} is ${what}, which no predicate compares`,
      );
    return bind(predicate, type.type);
  });
}
