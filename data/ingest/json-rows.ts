/**
 * JSON rows: an array of flat objects. A key that a row leaves out is null; columns come in order of first appearance.
 *
 * The array is never parsed as a whole: JSON.parse of hostile text can outgrow a heap cap and cannot be interrupted. A
 * scan finds where rows begin and end and refuses nesting, then some rows at a time are parsed: once for names and
 * types, once for values.
 */
import { isUtf8 } from "node:buffer";
import { VolleyError } from "../../proto/errors.js";
import { encodeColumns } from "./column.js";
import { columnsMax, givenType, type Ingested, invalidData, type TextType } from "./ingested.js";
import { TextColumn, TypeGuess } from "./text-column.js";

const blockBytes = 256 * 1024;
const rowBytesMax = 16 * 1024 * 1024;

type Cell = string | number | boolean | null;
type Row = Readonly<Record<string, Cell>>;

export interface JsonRowsOptions {
  readonly rowsMax: number;
  readonly cellsMax: number;
  readonly types?: Readonly<Record<string, TextType>>;
}

export function decodeJsonRows(bytes: Uint8Array, options: JsonRowsOptions): Ingested {
  if (!isUtf8(bytes)) throw invalidData("the JSON is not UTF-8");
  const guesses = new Map<string, CellGuess>();
  let rows = 0;
  for (const { first, block } of rowBlocks(bytes)) {
    block.forEach((row, i) => guessRow(row, first + i, guesses));
    rows = first + block.length;
    if (rows > options.rowsMax) throw new VolleyError("TOO_LARGE", `more than ${options.rowsMax} rows`);
    if (rows * guesses.size > options.cellsMax) {
      throw new VolleyError(
        "TOO_LARGE",
        `${rows} rows or more of ${guesses.size} columns; at most ${options.cellsMax} values are taken`,
      );
    }
  }
  if (guesses.size === 0) throw invalidData("the rows have no columns");
  for (const name of Object.keys(options.types ?? {})) {
    if (guesses.has(name)) continue;
    throw new VolleyError(
      "INVALID_ARGUMENT",
      `a type is given for column ${JSON.stringify(name)}, but the rows have only ${[...guesses.keys()].slice(0, 20).join(", ")}`,
    );
  }
  const columns = [...guesses].map(([name, guess]) => ({
    name,
    column: new TextColumn(name, givenType(options.types, name) ?? guess.result()),
  }));
  for (const { first, block } of rowBlocks(bytes)) {
    block.forEach((row, i) => {
      const where = (): string => `row ${first + i}`;
      for (const { name, column } of columns) {
        const cell = Object.hasOwn(row, name) ? row[name] : undefined;
        column.push(cell === null || cell === undefined ? undefined : textOf(cell), where);
      }
    });
  }
  return encodeColumns(
    columns.map(({ column }, i) => column.finish(i)),
    rows,
  );
}

/**
 * Numbers keep every bit as text: JavaScript writes the shortest text that reads back as the same number. -0 is the
 * exception.
 */
const textOf = (cell: string | number | boolean): string => (Object.is(cell, -0) ? "-0" : String(cell));

/** A column has one kind of value; texts may turn out to be dates. */
class CellGuess {
  #kind: "string" | "number" | "boolean" | undefined;
  readonly #texts = new TypeGuess(true);

