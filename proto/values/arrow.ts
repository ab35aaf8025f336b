/**
 * Arrow tables whose parts come from another copy of apache-arrow: a second install, another version, its CommonJS
 * build, a subpath that a bundler has brought along. Since version 21 `instanceof` takes them for ours, while the
 * writer looks at classes of its own and writes what nobody can read. So identity is asked of prototypes, and a
 * stranger's table is built again from its buffers, without copying them, and read back once.
 */
import {
  Binary,
  Bool,
  Data,
  DataType,
  Date_,
  Decimal,
  Dictionary,
  Duration,
  Field,
  FixedSizeBinary,
  FixedSizeList,
  Float,
  Int,
  Interval,
  LargeBinary,
  LargeUtf8,
  List,
  Map_,
  Null,
  RecordBatch,
  Schema,
  Struct,
  Table,
  Time,
  Timestamp,
  Type,
  Union,
  Utf8,
  Vector,
} from "apache-arrow";
import { isVolleyError } from "../errors.js";
import { type Step, unserializable } from "./path.js";
import { decodeTable, encodeTable, type Placing, tablePieces } from "./table.js";

const isOwn = (made: { prototype: object }, value: object): boolean =>
  Object.prototype.isPrototypeOf.call(made.prototype, value);

type Shape = Readonly<Record<string, unknown>>;

/**
 * By what they have: their classes are another copy's, and their names a minifier's. Asked only of instances of
 * classes.
 */
const hasFields = (value: Shape): boolean =>
  typeof value.schema === "object" &&
  value.schema !== null &&
  Array.isArray((value.schema as Shape).fields) &&
  typeof value.numRows === "number";
const isTable = (value: Shape): boolean =>
  hasFields(value) && Array.isArray(value.batches) && typeof value.getChildAt === "function";
const isBatch = (value: Shape): boolean =>
  hasFields(value) && typeof value.data === "object" && typeof value.getChildAt === "function";
const isVectorLike = (value: Shape): boolean =>
  Array.isArray(value.data) &&
  typeof (value.type as Shape | undefined)?.typeId === "number" &&
  typeof value.get === "function";

/**
 * The stream of a table or record batch, ours or another copy's; undefined if the value is neither. Throws
 * TASK_UNSERIALIZABLE.
 */
export const encodeForeignOrOwn = (value: object, trail: readonly Step[], place?: Placing): Uint8Array | undefined =>
  inForm(value, trail, { own: (table) => encodeTable(table, place), joined: (stream) => stream });

/** The same in pieces, views on the value's memory where they can be. */
export const piecesOfForeignOrOwn = (value: object): readonly Uint8Array[] | undefined =>
  inForm(value, [], { own: (table) => tablePieces(table).pieces, joined: (stream) => [stream] });

interface Form<T> {
  own(table: Table): T;
  joined(stream: Uint8Array): T;
}

function inForm<T>(value: object, trail: readonly Step[], form: Form<T>): T | undefined {
  if (isOwn(Table, value)) return encodeAny(value as Table, trail, form);
  if (isOwn(RecordBatch, value)) return encodeAny(new Table([value as RecordBatch]), trail, form);
  const shape = value as unknown as Shape;
  if (isOwn(Vector, value) || isVectorLike(shape)) throw unserializable(trail, "an Arrow vector; wrap it in a table");
  if (isTable(shape)) return form.joined(encodeForeign(value as unknown as ForeignTable, trail));
  if (!isBatch(shape)) return undefined;
  const batch = value as unknown as ForeignBatch & { schema: ForeignSchema };
  return form.joined(encodeForeign({ schema: batch.schema, batches: [batch], numRows: batch.data.length }, trail));
}

function encodeAny<T>(table: Table, trail: readonly Step[], form: Form<T>): T {
  const own =
    isOwn(Schema, table.schema) &&
    table.schema.fields.every((field) => isOwn(Field, field) && isOwnType(field.type as DataType)) &&
    table.batches.every((batch) => isOwn(RecordBatch, batch) && isOwnData(batch.data as Data));
  if (!own) return form.joined(encodeForeign(table as unknown as ForeignTable, trail));
  try {
    return form.own(table);
  } catch (error) {
    if (isVolleyError(error)) throw error;
    throw unserializable(
      trail,
      `an Arrow table that apache-arrow cannot write (${error instanceof Error ? error.message : String(error)})`,
      error,
    );
  }
}

