/**
 * Numbers from a seed, and the series, prices and keys that the drawn calls are made of. Test code: no kernel imports
 * it.
 */
import { Table, type Vector } from "apache-arrow";
import { dayVector, float64Vector } from "../../columns/building.js";

export class Draw {
  #state: number;

  constructor(seed: number) {
    // Neighbouring seeds must not begin alike.
    this.#state = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) | 1;
  }

  /** In [0, 1). */
  unit(): number {
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return (this.#state >>> 0) / 4_294_967_296;
  }

  /** In [from, to]. */
  int(from: number, to: number): number {
    return from + Math.floor(this.unit() * (to - from + 1));
  }

  chance(probability: number): boolean {
    return this.unit() < probability;
  }

  pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.unit() * from.length)] as T;
  }

  list<T>(length: number, of: (i: number) => T): T[] {
    return Array.from({ length }, (_, i) => of(i));
  }

  /**
   * What feeds deliver: noise, constant runs, zeros, runs of missing values, infinities; of any scale, far from zero or
   * around it.
   */
  series(rows: number): Float64Array {
    const values = new Float64Array(rows);
    const level = this.pick([0, 0, 2_000, 1e9]);
    const scale = this.chance(0.05)
      ? this.pick([1e-310, 1e-150, 1e150, 1e300])
      : this.pick([1e-9, 0.01, 1, 1, 1e9]) / 7;
    let left = 0;
    let kind = "noise";
    let constant = 0;
    for (let i = 0; i < rows; i++, left--) {
      if (left === 0) {
        left = this.int(1, 9);
        kind = this.pick(["noise", "noise", "noise", "constant", "missing", "infinite", "zero"]);
        constant = this.int(-1_000, 1_000);
      }
      if (kind === "missing") values[i] = Number.NaN;
      else if (kind === "zero") values[i] = this.chance(0.5) ? 0 : -0;
      else if (kind === "infinite" && this.chance(0.3))
        values[i] = this.chance(0.5) ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY;
      else values[i] = (level + (kind === "constant" ? constant : this.int(-1_000, 1_000))) * scale;
    }
    return values;
  }

  /** Small numbers with ties, some of them missing. */
  values(rows: number, missing = 0.1): Float64Array {
    return Float64Array.from({ length: rows }, () =>
      this.chance(missing) ? Number.NaN : this.chance(0.5) ? this.int(-3, 3) : this.unit() * 20 - 10,
    );
  }

  returns(rows: number): Float64Array {
    return Float64Array.from({ length: rows }, () => (this.chance(0.1) ? 0 : this.unit() * 0.2 - 0.095));
  }

  /**
   * Bars of positive prices on ascending days, as the sweeps read them; on every bar whose number `rises` divides the
   * close is above the one before.
   */
  prices(rows: number, rises = Number.POSITIVE_INFINITY): Table {
    let close = this.pick([1e-6, 1, 100, 1e6]);
    const bars = this.list(rows, (i) => {
      const open = close * (0.98 + 0.04 * this.unit());
      if (i % rises === 0) close *= 1.02;
      else close = this.chance(0.1) ? close : close * (0.95 + 0.1005 * this.unit());
      return {
        open,
        close,
        high: Math.max(open, close) * (1 + 0.02 * this.unit()),
        low: Math.min(open, close) * (1 - 0.02 * this.unit()),
      };
    });
    const column = (name: "open" | "close" | "high" | "low"): Vector =>
      float64Vector(Float64Array.from(bars, (bar) => bar[name]));
    return new Table({
      date: dayVector(days(rows)),
      open: column("open"),
      high: column("high"),
      low: column("low"),
      close: column("close"),
    });
  }
}

/** Day 0, 1, 2, … */
export const days = (rows: number): Int32Array => Int32Array.from({ length: rows }, (_, i) => i);

/** `-0` and every bit of a number count; a missing value is null. */
export function contentsOf(value: unknown): unknown {
  if (value instanceof Table)
    return value.schema.fields.map(({ name, type }) => ({
      name,
      type: String(type),
      values: Array.from(value.getChild(name) as Vector, contentsOf),
    }));
  if (value instanceof Uint8Array) return [...value];
  if (Array.isArray(value)) return value.map(contentsOf);
  if (typeof value === "object" && value !== null)
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, contentsOf(inner)]));
  return value ?? null;
}

/** Whether two results are the same to the bit. */
export function isSame(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (a instanceof Table) return b instanceof Table && isSameTable(a, b);
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return (a ?? null) === (b ?? null);
  if (ArrayBuffer.isView(a) || Array.isArray(a)) {
    const [x, y] = [a as ArrayLike<unknown>, b as ArrayLike<unknown>];
    return x.length === y.length && Array.from(x).every((value, i) => isSame(value, y[i]));
  }
  const keys = Object.keys(a);
  return (
    keys.length === Object.keys(b).length &&
    keys.every((key) => isSame((a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key]))
  );
}

function isSameTable(a: Table, b: Table): boolean {
  if (a.numRows !== b.numRows || a.numCols !== b.numCols) return false;
  return a.schema.fields.every(({ name, type }, k) => {
    const [x, y] = [a.getChild(name), b.getChild(name)];
    if (!x || !y || b.schema.fields[k]?.name !== name || String(type) !== String(y.type)) return false;
    for (let i = 0; i < a.numRows; i++) if (!isSame(x.get(i), y.get(i))) return false;
    return true;
  });
}

/**
 * Rows of tables of one schema, behind one another. Batches without rows are left out: Arrow makes some of them without
 * columns.
 */
export function joined(tables: readonly Table[]): Table {
  const [first] = tables as [Table];
  const batches = tables.flatMap((table) => table.batches.filter(({ numRows }) => numRows > 0));
  return batches.length === 0 ? first : new Table(first.schema, batches);
}

const edgesOf = (rows: number, shares: readonly number[]): number[] => [
  0,
  ...shares.map((share) => Math.floor(share * (rows + 1))).sort((a, b) => a - b),
  rows,
];

/** The same rows in other batches, which begin inside the memory of the first. */
export function rebatched(table: Table, shares: readonly number[]): Table {
  const edges = edgesOf(table.numRows, shares);
  const [batch, ...more] = table.batches;
  if (!batch || more.length > 0 || table.numRows === 0) return joined(pieces(table, shares));
  const batches = edges.slice(1).flatMap((to, i) => ((edges[i] as number) < to ? [batch.slice(edges[i], to)] : []));
  return new Table(table.schema, batches);
}

/**
 * Cut before these rows, given as shares of the table: into as many pieces as there are shares and one, some of them
 * empty.
 */
export function pieces(table: Table, shares: readonly number[]): Table[] {
  const edges = edgesOf(table.numRows, shares);
  return edges.slice(1).map((to, i) => table.slice(edges[i], to));
}
