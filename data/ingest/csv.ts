/**
 * CSV with a header row.
 *
 * The parser is given blocks that end where a record ends, so that no more than a block of records is in memory. Types
 * are guessed from the first block and filled in at once, while the guess goes on over all values; only columns whose
 * final type turns out another are read again.
 */
import { isUtf8 } from "node:buffer";
import { CsvError, type Options, parse } from "csv-parse/sync";
import { VolleyError } from "../../proto/errors.js";
import { type Column, encodeColumns } from "./column.js";
import { columnsMax, givenType, type Ingested, invalidData, type TextType } from "./ingested.js";
import { TextColumn, TypeGuess } from "./text-column.js";

const blockBytes = 256 * 1024;
const recordBytesMax = 16 * 1024 * 1024;
const quote = 0x22;
const newline = 0x0a;

export interface CsvOptions {
  readonly rowsMax: number;
  readonly cellsMax: number;
  readonly types?: Readonly<Record<string, TextType>>;
  readonly delimiter?: string;
  readonly nullValues?: readonly string[];
}

type Records = readonly (readonly string[])[];

export function decodeCsv(bytes: Uint8Array, options: CsvOptions): Ingested {
  if (!isUtf8(bytes))
    throw invalidData("the CSV is not UTF-8; convert it first (for example: iconv -f latin1 -t utf8)");
  const source = new CsvSource(bytes, options.delimiter ?? ",");
  const nulls = new Set(options.nullValues ?? [""]);
  let names: readonly string[] | undefined;
  let readers: readonly ColumnReader[] = [];
  let rows = 0;
  for (const block of source.blocks()) {
    let { records } = block;
    if (!names) {
      if (!records[0]) continue;
      names = header(records[0], options.types);
      records = records.slice(1);
      readers = names.map((name, i) => new ColumnReader(name, i, givenType(options.types, name), nulls));
    }
    const width = names.length;
    const wrong = records.findIndex((record) => record.length !== width);
    if (wrong >= 0)
      throw invalidData(
        `line ${block.lineOf(records[wrong])}: ${records[wrong]?.length} fields where the header has ${width}`,
      );
    rows += records.length;
    if (rows > options.rowsMax) throw new VolleyError("TOO_LARGE", `the CSV has more than ${options.rowsMax} rows`);
    if (rows * width > options.cellsMax)
      throw new VolleyError("TOO_LARGE", `the CSV has more than ${options.cellsMax} values`);
    for (const reader of readers) reader.take(records, block.lineOf);
  }
  if (!names) throw invalidData("the CSV is empty: a header row with the names of the columns is needed");

  const again = readers.filter((reader) => reader.settle());
  let first = true;
  for (const block of again.length > 0 ? source.blocks() : []) {
    const records = first ? block.records.slice(1) : block.records;
    if (block.records.length > 0) first = false;
    for (const reader of again) reader.take(records, block.lineOf);
  }
  return encodeColumns(
    readers.map((reader) => reader.finish()),
    rows,
  );
}

function header(record: readonly string[], types: Readonly<Record<string, TextType>> | undefined): string[] {
  const names = record.map((name) => name.trim());
  if (names.length > columnsMax)
    throw new VolleyError("TOO_LARGE", `the CSV has ${names.length} columns; at most ${columnsMax} are taken`);
  const seen = new Set<string>();
  names.forEach((name, i) => {
    if (name === "") throw invalidData(`line 1: column ${i + 1} has no name`);
    if (seen.has(name)) throw invalidData(`line 1: two columns are named ${JSON.stringify(name)}`, { column: name });
    seen.add(name);
  });
  for (const name of Object.keys(types ?? {})) {
    if (!seen.has(name))
      throw new VolleyError(
        "INVALID_ARGUMENT",
        `a type is given for column ${JSON.stringify(name)}, but the CSV has only ${names.join(", ")}`,
      );
  }
  return names;
}

/**
 * One column on its way: a type that is given or guessed from the first block, and whether the whole agrees with it.
 */
class ColumnReader {
  readonly #name: string;
  readonly #index: number;
  readonly #nulls: ReadonlySet<string>;
  #guess: TypeGuess | undefined;
  #type: TextType | undefined;
  #column: TextColumn | undefined;
  /** Values were left out, because the guess had moved away from the type. */
  #left = false;

