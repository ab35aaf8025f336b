/**
 * In the thread: tables as user functions see them. The table's memory is the store's, which all threads read; a user's
 * function gets a copy of a buffer when it first asks for it (`toArray()`, `data[0].values`, an iterator), its own for
 * the length of its task. So what it writes is seen by nobody else, what it does not read is not copied, and `get(i)`
 * of a number, date or text copies nothing at all.
 *
 * When its task is over, what was not copied by then can no longer be read: the memory may be another object's.
 */
import {
  Data,
  DataType,
  type Dictionary,
  type Field,
  RecordBatch,
  type Schema,
  StructRow,
  Table,
  Vector,
} from "apache-arrow";
import { VolleyError } from "../../proto/errors.js";

/** The length of one task. */
export class TaskScope {
  open = true;
  /** Batches of a table share a dictionary, and writers insist on it. */
  readonly dictionaries = new Map<Vector, Vector>();

  assertOpen(): void {
    if (!this.open)
      throw new VolleyError(
        "INVALID_ARGUMENT",
        "a table was read after the task that received it had ended; keep a copy of what is needed (toArray())",
      );
  }
}

const bufferNames = ["valueOffsets", "values", "nullBitmap", "typeIds"] as const;
type BufferName = (typeof bufferNames)[number];
interface Buffers {
  readonly valueOffsets?: Int32Array | BigInt64Array;
  readonly values?: Uint8Array;
  readonly nullBitmap?: Uint8Array;
  readonly typeIds?: Int8Array;
  readonly variadicBuffers: readonly Uint8Array[];
}
const buffersOf = (data: Data): Buffers => data as unknown as Buffers;

const allocate = Buffer.allocUnsafeSlow;
type ArrayOf<T> = new (buffer: ArrayBufferLike, byteOffset: number, length: number) => T;

/** A copy in memory of its own. Not `slice`: it clears what it then fills, which takes three times as long. */
export function ownArray<T extends ArrayBufferView>(array: T): T {
  const { buffer, byteOffset, byteLength } = array;
  const bytes = allocate(byteLength);
  bytes.set(new Uint8Array(buffer, byteOffset, byteLength));
  if (Buffer.isBuffer(array)) return bytes as unknown as T;
  const { BYTES_PER_ELEMENT = 1 } = array as { BYTES_PER_ELEMENT?: number };
  return new (array.constructor as ArrayOf<T>)(bytes.buffer, 0, byteLength / BYTES_PER_ELEMENT);
}

/** What this file alone may see of a chunk: there must be no way from a table to the store's memory. */
let inside: {
  /** undefined while it is being constructed. */
  own(data: PrivateData): Map<string, unknown> | undefined;
  raw(data: PrivateData): Data;
  /** As long as nothing of it has been copied. */
  untouched(data: PrivateData): Data | undefined;
  scope(data: PrivateData): TaskScope;
  copy(data: PrivateData, name: BufferName): unknown;
};

/** A column's chunk whose buffers become copies when they are asked for. */
class PrivateData extends Data {
  readonly #raw: Data;
  readonly #scope: TaskScope;
  readonly #own = new Map<string, unknown>();

  constructor(raw: Data, scope: TaskScope) {
    super(raw.type as DataType, raw.offset, raw.length, (raw as unknown as { _nullCount: number })._nullCount);
    this.#raw = raw;
    this.#scope = scope;
  }

