/**
 * Results in the form the client asks for: an Arrow stream, Parquet, JSON or CSV. What a form cannot hold is
 * NOT_ACCEPTABLE, said before the first byte.
 */
import { Readable } from "node:stream";
import { setImmediate } from "node:timers/promises";
import { makeData, RecordBatch, RecordBatchStreamWriter, type Schema, Struct, Table } from "apache-arrow";
import { ParquetEncoder } from "../../data/lake/index.js";
import { isVolleyError, VolleyError } from "../../proto/errors.js";
import { ByteBudget, bytesOf, Hold } from "./held-bytes.js";
import { type Plain, plain, plainRows } from "./plain-json.js";

export const mediaTypes = {
  json: "application/json",
  arrow: "application/vnd.apache.arrow.stream",
  csv: "text/csv",
  parquet: "application/vnd.apache.parquet",
} as const;
export type MediaType = keyof typeof mediaTypes;

/**
 * The best form by the Accept header's weights; between equals, JSON first. NOT_ACCEPTABLE if it names none of ours.
 */
export function mediaTypeOf(accept: string | undefined): MediaType {
  const ranges = (accept?.trim() ? accept : "*/*").split(",").map((part) => {
    const [range = "", ...parameters] = part.split(";").map((text) => text.trim().toLowerCase());
    const weight = parameters.find((text) => text.startsWith("q="));
    return { range, weight: weight === undefined ? 1 : Number(weight.slice(2)) || 0 };
  });
  const weightOf = (type: string): number => {
    const specific = (range: string): number =>
      range === type ? 3 : range === `${type.split("/")[0]}/*` ? 2 : range === "*/*" ? 1 : 0;
    const best = ranges
      .filter(({ range }) => specific(range) > 0)
      .sort((a, b) => specific(b.range) - specific(a.range))[0];
    return best?.weight ?? 0;
  };
  const [first] = (Object.keys(mediaTypes) as MediaType[])
    .map((mediaType) => ({ mediaType, weight: weightOf(mediaTypes[mediaType]) }))
    .sort((a, b) => b.weight - a.weight);
  if (!first || first.weight === 0)
    throw new VolleyError(
      "NOT_ACCEPTABLE",
      `a result can be given as ${Object.values(mediaTypes).join(", ")}, but Accept is ${JSON.stringify(accept)}`,
    );
  return first.mediaType;
}

export interface Rendered {
  readonly contentType: string;
  readonly body: Readable;
}

/** Bytes of results that are looked at before the answer begins. */
const lookAheadBytes = 64 * 1024 * 1024;
/** Least that a result counts for, whatever it is. */
const resultBytesMin = 1_024;

interface Looked {
  readonly ahead: readonly unknown[];
  readonly all: () => AsyncGenerator<unknown>;
}

/**
 * Takes results until they end, `lookAheadBytes` of them have been seen, or there is no more room beside other answers.
 * So a form that cannot hold them is refused with a status and a reason, except where a very large result changes its
 * shape far behind its start: then the connection is cut, and no end marker is sent.
 */
async function lookAhead(values: AsyncIterable<unknown>, hold: Hold): Promise<Looked> {
  const iterator = values[Symbol.asyncIterator]();
  const ahead: unknown[] = [];
  let bytes = 0;
  let pending: Promise<IteratorResult<unknown>> | undefined;
  let ended = false;
  while (bytes < lookAheadBytes) {
    pending = iterator.next();
    pending.catch(() => undefined); // Awaited below, or when its turn comes.
    const next = await Promise.race([pending, hold.full]);
    if (next === "full") break;
    pending = undefined;
    ended = next.done === true;
    if (next.done) break;
    ahead.push(next.value);
    bytes += Math.max(resultBytesMin, bytesOf(next.value, lookAheadBytes));
  }
  hold.lookedAhead();
  const all = async function* (): AsyncGenerator<unknown> {
    try {
      for (let i = 0; i < ahead.length; i++) {
        yield ahead[i];
        ahead[i] = undefined;
        hold.release();
      }
      while (!ended) {
        const next = await (pending ?? iterator.next());
        pending = undefined;
        if (next.done) return;
        yield next.value;
        hold.release();
      }
    } finally {
      hold.close();
      // Not awaited: it ends when what it waits for has.
      void iterator.return?.()?.catch(() => undefined);
    }
  };
  return { ahead, all };
}

/** For results that are here already. */
const unbounded = (): Hold => new Hold(new ByteBudget(Number.POSITIVE_INFINITY), 0);

/**
 * `head`: fields to stand before the results in the JSON form. `hold`: what has admitted the values; whoever made it
 * closes it when the answer has ended.
 */
