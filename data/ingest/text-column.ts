/**
 * Columns from text. Two passes over the same values: the first finds the narrowest reading that fits every value, the
 * second fills a column of exactly that type, so no value is ever guessed twice and memory holds one column, not its
 * text.
 */
import {
  Bool,
  type DataType,
  DateDay,
  Float32,
  Float64,
  Int32,
  Int64,
  TimestampMicrosecond,
  TimestampNanosecond,
  Utf8,
} from "apache-arrow";
import type { FlatType } from "./arrow-metadata.js";
import { type Column, mergeDictionaries, mergePieces, type Piece } from "./column.js";
import { checkWords, invalidData, type TextType } from "./ingested.js";

const NUMBER = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$/;
const NOT_FINITE = /^(?:nan|[+-]?inf(?:inity)?)$/i;
const INTEGER = /^[+-]?\d+$/;
/** `007` is a code, not a number. */
const CODE = /^[+-]?0\d/;
const BOOL = /^(?:true|false)$/i;
const DATE = /^(\d{4})-(\d{2})-(\d{2})$/;
const TIME = /^(\d{4}-\d{2}-\d{2})[T ](\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?(Z|[+-]\d{2}:?\d{2})?$/;
const int64Max = 0x7fff_ffff_ffff_ffffn;
const int64Min = -0x8000_0000_0000_0000n;
/**
 * A column of text becomes a dictionary when its words repeat: at most half as many as values, and no more than this.
 */
const wordsMax = 65_536;

/** Days since 1970-01-01; undefined for a date that the calendar does not have. */
export function parseDate(text: string): number | undefined {
  const match = DATE.exec(text);
  if (!match) return undefined;
  const [year, month, day] = [Number(match[1]), Number(match[2]), Number(match[3])];
  // Date.UTC reads years below 100 as 19xx.
  const ms = year < 100 ? Number.NaN : Date.UTC(year, month - 1, day);
  const date = new Date(ms);
  return date.getUTCMonth() === month - 1 && date.getUTCDate() === day ? ms / 86_400_000 : undefined;
}

export interface Instant {
  /** Nanoseconds since 1970-01-01 UTC, or of the wall clock where no zone is given. */
  readonly ns: bigint;
  readonly zoned: boolean;
  /** Digits after the second. */
  readonly digits: number;
}

export function parseInstant(text: string): Instant | undefined {
  const match = TIME.exec(text);
  if (!match) return undefined;
  const day = parseDate(match[1] as string);
  const [hour, minute, second] = [Number(match[2]), Number(match[3]), Number(match[4] ?? 0)];
  if (day === undefined || hour > 23 || minute > 59 || second > 59) return undefined;
  const [fraction, zone] = [match[5] ?? "", match[6]];
  let offsetMinutes = 0;
  if (zone !== undefined && zone !== "Z") {
    const [zoneHours, zoneMinutes] = [Number(zone.slice(1, 3)), Number(zone.slice(-2))];
    if (zoneHours > 15 || zoneMinutes > 59) return undefined;
    offsetMinutes = (zone.startsWith("-") ? -1 : 1) * (zoneHours * 60 + zoneMinutes);
  }
  const seconds = day * 86_400 + hour * 3_600 + (minute - offsetMinutes) * 60 + second;
  return {
    ns: BigInt(seconds) * 1_000_000_000n + BigInt(fraction.padEnd(9, "0")),
    zoned: zone !== undefined,
    digits: fraction.length,
  };
}

const isNumber = (text: string): boolean => (NUMBER.test(text) && !CODE.test(text)) || NOT_FINITE.test(text);
const isInt64 = (text: string): boolean =>
  INTEGER.test(text) && text.length <= 20 && BigInt(text) <= int64Max && BigInt(text) >= int64Min;

/** First pass: what all values of a column have in common. */
export class TypeGuess {
  #values = 0;
  /** Values seen while all of them were numbers: their words are not known, so each counts as one of its own. */
  #numbers = 0;
  #number: boolean;
  #whole = true;
  #beyondDouble = false;
  #bool: boolean;
  #date = true;
  #time = true;
  #zoned: boolean | undefined;
  #digits = 0;
  readonly #words = new Set<string>();

  /** `plain`: the values were text to begin with (JSON), so what looks like a number or a truth value stays text. */
  constructor(plain = false) {
    this.#number = !plain;
    this.#bool = !plain;
  }

  add(text: string): void {
    this.#values++;
    if (this.#number) {
      this.#number = isNumber(text);
      if (this.#number) this.#numbers++;
      this.#whole &&= this.#number && isInt64(text);
      if (this.#whole && !Number.isSafeInteger(Number(text))) this.#beyondDouble = true;
    }
    if (this.#bool) this.#bool = BOOL.test(text);
    if (this.#date) this.#date = parseDate(text) !== undefined;
    if (this.#time) this.#addTime(text);
    if (!this.#number && this.#words.size <= wordsMax) this.#words.add(text);
  }

  #addTime(text: string): void {
    const instant = parseInstant(text);
    this.#time = instant !== undefined && (this.#zoned === undefined || this.#zoned === instant.zoned);
    if (!instant) return;
    this.#zoned = instant.zoned;
    this.#digits = Math.max(this.#digits, instant.digits);
  }

  result(): TextType {
    if (this.#values === 0) return "float64";
    if (this.#number) return this.#whole && this.#beyondDouble ? "int64" : "float64";
    if (this.#bool) return "bool";
    if (this.#date) return "date";
    if (this.#time) return this.#digits > 6 ? "timestamp-ns" : "timestamp";
    const words = this.#words.size + this.#numbers;
    return words <= wordsMax && 2 * words <= this.#values ? "dictionary" : "string";
  }
}

/** A growing run of fixed-width values. */
class Growing<A extends Float64Array | Float32Array | Int32Array | BigInt64Array | Uint8Array> {
  #make: (length: number) => A;
  array: A;
  length = 0;

  constructor(make: (length: number) => A) {
    this.#make = make;
    this.array = make(1_024);
  }
  reserve(more: number): void {
    if (this.length + more <= this.array.length) return;
    const grown = this.#make(Math.max(2 * this.array.length, this.length + more));
    grown.set(this.array as never);
    this.array = grown;
  }
  push(value: A[number]): void {
    this.reserve(1);
    this.array[this.length++] = value;
  }
  bytes(): Uint8Array {
    return new Uint8Array(this.array.buffer, this.array.byteOffset, this.length * this.array.BYTES_PER_ELEMENT);
  }
}

const fixedOf = (width: number, type: DataType): FlatType => ({ layout: { kind: "fixed", width }, type });
const utf8: FlatType = { layout: { kind: "variable", offsetBytes: 4, text: true }, type: new Utf8() };

/**
 * Second pass: values in order, undefined for null. A value that the type cannot hold is INVALID_DATA naming `where`.
 */
export class TextColumn {
  readonly #name: string;
  readonly #type: TextType;
  readonly #valid = new Growing((n) => new Uint8Array(n));
  readonly #values:
    | Growing<Float64Array>
    | Growing<Float32Array>
    | Growing<Int32Array>
    | Growing<BigInt64Array>
    | Growing<Uint8Array>;
  readonly #offsets = new Growing((n) => new Int32Array(n));
  readonly #words = new Map<string, number>();
  #zoned: boolean | undefined;

  constructor(name: string, type: TextType) {
    this.#name = name;
    this.#type = type;
    this.#values = valuesOf(type);
    this.#offsets.push(0);
  }

  push(text: string | undefined, where: () => string): void {
    this.#valid.push(text === undefined ? 0 : 1);
    switch (this.#type) {
      case "float64":
      case "float32":
        (this.#values as Growing<Float64Array>).push(text === undefined ? 0 : this.#number(text, where));
        break;
      case "int32":
        (this.#values as Growing<Int32Array>).push(text === undefined ? 0 : this.#int32(text, where));
        break;
      case "int64":
        (this.#values as Growing<BigInt64Array>).push(text === undefined ? 0n : this.#int64(text, where));
        break;
      case "bool":
        (this.#values as Growing<Uint8Array>).push(text === undefined ? 0 : this.#bool(text, where));
        break;
      case "date":
        (this.#values as Growing<Int32Array>).push(
          text === undefined ? 0 : (parseDate(text) ?? this.#fault(text, "a date like 2020-04-17", where)),
        );
        break;
      case "timestamp":
      case "timestamp-ns":
        (this.#values as Growing<BigInt64Array>).push(text === undefined ? 0n : this.#instant(text, where));
        break;
      case "dictionary":
        (this.#values as Growing<Int32Array>).push(text === undefined ? 0 : this.#word(text));
        break;
      case "string":
        this.#text(text ?? "");
        break;
    }
  }

  finish(id: number): Column {
    const length = this.#valid.length;
    const bits = new Uint8Array((length + 7) >> 3);
    for (let i = 0; i < length; i++)
      if (this.#valid.array[i] === 1) bits[i >> 3] = (bits[i >> 3] as number) | (1 << (i & 7));
    const offsets = this.#type === "string" ? this.#offsets.array.subarray(0, length + 1) : undefined;
    const piece: Piece = {
      length,
      validity: bits,
      values: this.#type === "bool" ? this.#packedBits(length) : this.#values.bytes(),
      offsets,
    };
    if (this.#type !== "dictionary") return { name: this.#name, data: mergePieces(this.#flat(), [piece]) };
    const indices = (this.#values as Growing<Int32Array>).array.subarray(0, length);
    return {
      name: this.#name,
      data: mergeDictionaries(utf8, id, [
        { length, validity: bits, indices, words: [piecesOfWords([...this.#words.keys()])] },
      ]),
    };
  }

  #flat(): FlatType {
    const zone = this.#zoned ? "UTC" : null;
    switch (this.#type) {
      case "float64":
        return fixedOf(8, new Float64());
      case "float32":
        return fixedOf(4, new Float32());
      case "int32":
        return fixedOf(4, new Int32());
      case "int64":
        return fixedOf(8, new Int64());
      case "bool":
        return { layout: { kind: "bits" }, type: new Bool() };
      case "date":
        return fixedOf(4, new DateDay());
      case "timestamp":
        return fixedOf(8, new TimestampMicrosecond(zone));
      case "timestamp-ns":
        return fixedOf(8, new TimestampNanosecond(zone));
      default:
        return utf8;
    }
  }

  #fault(text: string, expected: string, where: () => string): never {
    const shown = text.length > 60 ? `${text.slice(0, 60)}…` : text;
    throw invalidData(`${where()}, column ${JSON.stringify(this.#name)}: ${JSON.stringify(shown)} is not ${expected}`, {
      column: this.#name,
    });
  }
  #number(text: string, where: () => string): number {
    if (NUMBER.test(text)) return Number(text);
    if (!NOT_FINITE.test(text)) return this.#fault(text, "a number", where);
    if (/nan/i.test(text)) return Number.NaN;
    return text.startsWith("-") ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  }
  #int32(text: string, where: () => string): number {
    const value = Number(text);
    return INTEGER.test(text) && value === (value | 0)
      ? value | 0
      : this.#fault(text, "a whole number of 32 bits", where);
  }
  #int64(text: string, where: () => string): bigint {
    return isInt64(text) ? BigInt(text) : this.#fault(text, "a whole number of 64 bits", where);
  }
  #bool(text: string, where: () => string): number {
    if (!BOOL.test(text)) return this.#fault(text, "true or false", where);
    return text.toLowerCase() === "true" ? 1 : 0;
  }
  #instant(text: string, where: () => string): bigint {
    const day = parseDate(text);
    const instant =
      day === undefined ? parseInstant(text) : { ns: BigInt(day) * 86_400_000_000_000n, zoned: false, digits: 0 };
    if (!instant) return this.#fault(text, "a time like 2020-04-17T16:00:00Z", where);
    if (this.#zoned !== undefined && this.#zoned !== instant.zoned)
      return this.#fault(text, "a time like the others: some have a zone and some have none", where);
    this.#zoned = instant.zoned;
    if (this.#type === "timestamp")
      return instant.digits > 6
        ? this.#fault(text, "a time of whole microseconds; ask for timestamp-ns", where)
        : instant.ns / 1_000n;
    return instant.ns >= int64Min && instant.ns <= int64Max
      ? instant.ns
      : this.#fault(text, "between the years 1678 and 2261, which 64 bits of nanoseconds hold", where);
  }
  #word(text: string): number {
    const known = this.#words.get(text);
    if (known !== undefined) return known;
    const number = this.#words.size;
    checkWords(number);
    this.#words.set(text, number);
    return number;
  }
  #text(text: string): void {
    const values = this.#values as Growing<Uint8Array>;
    values.reserve(3 * text.length);
    values.length += Buffer.from(values.array.buffer, values.array.byteOffset).write(text, values.length, "utf8");
    this.#offsets.push(values.length);
  }
  #packedBits(length: number): Uint8Array {
    const bits = new Uint8Array((length + 7) >> 3);
    const { array } = this.#values as Growing<Uint8Array>;
    for (let i = 0; i < length; i++) if (array[i] === 1) bits[i >> 3] = (bits[i >> 3] as number) | (1 << (i & 7));
    return bits;
  }
}

function valuesOf(
  type: TextType,
): Growing<Float64Array> | Growing<Float32Array> | Growing<Int32Array> | Growing<BigInt64Array> | Growing<Uint8Array> {
  switch (type) {
    case "float64":
      return new Growing((n) => new Float64Array(n));
    case "float32":
      return new Growing((n) => new Float32Array(n));
    case "int32":
    case "date":
    case "dictionary":
      return new Growing((n) => new Int32Array(n));
    case "int64":
    case "timestamp":
    case "timestamp-ns":
      return new Growing((n) => new BigInt64Array(n));
    case "bool":
    case "string":
      return new Growing((n) => new Uint8Array(n));
  }
}

function piecesOfWords(words: readonly string[]): Piece {
  const encoded = words.map((word) => Buffer.from(word, "utf8"));
  const offsets = new Int32Array(words.length + 1);
  encoded.forEach((word, i) => {
    offsets[i + 1] = (offsets[i] as number) + word.byteLength;
  });
  return { length: words.length, validity: undefined, values: Buffer.concat(encoded), offsets };
}