  constructor(name: string, index: number, given: TextType | undefined, nulls: ReadonlySet<string>) {
    this.#name = name;
    this.#index = index;
    this.#nulls = nulls;
    this.#type = given;
    this.#guess = given === undefined ? new TypeGuess() : undefined;
  }

  take(records: Records, lineOf: (record: readonly string[] | undefined) => number): void {
    for (const record of this.#guess ? records : []) {
      const value = record[this.#index] as string;
      if (!this.#nulls.has(value)) this.#guess?.add(value);
    }
    if (this.#type === undefined) this.#type = this.#guess?.result() ?? "string";
    else if (this.#guess && this.#guess.result() !== this.#type) this.#left = true;
    if (this.#left) return;
    this.#column ??= new TextColumn(this.#name, this.#type);
    for (const record of records) {
      const value = record[this.#index] as string;
      this.#column.push(this.#nulls.has(value) ? undefined : value, () => `line ${lineOf(record)}`);
    }
  }

  /** True: the values are another type than the first block's, and must be read again. */
  settle(): boolean {
    const found = this.#guess?.result();
    this.#guess = undefined;
    if (found === undefined || (found === this.#type && !this.#left)) return false;
    this.#type = found;
    this.#column = undefined;
    this.#left = false;
    return true;
  }

  finish(): Column {
    this.#column ??= new TextColumn(this.#name, this.#type ?? "float64");
    return this.#column.finish(this.#index);
  }
}

interface Block {
  readonly records: Records;
  /** The line on which a record of this block ends; costs a second parse, and is asked for only to name a fault. */
  readonly lineOf: (record: readonly string[] | undefined) => number;
}

class CsvSource {
  readonly #bytes: Buffer;
  readonly #options: Options;

  constructor(bytes: Uint8Array, delimiter: string) {
    if (delimiter.length !== 1 || /["\r\n]/.test(delimiter)) {
      throw new VolleyError(
        "INVALID_ARGUMENT",
        `the CSV delimiter ${JSON.stringify(delimiter)} is not one plain character`,
      );
    }
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#options = {
      bom: true,
      delimiter,
      skip_empty_lines: true,
      relax_column_count: true,
      max_record_size: recordBytesMax,
    };
  }

  *blocks(): Generator<Block> {
    let lines = 0;
    for (let from = 0; from < this.#bytes.byteLength; ) {
      const to = this.#blockEnd(from);
      const block = this.#bytes.subarray(from, to);
      const before = lines;
      const records = this.#parse(block, before, this.#options) as string[][];
      yield {
        records,
        lineOf: (record) =>
          before + this.#lineIn(block, record === undefined ? 0 : records.indexOf(record as string[])),
      };
      for (let at = block.indexOf(newline); at >= 0; at = block.indexOf(newline, at + 1)) lines++;
      from = to;
    }
  }

  /**
   * The byte after the first newline outside quotes at or behind `blockBytes`. Quotes come in pairs, escaped ones too;
   * the parser names those that do not.
   */
  #blockEnd(from: number): number {
    let quoted = false;
    for (let at = from; at < this.#bytes.byteLength; at++) {
      const byte = this.#bytes[at];
      if (byte === quote) quoted = !quoted;
      else if (byte === newline && !quoted && at - from >= blockBytes) return at + 1;
    }
    return this.#bytes.byteLength;
  }

  #lineIn(block: Buffer, index: number): number {
    const ends: number[] = [];
    this.#parse(block, 0, {
      ...this.#options,
      on_record: (_record: unknown, context): null => {
        ends.push(context.lines);
        return null;
      },
    });
    return ends[index] ?? 0;
  }

  #parse(block: Buffer, linesBefore: number, options: Options): unknown {
    try {
      return parse(block, options);
    } catch (error) {
      if (!(error instanceof CsvError)) throw error;
      const { lines, column } = error as CsvError & { lines?: number; column?: number | string };
      const where = `line ${linesBefore + (lines ?? 1)}${typeof column === "number" ? `, field ${column + 1}` : ""}`;
      throw invalidData(`${where}: ${error.message}`, { code: error.code });
    }
  }
}
