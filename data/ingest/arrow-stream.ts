/**
 * An Arrow IPC stream that nobody vouches for. apache-arrow's own reader is never given these bytes: everything is read
 * here, checked against the format, and only then built into a table, so there are no two readers that could understand
 * the same bytes differently.
 *
 * What is checked: framing and lengths of every message up to the end marker; metadata (arrow-metadata.ts); that every
 * buffer lies in its body, in order, and has the size its rows need; null counts; offsets; UTF-8; dictionary indices.
 * What cannot be seen is a change inside a value: Arrow has no checksum (see IngestOptions.sha256).
 */
import { isUtf8 } from "node:buffer";
import { VolleyError } from "../../proto/errors.js";
import { indexOf } from "./arrow-file.js";
import {
  type BatchSpec,
  type Block,
  type FieldSpec,
  type FlatType,
  type Index,
  type MessageSpec,
  readMessage,
} from "./arrow-metadata.js";
import {
  type Column,
  type DictionaryPiece,
  encodeColumns,
  mergeDictionaries,
  mergePieces,
  type Piece,
} from "./column.js";
import { type Ingested, invalidData } from "./ingested.js";

const continuation = 0xffff_ffff;
const metadataBytesMax = 16 * 1024 * 1024;
/** Writers pad buffers to 8 or 64 bytes, and some count the padding in. More is not padding. */
const paddingMax = 64;

interface Message {
  readonly metadata: Uint8Array;
  /** Offset of the byte after the metadata. */
  readonly bodyAt: number;
}

function nextMessage(bytes: Uint8Array, view: DataView, at: number): Message | undefined {
  if (at + 8 > bytes.byteLength)
    throw invalidData(`the Arrow stream ends at byte ${bytes.byteLength} without its end marker: it was cut off`);
  if (view.getUint32(at, true) !== continuation)
    throw invalidData(`byte ${at} is not the start of an Arrow stream message (0xFFFFFFFF)`);
  const length = view.getInt32(at + 4, true);
  if (length === 0) {
    if (at + 8 !== bytes.byteLength)
      throw invalidData(`${bytes.byteLength - at - 8} bytes follow the end of the Arrow stream`);
    return undefined;
  }
  const bodyAt = at + 8 + length;
  if (length < 0 || length > metadataBytesMax || bodyAt > bytes.byteLength)
    throw invalidData(
      `the Arrow message at byte ${at} announces ${length} bytes of metadata of ${bytes.byteLength - at - 8}`,
    );
  if (bodyAt % 8 !== 0) throw invalidData(`the Arrow message at byte ${at} is not padded to 8 bytes`);
  return { metadata: bytes.subarray(at + 8, bodyAt), bodyAt };
}

interface Dictionary {
  readonly of: FieldSpec;
  words: readonly Piece[] | undefined;
}

interface Part {
  readonly spec: MessageSpec;
  readonly body: Uint8Array;
  /** The message's number. */
  readonly n: number;
}

function partAt(bytes: Uint8Array, { metadata, bodyAt }: Message, n: number): Part {
  const spec = readMessage(metadata);
  const end = bodyAt + spec.bodyBytes;
  if (spec.bodyBytes % 8 !== 0 || end > bytes.byteLength)
    throw invalidData(
      `Arrow message ${n} announces a body of ${spec.bodyBytes} bytes where ${bytes.byteLength - bodyAt} are left`,
    );
  return { spec, body: bytes.subarray(bodyAt, end), n };
}

function* partsOfStream(bytes: Uint8Array, view: DataView): Generator<Part> {
  let at = 0;
  for (let n = 0; ; n++) {
    const message = nextMessage(bytes, view, at);
    if (!message) return;
    const part = partAt(bytes, message, n);
    at = message.bodyAt + part.body.byteLength;
    yield part;
  }
}

