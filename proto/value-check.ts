/**
 * The walk over a value before it is packed. Owns what may be sent: what may not is named by its path, and what msgpack would bend
 * (Maps, -0, NaN) is replaced by markers, in a copy that is made only if there is any.
 */
import { Table } from "apache-arrow";
import { VolleyError } from "./errors.js";

/** -0 (msgpackr writes 0) and NaN (whose bits depend on how it came about, while equal values must give equal bytes). */
export class NumberMarker {
  readonly code: 0 | 1;
  constructor(code: 0 | 1) {
    this.code = code;
  }
}
export const negativeZero = new NumberMarker(0);
export const notANumber = new NumberMarker(1);

/** A Map as keys and values in turn; msgpackr would make a plain object of it. */
export class MapMarker {
  readonly entries: unknown[];
  constructor(entries: unknown[]) {
    this.entries = entries;
  }
}

const depthMax = 200;
/** Where the walk is: indexes, property names, and words for what is inside collections. Made into text only for an error. */
let trail: (number | string | { readonly word: string })[] = [];
let above: object[] = [];

function unserializable(what: string): VolleyError {
  let path = "value";
  for (const step of trail) path += typeof step === "number" ? `[${step}]` : typeof step === "string" ? property(step) : step.word;
  return new VolleyError("TASK_UNSERIALIZABLE", `${path} is ${what}, which cannot be sent; return plain data, typed arrays or an Arrow table`, {
    details: { path },
  });
}

const property = (key: string): string => (/^[A-Za-z_$][\w$]*$/.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`);

/** Throws TASK_UNSERIALIZABLE with `details.path`. Returns what to pack: the value itself, or a copy with markers. */
export function checked(value: unknown): unknown {
  if (trail.length > 0) trail = []; // The last walk ended in an error.
  if (above.length > 0) above = [];
  return needsMarkers(value) ? marked(value) : value;
}

/** For what cannot be sent as a whole. */
export const refused = (what: string): VolleyError => {
  trail = [];
  return unserializable(what);
};

/** What most values are made of, without the walk's bookkeeping. */
const isHarmless = (value: unknown): boolean =>
  typeof value === "string" || typeof value === "boolean" || (typeof value === "number" && !Number.isNaN(value) && value !== 0) || Object.is(value, 0);

function needsMarkers(value: unknown): boolean {
  switch (typeof value) {
    case "number":
      return Number.isNaN(value) || Object.is(value, -0);
    case "object":
      return value !== null && objectNeedsMarkers(value);
    case "function":
      throw unserializable(`a function (${value.name || "anonymous"})`);
    case "symbol":
      throw unserializable("a symbol");
    case "bigint":
      if (value > 0xffff_ffff_ffff_ffffn || value < -0x8000_0000_0000_0000n) throw unserializable("a bigint beyond 64 bits");
      return false;
    default:
      return false;
  }
}

function objectNeedsMarkers(value: object): boolean {
  if (above.includes(value)) throw unserializable("a cycle");
  if (above.length >= depthMax) throw unserializable(`nested deeper than ${depthMax} levels`);
  above.push(value);
  const found = insideNeedsMarkers(value);
  above.pop();
  return found;
}

function insideNeedsMarkers(value: object): boolean {
  let found = false;
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) {
      const item: unknown = value[i];
      if (isHarmless(item)) continue;
      trail.push(i);
      if (needsMarkers(item)) found = true;
      trail.pop();
    }
    return found;
  }
  if (isPlain(value)) {
    for (const key of Object.keys(value)) {
      const item = (value as Record<string, unknown>)[key];
      if (key === "__proto__") throw unserializable('an object with a key "__proto__"');
      if (isHarmless(item)) continue;
      trail.push(key);
      if (needsMarkers(item)) found = true;
      trail.pop();
    }
    return found;
  }
  if (ArrayBuffer.isView(value) || value instanceof Date || value instanceof ArrayBuffer || value instanceof Table) return false;
  return collectionNeedsMarkers(value);
}

function collectionNeedsMarkers(value: object): boolean {
  const visit = (item: unknown, step: string): boolean => {
    trail.push({ word: step });
    const found = needsMarkers(item);
    trail.pop();
    return found;
  };
  if (value instanceof Map) {
    for (const [key, item] of value) {
      visit(key, " key");
      visit(item, `.get(${typeof key === "string" ? JSON.stringify(key) : String(key)})`);
    }
    return true;
  }
  let found = false;
  if (value instanceof Set) {
    for (const item of value) if (visit(item, " member")) found = true;
    return found;
  }
  if (value instanceof Error) return value.cause === undefined ? false : visit(value.cause, ".cause");
  throw unserializable(`an instance of ${(value as { constructor?: { name?: string } }).constructor?.name || "a class"}`);
}

/** Also of another realm, whose Object.prototype is not ours. */
function isPlain(value: object): boolean {
  const proto: unknown = Object.getPrototypeOf(value);
  return proto === Object.prototype || proto === null || (Object.getPrototypeOf(proto) === null && Object.hasOwn(proto as object, "hasOwnProperty"));
}

/** A copy with markers; the walk has found the value good. */
function marked(value: unknown): unknown {
  if (typeof value === "number") return Number.isNaN(value) ? notANumber : Object.is(value, -0) ? negativeZero : value;
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return Array.from(value, marked); // Not map: it would skip holes.
  if (value instanceof Map) return new MapMarker([...value].flat(1).map(marked));
  if (value instanceof Set) return new Set([...value].map(marked));
  if (value instanceof Error) return value.cause === undefined ? value : withCause(value, marked(value.cause));
  if (!isPlain(value)) return value;
  const copy: Record<string, unknown> = {};
  for (const key of Object.keys(value)) copy[key] = marked((value as Record<string, unknown>)[key]);
  return copy;
}

function withCause(error: Error, cause: unknown): Error {
  const copy = Object.create(Object.getPrototypeOf(error) as object) as Error;
  Object.defineProperties(copy, { name: { value: error.name }, message: { value: error.message }, cause: { value: cause } });
  return copy;
}
