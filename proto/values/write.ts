/**
 * One walk over a value that writes it as msgpack and refuses, by type and path, what would not come back equal. Check
 * and writing are one, so that nothing is looked at twice: a getter or proxy that answers differently the second time
 * cannot slip through between them.
 *
 * "Equal" is what node:util's isDeepStrictEqual says of own enumerable properties, prototypes and contents. What is not
 * kept, on purpose: the identity of an object that stands in two places, a getter (its value is), the class of an Error
 * and its stack, a Buffer's class (it is bytes).
 */
import { inspect, isDeepStrictEqual, types } from "node:util";
import { VolleyError } from "../errors.js";
import { encodeForeignOrOwn } from "./arrow.js";
import {
  abandon,
  begin,
  byte,
  head,
  interrupt,
  isWellFormed,
  mark,
  type Place,
  resume,
  writeBigInt,
  writeBytes,
  writeExtension,
  writeFloat,
  writeLoneNumber,
  writeNumber,
  writeString,
  written,
} from "./bytes.js";
import { className, isForeignPlain, isNative } from "./classes.js";
import { errorFields } from "./error-fields.js";
import { extension, typedCodes } from "./extensions.js";
import { type Step, unserializable } from "./path.js";

const depthMax = 200;

let trail: Step[] = [];
let above: object[] = [];
let busy = false;

/** The value as msgpack. Throws TASK_UNSERIALIZABLE with `details.path`, TOO_LARGE. */
export function writeValue(value: unknown): Uint8Array {
  if (busy) return writeWithin(value);
  begin();
  if (typeof value === "number") {
    writeLoneNumber(value);
    return written();
  }
  busy = true;
  try {
    writeAny(value);
    return written();
  } catch (error) {
    abandon();
    throw asRefusal(error);
  } finally {
    if (trail.length > 0) trail = [];
    if (above.length > 0) above = [];
    busy = false;
  }
}

const asRefusal = (error: unknown): VolleyError =>
  error instanceof VolleyError ? error : refused(`a value whose reading threw ${thrownText(error)}`, error);

/** Where a value that is written in slices is, between them. */
export interface Walk {
  trail: Step[];
  above: object[];
  place: Place;
}

/** Goes on with the value of this walk for one slice. What is being written outside of it is as it was afterwards. */
export function writeSlice<T>(walk: Walk, slice: () => T): T {
  const outer = { trail, above, busy };
  ({ trail, above } = walk);
  busy = true;
  const place = resume(walk.place);
  try {
    return slice();
  } catch (error) {
    throw asRefusal(error);
  } finally {
    Object.assign(walk, { trail, above, place: resume(place) });
    ({ trail, above, busy } = outer);
  }
}

function thrownText(error: unknown): string {
  try {
    return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  } catch {
    return "what has no text";
  }
}

/** A getter of a value that is being written encodes another one. */
function writeWithin(value: unknown): Uint8Array {
  const outer = { trail, above };
  const place = interrupt();
  trail = [];
  above = [];
  busy = false;
  try {
    return writeValue(value);
  } finally {
    resume(place);
    ({ trail, above } = outer);
    busy = true;
  }
}

const refused = (what: string, cause?: unknown): VolleyError => unserializable(trail, what, cause);

export function writeAny(value: unknown): void {
  switch (typeof value) {
    case "number":
      writeNumber(value);
      break;
    case "string":
      writeString(value);
      break;
    case "boolean":
      byte(value ? 0xc3 : 0xc2);
      break;
    case "undefined":
      mark(extension.nothing);
      break;
    case "object":
      if (value === null) byte(0xc0);
      else writeObject(value);
      break;
    case "bigint":
      writeBigInt(value);
      break;
    case "function":
      throw refused(`a function (${functionName(value)})`);
    case "symbol":
      throw refused("a symbol");
  }
}

const functionName = (value: { readonly name: unknown }): string =>
  typeof value.name === "string" && value.name !== "" ? value.name : "anonymous";

/** Into an object or list; {@link leave} goes out of it. */
export function enter(value: object): void {
  if (above.includes(value)) throw refused("a cycle");
  if (above.length >= depthMax) throw refused(`nested deeper than ${depthMax} levels`);
  above.push(value);
}

export function leave(): void {
  above.pop();
}

function writeObject(value: object): void {
  enter(value);
  const proto: unknown = Object.getPrototypeOf(value);
  if (Array.isArray(value)) writeArray(value, proto);
  else if (proto === Object.prototype) writePlain(value, Object.keys(value), false);
  else writeOther(value, proto);
  leave();
}

