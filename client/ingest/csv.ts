/** CSV with a header row. Read twice: once for the types, once for the values (text-column.ts). */
import { isUtf8 } from "node:buffer";
import { CsvError, type Options, parse } from "csv-parse/sync";
import { VolleyError } from "../../proto/errors.js";
import { encodeColumns } from "./column.js";
import { columnsMax, givenType, type Ingested, invalidData, type TextType } from "./ingested.js";
import { TextColumn, TypeGuess } from "./text-column.js";

const recordBytesMax = 16 * 1024 * 1024;

export interface CsvOptions {
  readonly rowsMax: number;
  readonly cellsMax: number;
  readonly types?: Readonly<Record<string, TextType>>;
  readonly delimiter?: string;
  readonly nullValues?: readonly string[];
}

export function decodeCsv(bytes: Uint8Array, options: CsvOptions): Ingested {
  if (!isUtf8(bytes)) throw invalidData("the CSV is not UTF-8; convert it first (for example: iconv -f latin1 -t utf8)");
  const delimiter = options.delimiter ?? ",";
  if (delimiter.length !== 1 || /["\r\n]/.test(delimiter))
    throw new VolleyError("INVALID_ARGUMENT", `the CSV delimiter ${JSON.stringify(delimiter)} is not one plain character`);
  const nulls = new Set(options.nullValues ?? [""]);
  const input = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

  let names: readonly string[] = [];
  let guesses: readonly TypeGuess[] = [];
  let rows = 0;
  eachRecord(input, delimiter, (record, line) => {
    if (names.length === 0) {
      names = header(record, options.types);
      guesses = names.map(() => new TypeGuess());
      return;
    }
    rows++;
    if (rows > options.rowsMax) throw new VolleyError("TOO_LARGE", `the CSV has more than ${options.rowsMax} rows (line ${line})`);
    if (rows * names.length > options.cellsMax) throw new VolleyError("TOO_LARGE", `the CSV has more than ${options.cellsMax} values (line ${line})`);
    for (let i = 0; i < guesses.length; i++) if (!nulls.has(record[i] as string)) guesses[i]?.add(record[i] as string);
  });
  if (names.length === 0) throw invalidData("the CSV is empty: a header row with the names of the columns is needed");

  const columns = names.map((name, i) => new TextColumn(name, givenType(options.types, name) ?? guesses[i]?.result() ?? "string"));
  let first = true;
  eachRecord(input, delimiter, (record, line) => {
    if (first) {
      first = false;
      return;
    }
    const where = (): string => `line ${line}`;
    for (let i = 0; i < columns.length; i++) columns[i]?.push(nulls.has(record[i] as string) ? undefined : record[i], where);
  });
  return encodeColumns(
    columns.map((column, i) => column.finish(i)),
    rows,
  );
}

function header(record: readonly string[], types: Readonly<Record<string, TextType>> | undefined): string[] {
  const names = record.map((name) => name.trim());
  if (names.length > columnsMax) throw new VolleyError("TOO_LARGE", `the CSV has ${names.length} columns; at most ${columnsMax} are taken`);
  const seen = new Set<string>();
  names.forEach((name, i) => {
    if (name === "") throw invalidData(`line 1: column ${i + 1} has no name`);
    if (seen.has(name)) throw invalidData(`line 1: two columns are named ${JSON.stringify(name)}`, { column: name });
    seen.add(name);
  });
  for (const name of Object.keys(types ?? {})) {
    if (!seen.has(name))
      throw new VolleyError("INVALID_ARGUMENT", `a type is given for column ${JSON.stringify(name)}, but the CSV has only ${names.join(", ")}`);
  }
  return names;
}

/** Calls `take` for every record with the line it ends on; keeps none. */
function eachRecord(input: Buffer, delimiter: string, take: (record: readonly string[], line: number) => void): void {
  const options: Options = {
    bom: true,
    delimiter,
    skip_empty_lines: true,
    max_record_size: recordBytesMax,
    on_record: (record: unknown, context): null => {
      take(record as readonly string[], context.lines);
      return null;
    },
  };
  try {
    parse(input, options);
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    throw invalidData(describe(error), { code: error.code });
  }
}

function describe(error: CsvError): string {
  const { lines, column, record } = error as CsvError & { lines?: number; column?: number | string; record?: unknown };
  const line = `line ${lines ?? "?"}`;
  if (error.code === "CSV_RECORD_INCONSISTENT_FIELDS_LENGTH")
    return `${line}: ${Array.isArray(record) ? record.length : "?"} fields where the header has another number of them (${error.message})`;
  return `${line}${column === undefined ? "" : `, field ${Number(column) + 1}`}: ${error.message}`;
}