export async function render(
  mediaType: MediaType,
  values: AsyncIterable<unknown>,
  head: Readonly<Record<string, unknown>>,
  hold = unbounded(),
): Promise<Rendered> {
  const looked = await lookAhead(values, hold);
  switch (mediaType) {
    case "arrow":
      return { contentType: mediaTypes.arrow, body: arrowStream(looked) };
    case "parquet":
      return { contentType: mediaTypes.parquet, body: parquetStream(looked) };
    case "csv":
      return { contentType: `${mediaTypes.csv}; charset=utf-8; header=present`, body: csvStream(looked) };
    case "json":
      return { contentType: `${mediaTypes.json}; charset=utf-8`, body: bytesFrom(joined(jsonParts(looked, head))) };
  }
}

// ------------------------------------------------------------------------------------------------ Arrow

const notAcceptable = (why: string): VolleyError => new VolleyError("NOT_ACCEPTABLE", why);

/** Names and types of columns; ids of dictionaries do not count. */
const shapeOf = (schema: Schema): string => schema.fields.map((field) => `${field.name}: ${field.type}`).join(", ");

function asTable(value: unknown, schema: Schema | undefined, index: number, mediaType: string): Table {
  if (!(value instanceof Table))
    throw notAcceptable(
      `result ${index} is not a table, so it cannot be given as ${mediaType}; ask for application/json`,
    );
  if (schema && shapeOf(schema) !== shapeOf(value.schema)) {
    throw notAcceptable(
      `the results are tables of different columns (${shapeOf(schema)} and, at result ${index}, ${shapeOf(value.schema)}); ask for application/json`,
    );
  }
  return value;
}

function arrowStream({ ahead, all }: Looked): Readable {
  if (ahead.length === 0) throw notAcceptable("there are no results to give as an Arrow stream");
  const { schema } = asTable(ahead[0], undefined, 0, "an Arrow stream");
  ahead.forEach((value, index) => void asTable(value, schema, index, "an Arrow stream"));
  const batches = async function* (): AsyncGenerator<RecordBatch> {
    let index = 0;
    for await (const value of all()) {
      for (const batch of asTable(value, schema, index, "an Arrow stream").batches) yield underSchema(batch, schema);
      index++;
    }
  };
  const writer = RecordBatchStreamWriter.throughNode() as unknown as NodeJS.ReadWriteStream & Readable;
  const source = Readable.from(withSchema(batches(), schema), { objectMode: true, highWaterMark: 2 });
  source.on("error", (error) => writer.destroy(error));
  writer.on("close", () => source.destroy());
  source.pipe(writer);
  return writer;
}

/** A stream has its schema even if no table has a row. */
async function* withSchema(batches: AsyncGenerator<RecordBatch>, schema: Schema): AsyncGenerator<RecordBatch> {
  let some = false;
  for await (const batch of batches) {
    some = true;
    yield batch;
  }
  if (!some)
    yield new RecordBatch(
      schema,
      makeData({
        type: new Struct(schema.fields),
        length: 0,
        nullCount: 0,
        children: schema.fields.map(({ type }) => makeData({ type, length: 0 } as never)),
      }),
    );
}

/** The same columns under the first table's schema: one stream has one schema, with one id per dictionary. */
function underSchema(batch: RecordBatch, schema: Schema): RecordBatch {
  const children = schema.fields.map((field, i) => {
    const child = batch.data.children[i];
    if (!child) throw notAcceptable(`a batch lacks the column ${JSON.stringify(field.name)}`);
    return child.clone(field.type);
  });
  return new RecordBatch(
    schema,
    makeData({ type: new Struct(schema.fields), length: batch.numRows, nullCount: 0, children }),
  );
}

// ------------------------------------------------------------------------------------------------ Parquet

/** Rows of a row group; encoding one is the longest that other requests wait. */
const rowGroupRows = 65_536;

function parquetStream({ ahead, all }: Looked): Readable {
  if (ahead.length === 0) throw notAcceptable("there are no results to give as Parquet");
  const { schema } = asTable(ahead[0], undefined, 0, "Parquet");
  ahead.forEach((value, index) => void asTable(value, schema, index, "Parquet"));
  const encoder = encoderOf(schema);
  const parts = async function* (): AsyncGenerator<Uint8Array> {
    let waiting: Table[] = [];
    let rows = 0;
    let index = 0;
    for await (const value of all()) {
      const table = asTable(value, schema, index++, "Parquet");
      waiting.push(table);
      rows += table.numRows;
      if (rows < rowGroupRows) continue;
      let whole = (waiting[0] as Table).concat(...waiting.slice(1));
      for (; whole.numRows >= rowGroupRows; whole = whole.slice(rowGroupRows)) {
        yield encoder.push(whole.slice(0, rowGroupRows), rowGroupRows);
        await setImmediate();
      }
      [waiting, rows] = [[whole], whole.numRows];
    }
    if (rows > 0) yield encoder.push((waiting[0] as Table).concat(...waiting.slice(1)), rowGroupRows);
    yield encoder.finish();
  };
  return bytesFrom(parts());
}

