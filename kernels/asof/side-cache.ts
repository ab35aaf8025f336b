/**
 * The right side of a join, prepared: kept while the same table is joined again. The partitions of a left table are
 * tasks of their own that share the right table; a thread decodes it once and gives every one of them the same object.
 *
 * R1  A table does not change while it is alive, so what is prepared from it depends on its identity, the parameters
 * that decide, and the scale. R2  Nothing here keeps a table alive: what was prepared from one that is gone is dropped
 * at the next join of the thread.
 */
import type { Table } from "apache-arrow";
import type { ByKeys } from "../columns/by-keys.js";
import type { LeftRows } from "./merge.js";
import type { SortedGroups } from "./sorted-groups.js";

/** Positions of the merge for one push; `takeEqual` as in `locate`. */
export type Locate = (takeEqual: boolean) => Int32Array;

export interface Prepared {
  readonly groups: SortedGroups;
  /** The right table's row for every left row, -1 for none. */
  choose(left: LeftRows, locate: Locate): Int32Array;
}

export interface RightSide {
  readonly keys: ByKeys;
  /** By the text of the scale, which depends on the left table's type of time too. */
  readonly prepared: Map<string, Prepared>;
}

interface CachedSide {
  readonly tables: readonly WeakRef<Table>[];
  readonly deciding: string;
  readonly side: RightSide;
}

/**
 * Right tables at a time that a thread's tasks take turns with; each is about as large as its columns of keys and
 * times.
 */
const cachedMax = 4;

/** Least recently used first. */
let cached: readonly CachedSide[] = [];

/**
 * The side prepared from these tables before, or a new one. `deciding`: kernel and parameters that `make` and what is
 * prepared depend on.
 */
export function rightSideOf(tables: readonly Table[], deciding: string, make: () => ByKeys): RightSide {
  const alive = cached.filter((one) => one.tables.every((table) => table.deref()));
  const isSame = (one: CachedSide): boolean =>
    one.deciding === deciding &&
    one.tables.length === tables.length &&
    one.tables.every((table, i) => table.deref() === tables[i]);
  const found = alive.find(isSame) ?? {
    tables: tables.map((table) => new WeakRef(table)),
    deciding,
    side: { keys: make(), prepared: new Map() },
  };
  cached = [...alive.filter((one) => one !== found), found].slice(-cachedMax);
  return found.side;
}
