/**
 * Simple predicates, `["date", ">=", "2004-01-01"]`: on rows, and on the statistics of a row group to skip it unread.
 *
 * R1  A null or NaN value matches no predicate, as in SQL.
 * R2  A row group is skipped only if its statistics show that no row can match; what they do not say counts as "may
 * match". R3  Text is in the order of its UTF-8 bytes; dates and times are compared in the column's own unit.
 */
import { type Data, DataType, type Dictionary, TimeUnit, Vector } from "apache-arrow";
import { VolleyError } from "../../proto/errors.js";

export const operators = ["=", "!=", "<", "<=", ">", ">=", "in"] as const;
export type Operator = (typeof operators)[number];
export type PredicateValue = string | number | bigint | boolean | Date;
/** Column, operator, value; a list of values for `in`. Dates and times as Date or ISO text. */
export type Predicate = readonly [
  column: string,
  operator: Operator,
  value: PredicateValue | readonly PredicateValue[],
];

/** A value as the column holds it: number or bigint, 0 or 1 for booleans, bytes for text. */
type Plain = number | bigint | Buffer;

export interface BoundPredicate {
  readonly column: string;
  readonly operator: Operator;
  readonly values: readonly Plain[];
}

const ticksPerMs: Readonly<Record<TimeUnit, bigint>> = {
  [TimeUnit.SECOND]: 1n,
  [TimeUnit.MILLISECOND]: 1n,
  [TimeUnit.MICROSECOND]: 1_000n,
  [TimeUnit.NANOSECOND]: 1_000_000n,
};

/** Checks a predicate against the column's type. Throws INVALID_ARGUMENT that names column and value. */
export function bind([column, operator, value]: Predicate, type: DataType): BoundPredicate {
  const fault = (why: string): VolleyError =>
    new VolleyError("INVALID_ARGUMENT", `where: column ${JSON.stringify(column)} ${why}`, { details: { column } });
  if (!operators.includes(operator))
    throw fault(`has the operator ${JSON.stringify(operator)}; operators are ${operators.join(" ")}`);
  const list = Array.isArray(value);
  if (list !== (operator === "in"))
    throw fault(
      operator === "in"
        ? "needs a list of values for in"
        : `has a list of values, which only in takes, not ${operator}`,
    );
  const values = (list ? (value as readonly PredicateValue[]) : [value as PredicateValue]).map((one) =>
    plainOf(one, type, fault),
  );
  return { column, operator, values };
}

function plainOf(value: PredicateValue, given: DataType, fault: (why: string) => VolleyError): Plain {
  const type = DataType.isDictionary(given) ? (given as Dictionary).dictionary : given;
  const shown = typeof value === "bigint" ? `${value}n` : value instanceof Date ? String(value) : JSON.stringify(value);
  const refuse = (wanted: string): VolleyError => fault(`is ${type}: expected ${wanted}, got ${shown}`);
  if (DataType.isInt(type) || DataType.isFloat(type)) {
    if ((typeof value !== "number" || Number.isNaN(value)) && typeof value !== "bigint") throw refuse("a number");
    return value;
  }
  if (DataType.isUtf8(type)) {
    if (typeof value !== "string") throw refuse("text");
    return Buffer.from(value, "utf8");
  }
  if (DataType.isBool(type)) {
    if (typeof value !== "boolean") throw refuse("true or false");
    return Number(value);
  }
  if (!DataType.isDate(type) && !DataType.isTimestamp(type)) throw fault(`is ${type}, which no predicate compares`);
  const ms = value instanceof Date ? value.getTime() : typeof value === "string" ? Date.parse(value) : Number.NaN;
  if (Number.isNaN(ms)) throw refuse('a Date or ISO text such as "2004-01-01"');
  if (DataType.isDate(type)) return ms / 86_400_000;
  return type.unit === TimeUnit.SECOND ? ms / 1_000 : BigInt(Math.trunc(ms)) * ticksPerMs[type.unit];
}

function compare(a: Plain, b: Plain): number {
  if (Buffer.isBuffer(a) && Buffer.isBuffer(b)) return Buffer.compare(a, b);
  return a < b ? -1 : a > b ? 1 : 0;
}