function encoderOf(schema: Schema): ParquetEncoder {
  try {
    // Whether later tables have nulls is not known when the file begins.
    return new ParquetEncoder(schema, () => true);
  } catch (error) {
    throw isVolleyError(error) ? notAcceptable(`${error.message}; or ask for ${mediaTypes.arrow}`) : error;
  }
}

// ------------------------------------------------------------------------------------------------ JSON

/** Tables become one list of rows, anything else a list of values; which it is follows from the first result. */
async function* jsonParts({ ahead, all }: Looked, head: Readonly<Record<string, unknown>>): AsyncGenerator<string> {
  const tables = ahead.length > 0 && ahead.every((value) => value instanceof Table);
  const opening = JSON.stringify({ ...head, kind: tables ? "rows" : "values" }).slice(0, -1);
  yield `${opening},${JSON.stringify(tables ? "rows" : "values")}:[`;
  let first = true;
  const item = (value: Plain): string => {
    const text = `${first ? "" : ","}${JSON.stringify(value)}`;
    first = false;
    return text;
  };
  for await (const value of all()) {
    if (tables && value instanceof Table) for (const row of plainRows(value)) yield item(row);
    else yield item(plain(value));
  }
  yield "]}\n";
}

const partBytes = 64 * 1024;

/** Ahead of the socket by bytes, not by pieces, which may be large. */
const bytesFrom = (pieces: AsyncGenerator<Uint8Array>): Readable =>
  Readable.from(pieces, { objectMode: false, highWaterMark: partBytes });

/** Rows are small; sockets like larger pieces. */
async function* joined(parts: AsyncGenerator<string>): AsyncGenerator<Buffer> {
  let waiting: string[] = [];
  let length = 0;
  for await (const part of parts) {
    waiting.push(part);
    length += part.length;
    if (length < partBytes) continue;
    yield Buffer.from(waiting.join(""));
    waiting = [];
    length = 0;
  }
  if (length > 0) yield Buffer.from(waiting.join(""));
}

// ------------------------------------------------------------------------------------------------ CSV

type Row = { [key: string]: Plain };

/**
 * A result as rows: a table's; a list of flat objects; one flat object; or a single value in a column named `value`.
 */
function* rowsOf(value: unknown, index: number): Generator<Row> {
  if (value instanceof Table) return yield* plainRows(value);
  const json = plain(value);
  for (const row of Array.isArray(json) ? json : [json]) {
    if (typeof row !== "object" || row === null) {
      yield { value: row };
      continue;
    }
    if (Array.isArray(row) || Object.values(row).some((cell) => typeof cell === "object" && cell !== null)) {
      throw notAcceptable(`result ${index} is nested, so it cannot be given as text/csv; ask for application/json`);
    }
    yield row;
  }
}

const namesOf = (value: unknown, index: number): string[] => {
  if (value instanceof Table) return value.schema.fields.map((field) => field.name);
  const names = new Set<string>();
  for (const row of rowsOf(value, index)) for (const name of Object.keys(row)) names.add(name);
  return [...names];
};

function csvStream({ ahead, all }: Looked): Readable {
  const names = ahead.length === 0 ? [] : namesOf(ahead[0], 0);
  const same = (value: unknown, index: number): void => {
    const own = namesOf(value, index);
    if (own.join("\n") === names.join("\n")) return;
    throw notAcceptable(
      `results have different columns (${names.join(", ")} and, at result ${index}, ${own.join(", ")}), so they are not one CSV; ask for application/json`,
    );
  };
  ahead.forEach(same);
  const lines = async function* (): AsyncGenerator<string> {
    yield csvLine(names);
    let index = 0;
    for await (const value of all()) {
      if (index >= ahead.length) same(value, index);
      for (const row of rowsOf(value, index)) yield csvLine(names.map((name) => row[name] ?? null));
      index++;
    }
  };
  return bytesFrom(joined(lines()));
}

/** RFC 4180. null is the empty field; the empty text is quoted, so that the two stay apart. */
function csvLine(cells: readonly Plain[]): string {
  const texts = cells.map((cell) => {
    if (cell === null) return "";
    const text = String(cell);
    return text === "" || /[",\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  });
  return `${texts.join(",")}\r\n`;
}