/** Into the value of a property or item; the trail is kept for those that may be refused. */
export function writeInner(item: unknown, step: Step): void {
  if (typeof item === "number") writeNumber(item);
  else if (typeof item === "string") writeString(item);
  else {
    trail.push(step);
    writeAny(item);
    trail.pop();
  }
}

/** The same of what is written in slices. */
export function* writeInnerInSlices(step: Step, slices: Iterable<void>): Generator<void> {
  trail.push(step);
  yield* slices;
  trail.pop();
}

function writeArray(value: readonly unknown[], proto: unknown): void {
  const { length } = value;
  writeArrayHead(value, proto);
  for (let i = 0; i < length; i++) writeInner(itemOf(value, i), i);
}

/** Throws for an array that is more than its items. */
export function writeArrayHead(value: readonly unknown[], proto: unknown): void {
  if (proto !== Array.prototype && !isNative(proto, "Array")) throw refused(`an instance of ${className(value)}`);
  const length = value.length;
  if (hasMoreThanItems(value, length)) throw refused("an array with properties of its own besides its items");
  head(length, 0x90, 0xf, 0xdc);
}

/** Throws for a hole. */
export function itemOf(value: readonly unknown[], index: number): unknown {
  const item = value[index];
  if (item === undefined && !Object.hasOwn(value, index)) {
    trail.push(index);
    throw refused("a hole of a sparse array (Array.from makes it undefined)");
  }
  return item;
}

/**
 * Of a long list the keys are not counted, because that makes a text of every index: only these ways of Node's look at
 * the other keys alone. The comparison of a view with another on the same bytes is the quicker one, until the bytes
 * are many.
 */
const keysCountedMax = 64;
const bytesComparedMax = 64 * 1024;
const onlyOthers = {
  maxArrayLength: 0,
  maxStringLength: 0,
  depth: 0,
  customInspect: false,
  compact: true,
  breakLength: Number.POSITIVE_INFINITY,
} as const;

function hasMoreThanItems(value: readonly unknown[] | ArrayBufferView, length: number): boolean {
  if (length > keysCountedMax && isPlainBytes(value)) return false;
  if (length > keysCountedMax) return !inspect(value, onlyOthers).endsWith(`[ ... ${length} more items ]`);
  // Indexes stand before names.
  const last = Object.keys(value).at(-1);
  return (last !== undefined && !(Number(last) < length && String(Number(last) >>> 0) === last)) || hasSymbols(value);
}

/** Surely bytes and nothing else. */
const isPlainBytes = (value: unknown): boolean =>
  types.isUint8Array(value) &&
  value.length <= bytesComparedMax &&
  isDeepStrictEqual(value, new Uint8Array(value.buffer, value.byteOffset, value.length));

const hasSymbols = (value: object): boolean => {
  const symbols = Object.getOwnPropertySymbols(value);
  return symbols.length > 0 && symbols.some((symbol) => Object.prototype.propertyIsEnumerable.call(value, symbol));
};

function writePlain(value: object, keys: readonly string[], bare: boolean): void {
  if (bare || !canBeMap(value, keys)) {
    if (bare && hasSymbols(value)) throw refused("an object with a symbol as a key");
    writeEntries(value, keys, bare);
    return;
  }
  head(keys.length, 0x80, 0xf, 0xde);
  for (const key of keys) {
    writeString(key);
    writeInner((value as Record<string, unknown>)[key], key);
  }
}

/** Whether the object can be written as a map of msgpack. Throws for one with symbols as keys. */
export function canBeMap(value: object, keys: readonly string[]): boolean {
  if (hasSymbols(value)) throw refused("an object with a symbol as a key");
  return !keys.some(isOddKey);
}

/** msgpackr renames the one, and reads no string that is not UTF-8 as a key. */
const isOddKey = (key: string): boolean => key === "__proto__" || !isWellFormed(key);

/** An object that is not written as a map of msgpack: without prototype, or with keys that a map would bend. */
function writeEntries(value: object, keys: readonly string[], bare: boolean): void {
  mark(extension.entries);
  head(1 + 2 * keys.length, 0x90, 0xf, 0xdc);
  byte(bare ? 0xc3 : 0xc2);
  for (const key of keys) {
    writeString(key);
    writeInner((value as Record<string, unknown>)[key], key);
  }
}

