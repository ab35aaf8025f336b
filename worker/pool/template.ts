/**
 * In the thread: a decoded value that many tasks receive, of which each gets a copy of its own. Copying is several
 * times as fast as decoding: text is shared, and arrays of numbers are copied as memory. The template itself is never
 * seen by user code.
 */
import { Table } from "apache-arrow";
import { ownArray, SharedTable, type TaskScope } from "./private-table.js";

/** Approximate heap bytes of what V8 makes. */
const pointerBytes = 8;
const objectBytes = 32;
/** Arrays of at least this many plain members are copied at once. */
const flatMin = 8;

function isRow(value: unknown): boolean {
  if (typeof value !== "object" || value === null || Object.getPrototypeOf(value) !== Object.prototype) return false;
  for (const key of Object.keys(value)) if (typeof (value as Record<string, unknown>)[key] === "object") return false;
  return true;
}

export class Template {
  /** For readers that write into nothing. */
  readonly value: unknown;
  /** Arrays without objects in them. */
  readonly #flat = new Set<unknown>();
  /** Arrays of plain objects without objects in them, as rows of records are. */
  readonly #rows = new Set<unknown>();
  readonly #tables = new Map<unknown, SharedTable>();
  #copyable = true;
  /** What it takes of the heap, about. */
  readonly bytes: number;

  constructor(value: unknown) {
    this.value = value;
    this.bytes = this.#weigh(value);
  }

  /** False: it holds something that can only be decoded again. */
  get copyable(): boolean {
    return this.#copyable;
  }

  copy(scope: TaskScope): unknown {
    return this.#copy(this.value, scope);
  }

  #weigh(value: unknown): number {
    if (typeof value === "string") return objectBytes + value.length;
    if (typeof value !== "object" || value === null) return pointerBytes;
    if (Array.isArray(value)) return this.#weighArray(value);
    if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return 3 * objectBytes + value.byteLength;
    if (value instanceof Table) {
      this.#tables.set(value, new SharedTable(value));
      return 1024 * (1 + value.numCols);
    }
    let bytes = objectBytes;
    if (value instanceof Map) {
      for (const [key, item] of value) bytes += 2 * objectBytes + this.#weigh(key) + this.#weigh(item);
      return bytes;
    }
    if (value instanceof Set) {
      for (const item of value) bytes += objectBytes + this.#weigh(item);
      return bytes;
    }
    if (value instanceof Date) return 2 * objectBytes;
    if (Object.getPrototypeOf(value) !== Object.prototype) this.#copyable = false;
    for (const key of Object.keys(value)) bytes += pointerBytes + this.#weigh((value as Record<string, unknown>)[key]);
    return bytes;
  }

  #weighArray(array: readonly unknown[]): number {
    let bytes = objectBytes + pointerBytes * array.length;
    let flat = array.length >= flatMin;
    for (const item of array) {
      if (typeof item === "number") continue;
      if (typeof item === "object" && item !== null) flat = false;
      bytes += this.#weigh(item);
    }
    if (flat) this.#flat.add(array);
    else if (array.length >= flatMin && array.every(isRow)) this.#rows.add(array);
    return bytes;
  }

  #copy(value: unknown, scope: TaskScope): unknown {
    if (typeof value !== "object" || value === null) return value;
    if (Array.isArray(value)) {
      const copy: unknown[] = value.slice();
      if (this.#flat.has(value)) return copy;
      if (this.#rows.has(value)) {
        for (let i = 0; i < copy.length; i++) copy[i] = { ...(copy[i] as object) };
        return copy;
      }
      for (let i = 0; i < copy.length; i++) {
        const item = copy[i];
        if (typeof item === "object" && item !== null) copy[i] = this.#copy(item, scope);
      }
      return copy;
    }
    if (ArrayBuffer.isView(value)) return ownArray(value);
    if (value instanceof ArrayBuffer) return value.slice(0);
    if (value instanceof Table) return this.#tables.get(value)?.for(scope);
    if (value instanceof Map) {
      const copy = new Map<unknown, unknown>();
      for (const [key, item] of value) copy.set(this.#copy(key, scope), this.#copy(item, scope));
      return copy;
    }
    if (value instanceof Set) {
      const copy = new Set<unknown>();
      for (const item of value) copy.add(this.#copy(item, scope));
      return copy;
    }
    if (value instanceof Date) return new Date(value.getTime());
    const copy: Record<string, unknown> = { ...value };
    for (const key of Object.keys(copy)) {
      const item = copy[key];
      if (typeof item === "object" && item !== null) copy[key] = this.#copy(item, scope);
    }
    return copy;
  }
}
