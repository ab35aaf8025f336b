/**
 * Arrow tables as IPC streams. Owns what `tableToIPC` of apache-arrow 21 leaves to chance:
 *   - its writer joins neighbouring buffers that overlap in memory into one, so columns that share a buffer give a
 * broken stream;
 *   - ids of dictionaries come from a counter of the process, so equal tables give different bytes (and so different
 * digests) in different
 *     processes; ids of received tables all begin at 0, so that their columns clash when they meet in one table;
 *   - a batch whose schema differs from the first one's ends the stream without a word.
 */
import {
  type Data,
  DataType,
  Dictionary,
  Field,
  RecordBatch,
  RecordBatchStreamWriter,
  Schema,
  Struct,
  Table,
  tableFromIPC,
  Vector,
} from "apache-arrow";
import { VolleyError } from "../errors.js";

type Chunk = ArrayBufferView;
/** Memory for so many bytes, if there is any but the heap's; asked once, when nothing can go wrong any more. */
export type Placing = (bytes: number) => Uint8Array | undefined;

/** Collects the stream's pieces, so that they can be joined without looking at where they lie. */
class PieceWriter extends RecordBatchStreamWriter {
  readonly pieces: Uint8Array[] = [];
  bytes = 0;
  rows = 0;

  protected override _write(chunk: Chunk): this {
    if (!this._started) return this;
    const piece = new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    if (piece.byteLength > 0) this.pieces.push(piece);
    this.bytes += piece.byteLength;
    this._position += piece.byteLength;
    return this;
  }

  protected override _writeRecordBatch(batch: RecordBatch): this {
    this.rows += batch.numRows;
    return super._writeRecordBatch(batch);
  }
}

/**
 * An Arrow table as an IPC stream: the same table gives the same bytes in every process. It is written where `place`
 * says, if it says where. Throws TASK_UNSERIALIZABLE.
 */
export function encodeTable(table: Table): Uint8Array<ArrayBuffer>;
export function encodeTable(table: Table, place: Placing | undefined): Uint8Array;
export function encodeTable(table: Table, place?: Placing): Uint8Array {
  const { pieces, bytes } = tablePieces(table);
  const stream = place?.(bytes) ?? new Uint8Array(bytes);
  let at = 0;
  for (const piece of pieces) {
    stream.set(piece, at);
    at += piece.byteLength;
  }
  return stream;
}

/** The stream's pieces, in order: views on the table's columns where these are as they are written. */
export function tablePieces(table: Table): { readonly pieces: readonly Uint8Array[]; readonly bytes: number } {
  const writer = new PieceWriter();
  let dictionaries = 0;
  writer.write(hasDictionary(table.schema.fields) ? renumbered(table, () => dictionaries++) : table);
  writer.finish();
  if (writer.rows !== table.numRows) {
    throw new VolleyError(
      "TASK_UNSERIALIZABLE",
      `a table of ${table.numRows} rows has batches of different schemas (the first ones, of one schema, have ${writer.rows} rows); give all batches one schema`,
    );
  }
  return writer;
}

/**
 * A view on `data`. Its dictionaries get ids of this process, so that columns of several received tables can meet in
 * one.
 */
export function decodeTable(data: Uint8Array): Table {
  const table = tableFromIPC(data);
  return hasDictionary(table.schema.fields) ? renumbered(table, () => null) : table;
}

const hasDictionary = (fields: readonly Field[]): boolean =>
  fields.some(({ type }) => DataType.isDictionary(type) || hasDictionary((type.children as Field[] | null) ?? []));

/** `new Table` of empty vectors puts the vectors where their data belong. */
const dataOf = (child: Data | Vector): Data => (child instanceof Vector ? (child.data[0] as Data) : child);

/** The same table with other ids for its dictionaries, in the order of the schema. null: the next id of the process. */
function renumbered(table: Table, nextId: () => number | null): Table {
  const renumberType = (type: DataType): DataType => {
    if (DataType.isDictionary(type)) return new Dictionary(type.dictionary, type.indices, nextId(), type.isOrdered);
    const children = type.children as Field[] | null;
    if (!children || !hasDictionary(children)) return type;
    const copy = Object.assign(Object.create(Object.getPrototypeOf(type) as object), type) as { children: Field[] };
    copy.children = children.map(renumberField);
    return copy as unknown as DataType;
  };
  const renumberField = (field: Field): Field =>
    new Field(field.name, renumberType(field.type as DataType), field.nullable, field.metadata);
  const schema = new Schema(table.schema.fields.map(renumberField), table.schema.metadata);
  const retype = (data: Data, type: DataType): Data =>
    type === data.type
      ? data
      : data.clone(
          type,
          data.offset,
          data.length,
          data.nullCount,
          undefined,
          data.children.map((child, i) => retype(child, (type.children as Field[])[i]?.type as DataType)),
        );
  const batches = table.batches.map((batch) => {
    const struct = batch.data;
    const children = schema.fields.map((field, i) =>
      retype(dataOf(struct.children[i] as Data | Vector), field.type as DataType),
    );
    return new RecordBatch(
      schema,
      struct.clone(new Struct(schema.fields), struct.offset, struct.length, struct.nullCount, undefined, children),
    );
  });
  return new Table(schema, batches);
}