const isOwnType = (type: DataType): boolean => {
  if (!isOwn(DataType, type)) return false;
  if (DataType.isDictionary(type)) return isOwnType(type.indices as DataType) && isOwnType(type.dictionary as DataType);
  return ((type.children as Field[] | null) ?? []).every(
    (field) => isOwn(Field, field) && isOwnType(field.type as DataType),
  );
};

const isOwnData = (data: Data): boolean =>
  // `new Table` of empty vectors puts vectors where data belong.
  isOwn(Vector, data)
    ? (data as unknown as Vector).data.every((part) => isOwnData(part as Data))
    : isOwn(Data, data) &&
      isOwn(DataType, data.type as object) &&
      (data.children as Data[]).every(isOwnData) &&
      (data.dictionary === undefined ||
        (isOwn(Vector, data.dictionary) && data.dictionary.data.every((part) => isOwnData(part as Data))));

// ------------------------------------------------------------------------------------------------ of strangers

interface ForeignType {
  readonly typeId: number;
  readonly children?: readonly ForeignField[] | null;
  readonly [parameter: string]: unknown;
}
interface ForeignField {
  readonly name: string;
  readonly type: ForeignType;
  readonly nullable: boolean;
  readonly metadata?: Map<string, string>;
}
interface ForeignSchema {
  readonly fields: readonly ForeignField[];
  readonly metadata?: Map<string, string>;
}
interface ForeignData {
  readonly type: ForeignType;
  readonly offset: number;
  readonly length: number;
  readonly nullCount: number;
  readonly valueOffsets?: unknown;
  readonly values?: unknown;
  readonly nullBitmap?: unknown;
  readonly typeIds?: unknown;
  readonly children?: readonly (ForeignData | ForeignVector)[];
  readonly dictionary?: ForeignVector;
}
interface ForeignVector {
  readonly data: readonly ForeignData[];
}
interface ForeignBatch {
  readonly data: ForeignData;
}
interface ForeignTable {
  readonly schema: ForeignSchema;
  readonly batches: readonly ForeignBatch[];
  readonly numRows: number;
}

const ownVersion = "21.2";
const tableMark = Symbol.for("apache-arrow/Table");

function encodeForeign(foreign: ForeignTable, trail: readonly Step[]): Uint8Array<ArrayBuffer> {
  try {
    const stream = encodeTable(tableOf(foreign));
    const back = decodeTable(stream);
    const shape = (fields: readonly { name: string; type: unknown }[]): string =>
      fields.map(({ name, type }) => `${name}: ${String(type)}`).join(", ");
    const [sent, read] = [shape(foreign.schema.fields), shape(back.schema.fields as Field[])];
    if (back.numRows !== foreign.numRows || read !== sent)
      throw new Error(`${foreign.numRows} rows of (${sent}) would arrive as ${back.numRows} rows of (${read})`);
    return stream;
  } catch (error) {
    const other = (foreign as { [tableMark]?: unknown })[tableMark] === true ? "a second copy" : "a version before 21";
    const why = error instanceof Error ? error.message : String(error);
    throw unserializable(
      trail,
      `a table of another apache-arrow (${other}; Volley's is ${ownVersion}) that could not be taken over (${why}): install ${ownVersion} once, or send the bytes of its tableToIPC`,
      error,
    );
  }
}

function tableOf(foreign: ForeignTable): Table {
  const schema = new Schema(foreign.schema.fields.map(fieldOf), foreign.schema.metadata);
  const struct = new Struct(schema.fields);
  return new Table(
    schema,
    foreign.batches.map(({ data }) => new RecordBatch(schema, dataOf(data, struct) as Data<Struct>)),
  );
}

const fieldOf = (field: ForeignField): Field =>
  new Field(field.name, typeOf(field.type), field.nullable, field.metadata);