/** All dictionaries, then all batches; the schema is the index's. */
function* partsOfFile(bytes: Uint8Array, view: DataView, { fields, dictionaries, batches }: Index): Generator<Part> {
  let n = 0;
  yield { spec: { header: "schema", bodyBytes: 0, fields }, body: bytes.subarray(0, 0), n };
  const read = (block: Block, header: MessageSpec["header"]): Part => {
    const message = nextMessage(bytes, view, block.offset);
    const part = message && partAt(bytes, message, ++n);
    if (!part || part.spec.header !== header)
      throw invalidData(`the index of the Arrow file has a ${header} at byte ${block.offset}, where there is none`);
    if (part.body.byteOffset + part.body.byteLength > bytes.byteOffset + block.offset + block.bytes)
      throw invalidData(
        `the index of the Arrow file gives the ${header} at byte ${block.offset} ${block.bytes} bytes, fewer than it has`,
      );
    return part;
  };
  for (const block of dictionaries) yield read(block, "dictionary");
  for (const block of batches) yield read(block, "batch");
}

/** A stream, or a file. */
export function decodeArrow(bytes: Uint8Array, limits: { rowsMax: number; cellsMax: number }): Ingested {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const index = indexOf(bytes);
  let fields: readonly FieldSpec[] | undefined;
  const dictionaries = new Map<number, Dictionary>();
  const pieces: (Piece | DictionaryPiece)[][] = [];
  let rows = 0;
  for (const { spec, body, n } of index ? partsOfFile(bytes, view, index) : partsOfStream(bytes, view)) {
    if (spec.header === "schema") {
      if (fields) throw invalidData(`Arrow message ${n} is a second schema`);
      if (spec.bodyBytes !== 0) throw invalidData(`the Arrow schema has a body of ${spec.bodyBytes} bytes`);
      fields = spec.fields;
      for (const field of fields) {
        pieces.push([]);
        if (field.dictionary && dictionaries.has(field.dictionary.id)) shareDictionary(dictionaries, field);
        else if (field.dictionary) dictionaries.set(field.dictionary.id, { of: field, words: undefined });
      }
      continue;
    }
    if (!fields) throw invalidData("the Arrow stream does not begin with a schema");
    const reader = new BatchReader(body, spec.batch, n);
    if (spec.header === "dictionary") {
      readDictionary(reader, spec, dictionaries, n);
    } else {
      // First whether the rows are there at all, then whether they are too many: a false count is a fault, not a size.
      fields.forEach((field, i) =>
        pieces[i]?.push(
          reader.column(field, field.dictionary ? dictionaries.get(field.dictionary.id)?.words : undefined),
        ),
      );
      reader.end();
      rows += spec.batch.rows;
      if (rows > limits.rowsMax)
        throw new VolleyError(
          "TOO_LARGE",
          `the Arrow stream has ${rows} rows or more; at most ${limits.rowsMax} are taken`,
        );
      if (rows * fields.length > limits.cellsMax)
        throw new VolleyError(
          "TOO_LARGE",
          `the Arrow stream has ${rows} rows of ${fields.length} columns; at most ${limits.cellsMax} values are taken`,
        );
    }
  }
  if (!fields) throw invalidData("the Arrow stream has no schema");
  return encodeColumns(
    fields.map((field, i) => finishColumn(field, i, pieces[i] ?? [])),
    rows,
  );
}

/** Two columns may share a dictionary if they agree on what its words are. */
function shareDictionary(dictionaries: ReadonlyMap<number, Dictionary>, field: FieldSpec): void {
  const first = dictionaries.get(field.dictionary?.id ?? -1)?.of;
  if (
    first &&
    String(first.type) === String(field.type) &&
    JSON.stringify(first.layout) === JSON.stringify(field.layout)
  )
    return;
  throw invalidData(
    `Arrow columns ${JSON.stringify(first?.name)} and ${JSON.stringify(field.name)} share a dictionary but not its type`,
  );
}

function readDictionary(
  reader: BatchReader,
  spec: { id: number; delta: boolean },
  dictionaries: ReadonlyMap<number, Dictionary>,
  n: number,
): void {
  const dictionary = dictionaries.get(spec.id);
  if (!dictionary) throw invalidData(`Arrow message ${n} is for dictionary ${spec.id}, which no column uses`);
  if (spec.delta && !dictionary.words)
    throw invalidData(`Arrow message ${n} adds to dictionary ${spec.id} before it was given`);
  const { name, layout, type } = dictionary.of;
  const words = reader.flat({ layout, type }, `the dictionary of ${JSON.stringify(name)}`);
  reader.end();
  // A new array each time: batches before this one keep the dictionary they were written with.
  dictionary.words = spec.delta ? [...(dictionary.words ?? []), words] : [words];
}

