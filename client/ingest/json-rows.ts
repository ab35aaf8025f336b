/** JSON rows: an array of flat objects. A key that a row leaves out is null; columns come in order of first appearance. */
import { isUtf8 } from "node:buffer";
import { VolleyError } from "../../proto/errors.js";
import { encodeColumns } from "./column.js";
import { columnsMax, givenType, type Ingested, invalidData, type TextType } from "./ingested.js";
import { TextColumn, TypeGuess } from "./text-column.js";

type Cell = string | number | boolean | null;
type Row = Readonly<Record<string, Cell>>;

export interface JsonRowsOptions {
  readonly rowsMax: number;
  readonly cellsMax: number;
  readonly types?: Readonly<Record<string, TextType>>;
}

export function decodeJsonRows(bytes: Uint8Array, options: JsonRowsOptions): Ingested {
  if (!isUtf8(bytes)) throw invalidData("the JSON is not UTF-8");
  let json: unknown;
  try {
    json = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8"));
  } catch (error) {
    throw invalidData(`the rows are not JSON: ${(error as Error).message}`);
  }
  if (!Array.isArray(json)) throw invalidData('expected an array of rows, like [{"a": 1}, {"a": 2}]');
  if (json.length > options.rowsMax) throw new VolleyError("TOO_LARGE", `${json.length} rows; at most ${options.rowsMax} are taken`);
  const names = columnNames(json, options);
  const rows = json as Row[];
  const columns = names.map((name) => ({ name, column: new TextColumn(name, givenType(options.types, name) ?? typeOf(name, rows)) }));
  rows.forEach((row, i) => {
    const where = (): string => `row ${i}`;
    for (const { name, column } of columns) {
      const cell = Object.hasOwn(row, name) ? row[name] : undefined;
      column.push(cell === null || cell === undefined ? undefined : textOf(cell), where);
    }
  });
  return encodeColumns(
    columns.map(({ column }, i) => column.finish(i)),
    rows.length,
  );
}

/** Numbers keep every bit as text: JavaScript writes the shortest text that reads back as the same number. -0 is the exception. */
const textOf = (cell: string | number | boolean): string => (Object.is(cell, -0) ? "-0" : String(cell));

function columnNames(rows: readonly unknown[], options: JsonRowsOptions): string[] {
  const names = new Set<string>();
  rows.forEach((row, i) => {
    if (typeof row !== "object" || row === null || Array.isArray(row)) throw invalidData(`rows.${i} is not an object`, { path: `${i}` });
    for (const [name, cell] of Object.entries(row)) {
      if (typeof cell === "object" && cell !== null)
        throw invalidData(`rows.${i}.${name} is nested; rows are flat objects of numbers, texts, true, false and null`, { path: `${i}.${name}` });
      names.add(name);
    }
    if (names.size > columnsMax) throw new VolleyError("TOO_LARGE", `the rows have more than ${columnsMax} different keys`);
  });
  if (names.size === 0) throw invalidData("the rows have no columns");
  if (rows.length * names.size > options.cellsMax)
    throw new VolleyError("TOO_LARGE", `${rows.length} rows of ${names.size} columns; at most ${options.cellsMax} values are taken`);
  for (const name of Object.keys(options.types ?? {})) {
    if (!names.has(name))
      throw new VolleyError(
        "INVALID_ARGUMENT",
        `a type is given for column ${JSON.stringify(name)}, but the rows have only ${[...names].slice(0, 20).join(", ")}`,
      );
  }
  return [...names];
}

function typeOf(name: string, rows: readonly Row[]): TextType {
  const guess = new TypeGuess(true);
  let kind: "string" | "number" | "boolean" | undefined;
  rows.forEach((row, i) => {
    const cell = Object.hasOwn(row, name) ? row[name] : undefined;
    if (cell === null || cell === undefined) return;
    const own = typeof cell as "string" | "number" | "boolean";
    if (kind !== undefined && own !== kind)
      throw invalidData(`rows.${i}.${name} is a ${own}, but rows before have a ${kind}`, { path: `${i}.${name}`, column: name });
    kind = own;
    if (own === "string") guess.add(cell as string);
  });
  if (kind === "string") return guess.result();
  return kind === "boolean" ? "bool" : "float64";
}