/** The same type of our own classes. Throws for a type that is not known here. */
function typeOf(type: ForeignType): DataType {
  const make = makers[type.typeId as Type];
  if (!make) throw new Error(`its type ${String(type)} is not known`);
  return make(type, (type.children ?? []).map(fieldOf));
}

type Maker = (type: ForeignType, children: Field[]) => DataType;

const makers: Partial<Record<Type, Maker>> = {
  [Type.Null]: () => new Null(),
  [Type.Int]: (type) => new Int(type.isSigned as never, type.bitWidth as never) as DataType,
  [Type.Float]: (type) => new Float(type.precision as never) as DataType,
  [Type.Binary]: () => new Binary(),
  [Type.LargeBinary]: () => new LargeBinary(),
  [Type.Utf8]: () => new Utf8(),
  [Type.LargeUtf8]: () => new LargeUtf8(),
  [Type.Bool]: () => new Bool(),
  [Type.Decimal]: (type) => new Decimal(type.scale as number, type.precision as number, type.bitWidth as number),
  [Type.Date]: (type) => new Date_(type.unit as never) as DataType,
  [Type.Time]: (type) => new Time(type.unit as never, type.bitWidth as never) as DataType,
  [Type.Timestamp]: (type) => new Timestamp(type.unit as never, type.timezone as never) as DataType,
  [Type.Interval]: (type) => new Interval(type.unit as never) as DataType,
  [Type.Duration]: (type) => new Duration(type.unit as never) as DataType,
  [Type.List]: (_type, [child]) => new List(child as Field),
  [Type.Struct]: (_type, children) => new Struct(children),
  [Type.Union]: (type, children) => new Union(type.mode as never, type.typeIds as never, children) as DataType,
  [Type.FixedSizeBinary]: (type) => new FixedSizeBinary(type.byteWidth as number),
  [Type.FixedSizeList]: (type, [child]) => new FixedSizeList(type.listSize as number, child as Field),
  [Type.Map]: (type, [child]) => new Map_(child as never, type.keysSorted as boolean) as DataType,
  [Type.Dictionary]: (type) =>
    new Dictionary(
      typeOf(type.dictionary as ForeignType),
      typeOf(type.indices as ForeignType) as never,
      type.id as number,
      type.isOrdered as boolean,
    ) as DataType,
};

const isVector = (part: ForeignData | ForeignVector): part is ForeignVector =>
  !("type" in part && "length" in part && "offset" in part);

/** The same buffers under our own type. */
function dataOf(given: ForeignData | ForeignVector, type: DataType): Data {
  const data = isVector(given) ? (given.data[0] as ForeignData) : given;
  const childTypes = DataType.isDictionary(type)
    ? []
    : ((type.children as Field[] | null) ?? []).map((field) => field.type as DataType);
  const children = (data.children ?? []).map((child, i) => dataOf(child, childTypes[i] as DataType));
  const dictionary =
    DataType.isDictionary(type) && data.dictionary
      ? new Vector(data.dictionary.data.map((part) => dataOf(part, type.dictionary as DataType)))
      : undefined;
  const buffers = [data.valueOffsets, valuesOf(data.values, type), data.nullBitmap, data.typeIds];
  return new Data(
    type,
    data.offset,
    data.length,
    data.nullCount,
    buffers as never,
    children as never,
    dictionary as never,
  );
}

/** Versions before 15 keep 64 bits as pairs of 32: the same bytes, seen as ours sees them. */
function valuesOf(values: unknown, type: DataType): unknown {
  if (!ArrayBuffer.isView(values) || DataType.isBool(type) || DataType.isDictionary(type)) return values;
  const View = type.ArrayType as (new (
    buffer: ArrayBufferLike,
    offset: number,
    length: number,
  ) => ArrayBufferView) & { BYTES_PER_ELEMENT?: number };
  const width = View?.BYTES_PER_ELEMENT;
  if (width === undefined || isOwn(View as { prototype: object }, values) || values.byteLength % width !== 0)
    return values;
  const aligned = values.byteOffset % width === 0;
  const bytes = aligned
    ? undefined
    : Uint8Array.from(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  return new View(bytes?.buffer ?? values.buffer, bytes?.byteOffset ?? values.byteOffset, values.byteLength / width);
}