function finishColumn(field: FieldSpec, index: number, pieces: readonly (Piece | DictionaryPiece)[]): Column {
  const data = field.dictionary
    ? mergeDictionaries(field, index, pieces as DictionaryPiece[])
    : mergePieces(field, pieces as Piece[]);
  if (!field.nullable && data.nullCount > 0)
    throw invalidData(
      `Arrow column ${JSON.stringify(field.name)} is declared not nullable but has ${data.nullCount} nulls`,
    );
  return { name: field.name, data };
}

/** Takes the columns of one batch in order; each takes its node and its buffers from where the last one ended. */
class BatchReader {
  readonly #body: Uint8Array;
  readonly #batch: BatchSpec;
  readonly #where: string;
  #node = 0;
  #buffer = 0;
  #end = 0;

  constructor(body: Uint8Array, batch: BatchSpec, message: number) {
    this.#body = body;
    this.#batch = batch;
    this.#where = `Arrow message ${message}`;
    if (batch.rows > 0x7fff_ffff) throw invalidData(`${this.#where} has ${batch.rows} rows`);
  }

  column(field: FieldSpec, words: readonly Piece[] | undefined): Piece | DictionaryPiece {
    const what = `column ${JSON.stringify(field.name)}`;
    if (!field.dictionary) return this.flat(field, what);
    const { width, signed } = field.dictionary.index;
    const raw = this.flat({ layout: { kind: "fixed", width }, type: field.type }, what);
    if (!words && raw.length > 0) throw this.#fault(what, "comes before its dictionary");
    const count = (words ?? []).reduce((sum, piece) => sum + piece.length, 0);
    return {
      length: raw.length,
      validity: raw.validity,
      words: words ?? [],
      indices: this.#indices(raw, width, signed, count, what),
    };
  }

