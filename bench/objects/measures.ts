/** Values of several kinds on their way into the cluster and back; Volley's side, each one repeat. */
import { type Table, tableFromArrays } from "apache-arrow";
import type { Cluster } from "volley";
import { longestBlock } from "./longest-block.js";

let salt = 0;

/** Numbers that no cluster has seen. */
function freshNumbers(bytes: number): Float64Array {
  const numbers = new Float64Array(bytes / 8);
  for (let i = 0; i < numbers.length; i++) numbers[i] = i + 0.5;
  numbers[0] = ++salt + Math.random();
  return numbers;
}

/** A kind of value: made with about so many bytes, and compared, by a few of its parts, with what comes back. */
export interface Kind {
  readonly name: string;
  readonly bytes: number;
  make(bytes: number): unknown;
  isSame(sent: unknown, back: unknown): boolean;
}

const mib = 1024 * 1024;

const kindOf = <T>(
  name: string,
  bytes: number,
  make: (bytes: number) => T,
  parts: (value: T) => readonly unknown[],
): Kind => ({
  name,
  bytes,
  make,
  isSame: (sent, back) => JSON.stringify(parts(sent as T)) === JSON.stringify(parts(back as T)),
});

const ends = <T>(list: { readonly length: number; at(index: number): T }): unknown[] => [
  list.length,
  list.at(0),
  list.at(list.length >> 1),
  list.at(-1),
];

const rows = (bytes: number): { id: number; price: number; symbol: string }[] =>
  Array.from(freshNumbers(bytes / 4), (price, id) => ({ id, price, symbol: `S${id % 500}` }));

const freshTable = (bytes: number): Table => tableFromArrays({ x: freshNumbers(bytes) });

export const arrow = kindOf("Arrow", 256 * mib, freshTable, (table) => [
  table.numRows,
  table.getChild("x")?.get(0),
  table.getChild("x")?.get(table.numRows - 1),
]);

export const kinds: readonly Kind[] = [
  arrow,
  kindOf("a Float64Array", 256 * mib, freshNumbers, ends),
  kindOf("a Uint8Array", 256 * mib, (bytes) => new Uint8Array(freshNumbers(bytes).buffer), ends),
  kindOf("an array of numbers", 32 * mib, (bytes) => Array.from(freshNumbers((bytes * 8) / 9 - 8)), ends),
  kindOf("an array of rows", 32 * mib, rows, ends),
];

export interface Passage {
  /** GB/s of the value's bytes, about. */
  readonly put: number;
  readonly get: number;
  readonly putBlockedMs: number;
  readonly getBlockedMs: number;
}

const rate = (bytes: number, sinceMs: number): number => bytes / 1e6 / (performance.now() - sinceMs);

/** A put, and the get that follows. */
export async function putAndGet(cluster: Cluster, kind: Kind): Promise<Passage> {
  const value = kind.make(kind.bytes);
  const start = performance.now();
  const put = await longestBlock(async () => {
    const ref = await cluster.put(value);
    return { ref, rate: rate(kind.bytes, start) };
  });
  const again = performance.now();
  const get = await longestBlock(async () => {
    const back = await cluster.get(put.value.ref);
    return { back, rate: rate(kind.bytes, again) };
  });
  cluster.release(put.value.ref);
  if (!kind.isSame(value, get.value.back)) throw new Error(`${kind.name} that came back is another`);
  return {
    put: put.value.rate,
    get: get.value.rate,
    putBlockedMs: put.blockedMs,
    getBlockedMs: get.blockedMs,
  };
}