  static {
    inside = {
      own: (data) => (#own in data ? data.#own : undefined),
      raw: (data) => data.#raw,
      untouched: (data) => data.#untouched(),
      scope: (data) => data.#scope,
      copy: (data, name) => data.#copy(name),
    };
  }

  #copy(name: BufferName): unknown {
    const raw = buffersOf(this.#raw);
    const buffer = raw[name];
    if (!buffer) return buffer;
    const offsets = raw.valueOffsets;
    if (!offsets || !isText(this.#raw.type as DataType) || (name !== "values" && name !== "valueOffsets"))
      return ownArray(buffer);
    // A few rows of a long column: their part of the text, and offsets into that.
    const first = offsets[0] ?? 0;
    if (name === "values") return ownArray(buffer.subarray(Number(first), Number(offsets[this.length] ?? first)));
    const own = ownArray(offsets);
    if (own instanceof BigInt64Array)
      for (let i = 0; i < own.length; i++) own[i] = (own[i] as bigint) - (first as bigint);
    else if (own instanceof Int32Array)
      for (let i = 0; i < own.length; i++) own[i] = (own[i] as number) - (first as number);
    return own;
  }

  #untouched(): Data | undefined {
    if (this.#own.size === 0) return this.#raw;
    const children = this.#own.size === 1 ? (this.#own.get("children") as readonly Data[] | undefined) : undefined;
    if (children?.length !== this.#raw.children.length) return undefined;
    return children.every((child, i) => child instanceof PrivateData && child.#untouched() === this.#raw.children[i])
      ? this.#raw
      : undefined;
  }

  #readable(): Data | undefined {
    const raw = this.#untouched();
    if (raw) this.#scope.assertOpen();
    return raw;
  }

  override get byteLength(): number {
    return this.#untouched()?.byteLength ?? super.byteLength;
  }

  override get nullCount(): number {
    return this.#readable()?.nullCount ?? super.nullCount;
  }

  override get nullable(): boolean {
    return this.#readable()?.nullable ?? super.nullable;
  }

  override getValid(index: number): boolean {
    return this.#readable()?.getValid(index) ?? super.getValid(index);
  }

  override slice(offset: number, length: number): this {
    const raw = this.#readable();
    return (raw ? new PrivateData(raw.slice(offset, length), this.#scope) : super.slice(offset, length)) as this;
  }
}

/** Defined from outside: as overrides they would be fields, which the constructor of Data sets. */
function accessor(name: string, make: (data: PrivateData) => unknown): void {
  Object.defineProperty(PrivateData.prototype, name, {
    configurable: true,
    enumerable: true,
    get(this: PrivateData): unknown {
      const own = inside.own(this);
      if (!own) return undefined;
      if (!own.has(name)) {
        inside.scope(this).assertOpen();
        own.set(name, make(this));
      }
      return own.get(name);
    },
    set(this: PrivateData, value: unknown) {
      inside.own(this)?.set(name, value);
    },
  });
}
for (const name of bufferNames) accessor(name, (data) => inside.copy(data, name));
accessor("variadicBuffers", (data) => buffersOf(inside.raw(data)).variadicBuffers.map(ownArray));
accessor("children", (data) => inside.raw(data).children.map((child) => new PrivateData(child, inside.scope(data))));
accessor("dictionary", (data) => {
  const { dictionary } = inside.raw(data);
  return dictionary && privateDictionary(dictionary, inside.scope(data));
});
// Its type as an override would have to be generic.
Object.defineProperty(PrivateData.prototype, "clone", {
  value(this: PrivateData, ...args: Parameters<Data["clone"]>): Data {
    const [type = this.type, offset, length, nullCount, buffers = this, children] = args;
    const raw = inside.untouched(this);
    if (!raw || (buffers as unknown) !== this || children) return Data.prototype.clone.apply(this, args);
    return new PrivateData(raw.clone(type, offset, length, nullCount), inside.scope(this));
  },
});

function privateDictionary(raw: Vector, scope: TaskScope): Vector {
  let vector = scope.dictionaries.get(raw);
  if (!vector) {
    vector = new Vector(raw.data.map((data) => new PrivateData(data, scope) as Data));
    scope.dictionaries.set(raw, vector);
  }
  return vector;
}

const isText = (type: DataType): boolean =>
  DataType.isUtf8(type) || DataType.isLargeUtf8(type) || DataType.isBinary(type) || DataType.isLargeBinary(type);

/** Types whose values are numbers, bigints, booleans or strings: getting one gives no view. */
function isScalar(type: DataType): boolean {
  if (DataType.isDictionary(type)) return isScalar((type as Dictionary).dictionary);
  return (
    DataType.isBool(type) ||
    DataType.isInt(type) ||
    DataType.isFloat(type) ||
    DataType.isUtf8(type) ||
    DataType.isLargeUtf8(type) ||
    DataType.isDate(type) ||
    DataType.isTimestamp(type) ||
    DataType.isTime(type) ||
    DataType.isDuration(type)
  );
}

function privateVector(raw: Vector, data: readonly PrivateData[], scope: TaskScope): Vector {
  const vector = new Vector(data as unknown as Data[]);
  if (!isScalar(raw.type as DataType)) return vector;
  const ownGet = vector.get.bind(vector);
  const get = (index: number): unknown => {
    // Once a chunk has been copied it may have been changed as well.
    for (const chunk of data) if (inside.untouched(chunk) === undefined) return ownGet(index);
    scope.assertOpen();
    return raw.get(index);
  };
  Object.defineProperty(vector, "get", { value: get, configurable: true, writable: true, enumerable: false });
  return vector;
}

/** This many single rows are read without copying their columns; who reads more reads many. */
const rowsMax = 64;

/** What is made once of a table that tasks share: its columns over the store's memory. */
export class SharedTable {
  readonly raw: Table;
  readonly #columns: (Vector | null)[] = [];

  constructor(raw: Table) {
    this.raw = raw;
    fix(raw.schema);
  }

  #column(index: number): Vector | null {
    this.#columns[index] ??= this.raw.getChildAt(index);
    return this.#columns[index] ?? null;
  }

  /** The table for one task. Nothing is copied yet. */
  for(scope: TaskScope): Table {
    const { raw } = this;
    const { schema } = raw;
    if (raw.batches.length === 0) return new Table(schema);
    const batches = raw.batches.map((batch) =>
      Object.assign(Object.create(RecordBatch.prototype) as RecordBatch, {
        schema,
        data: new PrivateData(batch.data, scope),
        _metadata: new Map(batch.metadata),
      }),
    );
    const table = Object.assign(Object.create(Table.prototype) as Table, {
      schema,
      batches,
      _offsets: ownArray((raw as unknown as { _offsets: Uint32Array })._offsets),
    });
    const vectors: Vector[] = [];
    const hidden = { configurable: true, writable: true, enumerable: false };
    Object.defineProperty(table, "getChildAt", {
      ...hidden,
      value: (index: number) => this.#columnFor(scope, batches, vectors, index),
    });
    Object.defineProperty(table, "get", { ...hidden, value: rowReader(table, batches) });
    return table;
  }

  #columnFor(scope: TaskScope, batches: readonly RecordBatch[], vectors: Vector[], index: number): Vector | null {
    const known = vectors[index];
    if (known) return known;
    const raw = this.#column(index);
    if (!raw) return null;
    const data = batches.map((batch) => batch.data.children[index] as Data);
    // The task itself may have put another chunk there.
    const vector = data.every((chunk) => chunk instanceof PrivateData)
      ? privateVector(raw, data as unknown as PrivateData[], scope)
      : new Vector(data);
    vectors[index] = vector;
    return vector;
  }
}

/** Single rows copy themselves only. */
function rowReader(table: Table, batches: readonly RecordBatch[]): (index: number) => unknown {
  let rows = 0;
  return (index) => {
    if (rows++ < rowsMax && index >= 0) {
      let at = index;
      for (const { data } of batches) {
        if (at < data.length)
          return data instanceof PrivateData && inside.untouched(data) && data.nullCount === 0
            ? new StructRow(data.slice(at, 1) as never, 0)
            : plainRow(table, index);
        at -= data.length;
      }
    }
    return plainRow(table, index);
  };
}

const rowOf = Table.prototype.get;
const plainRow = (table: Table, index: number): unknown => rowOf.call(table, index);

/** A schema is one for all tasks of the thread, so it refuses writes. */
function fix(schema: Schema): void {
  if (Object.isFrozen(schema)) return;
  fixMap(schema.metadata);
  fixMap(schema.dictionaries);
  for (const field of schema.fields) fixField(field);
  Object.freeze(schema.fields);
  Object.freeze(schema);
}

function fixField(field: Field): void {
  fixMap(field.metadata);
  const type = field.type as DataType;
  for (const child of (type.children ?? []) as Field[]) fixField(child);
  if (type.children) Object.freeze(type.children);
  Object.freeze(type);
  Object.freeze(field);
}

function fixMap(map: Map<unknown, unknown>): void {
  const refuse = (): never => {
    throw new TypeError("the schema of a table that tasks share is read-only; make a new Schema");
  };
  for (const name of ["set", "delete", "clear"]) Object.defineProperty(map, name, { value: refuse });
}

/**
 * The same table over the store's memory where the task has not copied it, so that a result that passes columns on is
 * encoded from there. A table without such columns is given back as it is.
 */
export function bareTable(table: Table): Table {
  if (
    !table.batches.some(
      ({ data }) => data instanceof PrivateData || data.children.some((child) => child instanceof PrivateData),
    )
  )
    return table;
  const bare = (data: Data): Data => (data instanceof PrivateData ? (inside.untouched(data) ?? data) : data);
  const batches = table.batches.map((batch) => {
    const data = batch.data instanceof PrivateData ? inside.untouched(batch.data) : undefined;
    return new RecordBatch(
      table.schema,
      (data ??
        batch.data.clone(
          undefined,
          undefined,
          undefined,
          undefined,
          undefined,
          batch.data.children.map(bare) as never,
        )) as never,
    );
  });
  return new Table(table.schema, batches);
}