const holds: Readonly<Record<Operator, (value: Plain, wanted: readonly Plain[]) => boolean>> = {
  "=": (value, [wanted]) => compare(value, wanted as Plain) === 0,
  "!=": (value, [wanted]) => compare(value, wanted as Plain) !== 0,
  "<": (value, [wanted]) => compare(value, wanted as Plain) < 0,
  "<=": (value, [wanted]) => compare(value, wanted as Plain) <= 0,
  ">": (value, [wanted]) => compare(value, wanted as Plain) > 0,
  ">=": (value, [wanted]) => compare(value, wanted as Plain) >= 0,
  in: (value, wanted) => wanted.some((one) => compare(value, one) === 0),
};

export interface Bounds {
  readonly min: unknown;
  readonly max: unknown;
  /** How many of the group's values are null; undefined if not said. */
  readonly nulls: number | undefined;
  readonly rows: number;
}

/** R2. */
export function mayMatch({ operator, values }: BoundPredicate, bounds: Bounds): boolean {
  if (bounds.nulls !== undefined && bounds.nulls === bounds.rows && bounds.rows > 0) return false;
  const [min, max] = [asPlain(bounds.min), asPlain(bounds.max)];
  const [wanted] = values;
  if (min === undefined || max === undefined || wanted === undefined) return operator !== "in" || values.length > 0;
  if (
    values.some(
      (value) => Buffer.isBuffer(value) !== Buffer.isBuffer(min) || Buffer.isBuffer(value) !== Buffer.isBuffer(max),
    )
  )
    return true;
  const within = (value: Plain): boolean => compare(min, value) <= 0 && compare(max, value) >= 0;
  switch (operator) {
    case "=":
    case "in":
      return values.some(within);
    case "<":
      return compare(min, wanted) < 0;
    case "<=":
      return compare(min, wanted) <= 0;
    case ">":
      return compare(max, wanted) > 0;
    case ">=":
      return compare(max, wanted) >= 0;
    case "!=":
      return true;
  }
}

/** NaN and what is no single value say nothing. */
function asPlain(value: unknown): Plain | undefined {
  if (typeof value === "boolean") return Number(value);
  if (typeof value === "bigint" || Buffer.isBuffer(value)) return value;
  return typeof value === "number" && !Number.isNaN(value) ? value : undefined;
}

/** Rows where every predicate holds, ascending; undefined if all do. */
export function matchingRows(
  predicates: readonly BoundPredicate[],
  columnOf: (name: string) => Data,
  rows: number,
): Int32Array | undefined {
  if (predicates.length === 0) return undefined;
  const keep = new Uint8Array(rows).fill(1);
  for (const { column, operator, values } of predicates) {
    const data = columnOf(column);
    const valueAt = reader(data);
    const test = holds[operator];
    for (let i = 0; i < rows; i++) {
      if (keep[i] === 0) continue;
      const value = data.nullCount === 0 || data.getValid(i) ? valueAt(i) : undefined;
      if (value === undefined || !test(value, values)) keep[i] = 0;
    }
  }
  const count = keep.reduce((sum, one) => sum + one, 0);
  if (count === rows) return undefined;
  const out = new Int32Array(count);
  for (let i = 0, at = 0; i < rows; i++) if (keep[i] === 1) out[at++] = i;
  return out;
}

/** The plain value of a row; undefined for NaN. */
function reader(data: Data): (i: number) => Plain | undefined {
  const { type } = data;
  if (DataType.isDictionary(type)) {
    const words = data.dictionary as Vector;
    const plain = Array.from({ length: words.length }, (_, i) => Buffer.from(String(words.get(i)), "utf8"));
    return (i) => plain[(data.values as Int32Array)[i] as number];
  }
  if (DataType.isUtf8(type)) {
    const offsets = data.valueOffsets as Int32Array;
    const bytes = data.values as Uint8Array;
    return (i) => {
      const from = offsets[i] as number;
      return Buffer.from(bytes.buffer, bytes.byteOffset + from, (offsets[i + 1] as number) - from);
    };
  }
  if (DataType.isBool(type)) {
    const vector = new Vector([data]);
    return (i) => Number(vector.get(i));
  }
  return (i) => asPlain((data.values as Float64Array | BigInt64Array)[i]);
}