function writeOther(value: object, proto: unknown): void {
  const table = proto === null ? undefined : encodeForeignOrOwn(value, trail);
  if (proto === null) writePlain(value, Object.keys(value), true);
  else if (table) writeExtension(extension.arrow, undefined, table);
  else if (ArrayBuffer.isView(value)) writeView(value, proto);
  else if (types.isDate(value)) writeDate(value, proto);
  else if (types.isMap(value)) writeMap(value, proto);
  else if (types.isSet(value)) writeSet(value, proto);
  else if (types.isNativeError(value) || value instanceof Error) writeError(value);
  else if (types.isRegExp(value)) writeRegExp(value, proto);
  else if (types.isArrayBuffer(value)) {
    onlyItself(value, proto, "ArrayBuffer");
    writeExtension(extension.typed, typedCodes.ArrayBuffer, new Uint8Array(value));
  } else if (isForeignPlain(proto as object)) writePlain(value, Object.keys(value), false);
  else throw refused(`an instance of ${className(value)}`);
}

/** Refuses subclasses and added properties, which would be lost. */
function onlyItself(value: object, proto: unknown, name: string): void {
  const own = (globalThis as unknown as Record<string, { prototype: unknown }>)[name]?.prototype;
  if (proto !== own && !isNative(proto, name)) throw refused(`an instance of ${className(value)}`);
  if (Object.keys(value).length > 0 || hasSymbols(value)) throw refused(`a ${name} with properties of its own`);
}

const kindOfView = Object.getOwnPropertyDescriptor(
  Object.getPrototypeOf(Uint8Array.prototype) as object,
  Symbol.toStringTag,
)?.get as (this: unknown) => keyof typeof typedCodes | undefined;

/** What a view is, whatever its prototype says; undefined: a DataView. */
export const viewKind = (value: ArrayBufferView): string => kindOfView.call(value) ?? "DataView";

/** Throws for views that are more than their numbers. */
export function checkView(value: ArrayBufferView, proto: unknown, kind: string): void {
  const own = (globalThis as unknown as Record<string, { prototype: unknown }>)[kind]?.prototype;
  if (proto !== own && proto !== Buffer.prototype && !isNative(proto, kind))
    throw refused(`an instance of ${className(value)}`);
  const length = (value as unknown as { length?: number }).length ?? 0;
  if (proto !== Buffer.prototype && hasMoreThanItems(value, length))
    throw refused(`a ${kind} with properties of its own`);
  // It looks like an empty one, which is not what it was meant to be.
  if (value.byteLength === 0 && isDetached(value.buffer)) throw refused(`a ${kind} whose buffer was transferred away`);
}

/** Node 20 has no `detached`; a view on such a buffer cannot be made. */
function isDetached(buffer: ArrayBufferLike): boolean {
  try {
    return new Uint8Array(buffer).byteLength < 0;
  } catch {
    return true;
  }
}

function writeView(value: ArrayBufferView, proto: unknown): void {
  const kind = viewKind(value);
  checkView(value, proto, kind);
  const bytes = new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  const code = (typedCodes as Readonly<Record<string, number>>)[kind];
  if (code === undefined) throw refused(`a ${kind}`);
  if (kind === "Uint8Array") writeBytes(bytes);
  else writeExtension(extension.typed, code, bytes);
}

function writeDate(value: Date, proto: unknown): void {
  onlyItself(value, proto, "Date");
  writeFloat(extension.date, Date.prototype.getTime.call(value));
}

/** Keys and values in turn. */
function writeMap(value: Map<unknown, unknown>, proto: unknown): void {
  onlyItself(value, proto, "Map");
  const entries = [...Map.prototype.entries.call(value)];
  mark(extension.map);
  head(2 * entries.length, 0x90, 0xf, 0xdc);
  for (const [key, item] of entries) {
    writeInner(key, keyStep);
    if (typeof item === "number") writeNumber(item);
    else writeInner(item, { key });
  }
}

const keyStep: Step = { word: " key" };
const memberStep: Step = { word: " member" };

function writeSet(value: Set<unknown>, proto: unknown): void {
  onlyItself(value, proto, "Set");
  const members = [...Set.prototype.values.call(value)];
  mark(extension.set);
  head(members.length, 0x90, 0xf, 0xdc);
  for (const member of members) writeInner(member, memberStep);
}

function writeRegExp(value: RegExp, proto: unknown): void {
  onlyItself(value, proto, "RegExp");
  mark(extension.regExp);
  head(3, 0x90, 0xf, 0xdc);
  writeInner(value.source, "source");
  writeInner(value.flags, "flags");
  writeInner(value.lastIndex, "lastIndex");
}

function writeError(value: Error): void {
  const { builtin, name, hidden, shown } = errorFields(value);
  mark(extension.error);
  head(3 + 2 * (hidden.length + shown.length), 0x90, 0xf, 0xdc);
  writeString(builtin);
  writeAny(name);
  writeNumber(hidden.length);
  for (const [key, item] of [...hidden, ...shown]) {
    writeString(key);
    writeInner(item, key);
  }
}