  flat(flat: FlatType, what: string): Piece {
    const node = this.#batch.nodes[this.#node++];
    if (!node) throw this.#fault(what, "has no field node");
    const [length, nulls] = node;
    if (length !== this.#batch.rows)
      throw this.#fault(what, `has ${length} values in a batch of ${this.#batch.rows} rows`);
    const { layout } = flat;
    if (layout.kind === "null") return { length, validity: undefined, values: new Uint8Array(0), offsets: undefined };
    if (nulls > length) throw this.#fault(what, `announces ${nulls} nulls among ${length} values`);
    const validity = this.#validity(length, nulls, what);
    if (layout.kind === "bits")
      return { length, validity, values: this.#take((length + 7) >> 3, what), offsets: undefined };
    if (layout.kind === "fixed")
      return { length, validity, values: this.#take(length * layout.width, what), offsets: undefined };
    const offsets = this.#offsets(length, layout.offsetBytes, what);
    const values = this.#take(Number(offsets.at(-1) ?? 0), what);
    if (layout.text) this.#checkText(offsets, values, what);
    return { length, validity, values, offsets };
  }

  end(): void {
    if (this.#node !== this.#batch.nodes.length)
      throw this.#fault("the batch", `has ${this.#batch.nodes.length} field nodes for ${this.#node} columns`);
    if (this.#buffer !== this.#batch.buffers.length)
      throw this.#fault(
        "the batch",
        `has ${this.#batch.buffers.length} buffers where its columns need ${this.#buffer}`,
      );
    if (this.#body.byteLength - this.#end >= paddingMax + 8)
      throw this.#fault("the batch", `has ${this.#body.byteLength - this.#end} bytes that belong to no column`);
  }

  #fault(what: string, why: string): VolleyError {
    return invalidData(`${this.#where}: ${what} ${why}`);
  }

  /**
   * The next buffer, which must hold `bytes` bytes and no more than padding besides. `emptyAllowed`: or nothing at all.
   */
  #take(bytes: number, what: string, emptyAllowed = false): Uint8Array {
    const entry = this.#batch.buffers[this.#buffer++];
    if (!entry) throw this.#fault(what, "has too few buffers");
    const [offset, length] = entry;
    if (length === 0 && (bytes === 0 || emptyAllowed)) return new Uint8Array(0);
    if (offset % 8 !== 0) throw this.#fault(what, `has a buffer at byte ${offset}, which is not aligned`);
    if (offset < this.#end || offset - this.#end >= paddingMax)
      throw this.#fault(what, `has a buffer at byte ${offset} where the one before it ends at ${this.#end}`);
    if (offset + length > this.#body.byteLength)
      throw this.#fault(
        what,
        `has a buffer of bytes ${offset} to ${offset + length} in a body of ${this.#body.byteLength}`,
      );
    if (length < bytes || length - bytes >= paddingMax)
      throw this.#fault(what, `has a buffer of ${length} bytes where its values need ${bytes}`);
    this.#end = offset + length;
    return this.#body.subarray(offset, offset + bytes);
  }

  #validity(length: number, nulls: number, what: string): Uint8Array | undefined {
    const bitmap = this.#take((length + 7) >> 3, what, nulls === 0);
    if (bitmap.byteLength === 0) return undefined;
    let set = 0;
    for (let i = 0; i < length; i++) set += ((bitmap[i >> 3] as number) >> (i & 7)) & 1;
    if (length - set !== nulls)
      throw this.#fault(what, `announces ${nulls} nulls, but its validity bitmap has ${length - set}`);
    return nulls === 0 ? undefined : bitmap;
  }

  #offsets(length: number, offsetBytes: 4 | 8, what: string): Int32Array | BigInt64Array {
    // A batch without rows may leave its one offset out.
    const raw = this.#take((length + 1) * offsetBytes, what, length === 0);
    // Copied, for alignment: the sender's bytes may start anywhere.
    const copy = Uint8Array.from(raw);
    const offsets = offsetBytes === 4 ? new Int32Array(copy.buffer) : new BigInt64Array(copy.buffer);
    let previous: number | bigint = offsetBytes === 4 ? 0 : 0n;
    if (offsets.length > 0 && Number(offsets[0]) !== 0)
      throw this.#fault(what, `has offsets that start at ${offsets[0]}`);
    for (let i = 1; i < offsets.length; i++) {
      const offset = offsets[i] as number | bigint;
      if (offset < previous)
        throw this.#fault(what, `has offsets that step back from ${previous} to ${offset} at row ${i - 1}`);
      previous = offset;
    }
    return offsets;
  }

  /** The text as a whole is UTF-8, and no value starts in the middle of a character. */
  #checkText(offsets: Int32Array | BigInt64Array, values: Uint8Array, what: string): void {
    if (!isUtf8(values)) throw this.#fault(what, "has text that is not UTF-8");
    for (let i = 1; i < offsets.length - 1; i++) {
      const at = Number(offsets[i]);
      if (at < values.byteLength && ((values[at] as number) & 0xc0) === 0x80)
        throw this.#fault(what, `cuts a character in two at row ${i}`);
    }
  }

  #indices(raw: Piece, width: number, signed: boolean, count: number, what: string): Int32Array {
    const view = new DataView(raw.values.buffer, raw.values.byteOffset, raw.values.byteLength);
    const out = new Int32Array(raw.length);
    for (let i = 0; i < raw.length; i++) {
      if (raw.validity && (((raw.validity[i >> 3] as number) >> (i & 7)) & 1) === 0) continue;
      const index = readInteger(view, i * width, width, signed);
      if (!(index >= 0 && index < count))
        throw this.#fault(what, `names word ${index} of a dictionary of ${count} at row ${i}`);
      out[i] = index;
    }
    return out;
  }
}

function readInteger(view: DataView, at: number, width: number, signed: boolean): number {
  switch (width) {
    case 1:
      return signed ? view.getInt8(at) : view.getUint8(at);
    case 2:
      return signed ? view.getInt16(at, true) : view.getUint16(at, true);
    case 4:
      return signed ? view.getInt32(at, true) : view.getUint32(at, true);
    default:
      return Number(signed ? view.getBigInt64(at, true) : view.getBigUint64(at, true));
  }
}