  add(cell: Cell, path: string): void {
    if (cell === null) return;
    const own = typeof cell as "string" | "number" | "boolean";
    if (this.#kind !== undefined && own !== this.#kind)
      throw invalidData(`rows.${path} is a ${own}, but rows before have a ${this.#kind}`, { path });
    this.#kind = own;
    if (typeof cell === "string") this.#texts.add(cell);
  }

  result(): TextType {
    if (this.#kind === "string") return this.#texts.result();
    return this.#kind === "boolean" ? "bool" : "float64";
  }
}

function guessRow(row: Row, index: number, guesses: Map<string, CellGuess>): void {
  for (const [name, cell] of Object.entries(row)) {
    let guess = guesses.get(name);
    if (!guess) {
      if (guesses.size === columnsMax)
        throw new VolleyError("TOO_LARGE", `the rows have more than ${columnsMax} different keys`);
      guess = new CellGuess();
      guesses.set(name, guess);
    }
    guess.add(cell, `${index}.${name}`);
  }
}

// ------------------------------------------------------------------------------------------------ scanning

interface RowBlock {
  /** Number of the block's first row. */
  readonly first: number;
  readonly block: readonly Row[];
}

/**
 * The rows in order, a block at a time. Outside of rows only white space, commas and the brackets of the one array may
 * stand.
 */
function* rowBlocks(bytes: Uint8Array): Generator<RowBlock> {
  let first = 0;
  let waiting: string[] = [];
  let waitingBytes = 0;
  const take = (): RowBlock => {
    const block = parseRows(waiting, first);
    const taken = { first, block };
    first += block.length;
    waiting = [];
    waitingBytes = 0;
    return taken;
  };
  for (const [from, to] of rowRanges(bytes)) {
    if (to - from > rowBytesMax)
      throw new VolleyError(
        "TOO_LARGE",
        `row ${first + waiting.length} has ${to - from} bytes; at most ${rowBytesMax} are taken`,
      );
    waiting.push(Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from).toString("utf8"));
    waitingBytes += to - from;
    if (waitingBytes >= blockBytes) yield take();
  }
  if (waiting.length > 0) yield take();
}

function parseRows(texts: readonly string[], first: number): Row[] {
  try {
    return JSON.parse(`[${texts.join(",")}]`) as Row[];
  } catch {
    // Which of them it was.
    return texts.map((text, i) => {
      try {
        return JSON.parse(text) as Row;
      } catch (error) {
        throw invalidData(`row ${first + i} is not JSON: ${(error as Error).message}`);
      }
    });
  }
}

const ascii = (text: string): number => text.charCodeAt(0);
const [openArray, closeArray, openRow, closeRow, comma, quote, backslash] = [...'[]{},"\\'].map(ascii) as [
  number,
  number,
  number,
  number,
  number,
  number,
  number,
];
const isSpace = (byte: number): boolean => byte === 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d;

/** [start, end) of each row's object. Rows are flat, so the next closing brace outside of a text ends one. */
function* rowRanges(bytes: Uint8Array): Generator<[number, number]> {
  const end = bytes.byteLength;
  const skip = (from: number): number => {
    let at = from;
    while (at < end && isSpace(bytes[at] as number)) at++;
    return at;
  };
  const fault = (at: number, expected: string): VolleyError => {
    if (at >= end) return invalidData(`the rows are not JSON: they end where ${expected} is expected`);
    return invalidData(
      `the rows are not JSON: ${JSON.stringify(String.fromCharCode(bytes[at] as number))} at byte ${at}, where ${expected} is expected`,
    );
  };
  // A byte order mark may stand before the array.
  let at = skip(bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0);
  if (bytes[at] !== openArray)
    throw at < end && bytes[at] === openRow
      ? invalidData('expected an array of rows, like [{"a": 1}, {"a": 2}], not one object')
      : fault(at, "an array of rows");
  at = skip(at + 1);
  let rows = 0;
  if (bytes[at] !== closeArray) {
    for (;;) {
      if (bytes[at] !== openRow)
        throw at < end ? invalidData(`rows.${rows} is not an object`, { path: `${rows}` }) : fault(at, "a row");
      const to = rowEnd(bytes, at, rows);
      yield [at, to];
      rows++;
      at = skip(to);
      if (bytes[at] === closeArray) break;
      if (bytes[at] !== comma) throw fault(at, "a comma or the end of the rows");
      at = skip(at + 1);
    }
  }
  at = skip(at + 1);
  if (at < end) throw fault(at, "nothing more");
}

function rowEnd(bytes: Uint8Array, start: number, row: number): number {
  let inText = false;
  for (let at = start + 1; at < bytes.byteLength; at++) {
    const byte = bytes[at];
    if (inText) {
      if (byte === backslash) at++;
      else if (byte === quote) inText = false;
    } else if (byte === quote) inText = true;
    else if (byte === closeRow) return at + 1;
    else if (byte === openRow || byte === openArray) {
      throw invalidData(`rows.${row} is nested; rows are flat objects of numbers, texts, true, false and null`, {
        path: `${row}`,
      });
    }
  }
  throw invalidData(`the rows are not JSON: they end within row ${row}`);
}
