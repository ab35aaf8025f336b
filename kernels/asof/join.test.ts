import {
  Bool,
  DateDay,
  Int32,
  LargeUtf8,
  Table,
  TimestampMillisecond,
  Utf8,
  type Vector,
  vectorFromArray,
} from "apache-arrow";
import { describe, expect, it } from "vitest";
import { fc } from "../../proto/testing/drawn.js";
import { decodeTable, decodeValue, encodeTable, encodeValue } from "../../proto/values/value.js";
import { requireKernel } from "../registry.js";
import { casesPerKernel } from "../testing/property-cases.js";
import { openAsofJoin } from "./join.js";
import { naiveJoin, type OracleRow } from "./testing/naive-oracle.js";
import {
  families,
  inBatches,
  type KeyType,
  keyText,
  keyVector,
  type RandomRow,
  rowsArbitrary,
  sortedInGroups,
  type TimeType,
} from "./testing/random-tables.js";

const join = requireKernel("asof.join", 1);
const rowsOf = (table: Table): number[] =>
  [...(table.getChild("row") ?? [])].map((row) => (row as number | null) ?? -1);

const oracleRows = (rows: readonly RandomRow[], type: TimeType): OracleRow[] =>
  rows.map((row) => ({ key: keyText(row), time: row.time === null ? null : type.ticks(row.time) }));

function tableFor(rows: readonly RandomRow[], type: TimeType, keys: readonly KeyType[], extra: string): Table {
  return new Table({
    ...Object.fromEntries(
      keys.map((key, k) => [
        `k${k}`,
        keyVector(
          key,
          rows.map((row) => row.keys[k] ?? null),
        ),
      ]),
    ),
    t: type.vector(rows.map((row) => row.time)),
    [extra]: vectorFromArray(
      rows.map((_, i) => i),
      new Int32(),
    ),
  });
}

const textTypes: readonly KeyType[] = ["utf8", "dictionary"];
const integerTypes: readonly KeyType[] = ["int32", "int64"];

/** Two tables, parameters and what the oracle says. */
const caseArbitrary = fc
  .record({
    family: fc.constantFrom(...families),
    keys: fc.array(fc.constantFrom(textTypes, integerTypes), { maxLength: 3 }),
    direction: fc.constantFrom("backward" as const, "forward" as const, "nearest" as const),
    exact: fc.boolean(),
    ties: fc.constantFrom("last" as const, "first" as const, "adjacent" as const),
    midway: fc.constantFrom("earlier" as const, "later" as const),
    tolerance: fc.option(fc.nat(6), { nil: undefined }),
  })
  .chain((options) =>
    fc.record({
      options: fc.constant(options),
      leftTime: fc.constantFrom(...options.family),
      rightTime: fc.constantFrom(...options.family),
      leftKeys: fc.tuple(...options.keys.map((types) => fc.constantFrom(...types))),
      rightKeys: fc.tuple(...options.keys.map((types) => fc.constantFrom(...types))),
      left: rowsArbitrary(options.keys.length, 30).map(sortedInGroups),
      right: rowsArbitrary(options.keys.length, 30).map(sortedInGroups),
      leftCuts: fc.array(fc.nat(40), { maxLength: 3 }),
      rightCuts: fc.array(fc.nat(40), { maxLength: 3 }),
    }),
  )
  .map((given) => {
    const { options, left, right, leftTime, rightTime } = given;
    const { direction, exact, ties, midway } = options;
    const tolerance = options.tolerance === undefined ? {} : { tolerance: leftTime.tolerance(options.tolerance) };
    const unit = leftTime.ticks(1) - leftTime.ticks(0);
    return {
      left: inBatches(tableFor(left, leftTime, given.leftKeys, "at"), given.leftCuts),
      right: inBatches(tableFor(right, rightTime, given.rightKeys, "row"), given.rightCuts),
      cuts: given.leftCuts,
      params: {
        on: "t",
        by: options.keys.map((_, k) => `k${k}`),
        direction,
        exact,
        ties,
        midway,
        columns: ["row"],
        ...tolerance,
      },
      expected: naiveJoin(oracleRows(left, leftTime), oracleRows(right, rightTime), {
        direction,
        exact,
        ties,
        midway,
        tolerance: options.tolerance === undefined ? undefined : BigInt(options.tolerance) * unit,
      }),
    };
  });

const partsOf = (table: Table, cuts: readonly number[]): Table[] => {
  const edges = [0, ...cuts.map((cut) => cut % (table.numRows + 1)).sort((a, b) => a - b), table.numRows];
  return edges.slice(1).map((to, i) => table.slice(edges[i], to));
};

describe("asof.join", () => {
  it("agrees with a search of all pairs: every direction, type, tie, null, tolerance and batch", () => {
    fc.assert(
      fc.property(caseArbitrary, ({ left, right, params, expected }) => {
        const joined = join.run(left, right, params) as Table;
        expect(rowsOf(joined)).toEqual(expected);
        expect([...(joined.getChild("at") ?? [])]).toEqual([...Array(left.numRows).keys()]);
      }),
      { numRuns: casesPerKernel },
    );
  });

  it("any partitioning of the left table gives the same rows, with a carry or without, in one stream or through the wire", () => {
    fc.assert(
      fc.property(caseArbitrary, ({ left, right, cuts, params, expected }) => {
        const parts = partsOf(left, cuts);
        const stream = openAsofJoin(right, params);
        const streamed = parts.flatMap((part) => rowsOf(stream.push(part)));
        expect(streamed).toEqual(expected);
        expect(parts.flatMap((part) => rowsOf(join.run(part, right, params) as Table))).toEqual(expected);
        let carry: unknown;
        const wired = parts.flatMap((part) => {
          const result = join.run(part, right, { ...params, withCarry: true }, carry) as {
            table: Table;
            carry: unknown;
          };
          // As between two tasks of a cluster.
          carry = decodeValue(encodeValue(result.carry));
          return rowsOf(result.table);
        });
        expect(wired).toEqual(expected);
      }),
      { numRuns: casesPerKernel },
    );
  });

  it("has the four interval forms of DuckDB", () => {
    const left = new Table({ t: vectorFromArray(Float64Array.of(0, 1, 1.5, 2, 3, 4)) });
    const right = new Table({
      t: vectorFromArray(Float64Array.of(1, 2, 3)),
      row: vectorFromArray(Int32Array.of(1, 2, 3)),
    });
    const forms = (direction: string, exact: boolean): number[] =>
      rowsOf(join.run(left, right, { on: "t", direction, exact, columns: ["row"] }) as Table);
    // left >= right: [Tn, Tn+1)
    expect(forms("backward", true)).toEqual([-1, 1, 1, 2, 3, 3]);
    // left > right: (Tn, Tn+1]
    expect(forms("backward", false)).toEqual([-1, -1, 1, 1, 2, 3]);
    // left <= right: (Tn-1, Tn]
    expect(forms("forward", true)).toEqual([1, 1, 2, 2, 3, -1]);
    // left < right: [Tn-1, Tn)
    expect(forms("forward", false)).toEqual([1, 2, 2, 3, -1, -1]);
  });

  it("leaps over long runs of right rows to the same place as step by step", () => {
    const times = Float64Array.from({ length: 5_000 }, (_, i) => Math.floor(i / 3));
    const right = new Table({ t: vectorFromArray(times), row: vectorFromArray(Int32Array.from(times, (_, i) => i)) });
    const at = [0, 5, 17, 1_000, 1_000, 1_666, 9_999];
    const joined = join.run(new Table({ t: vectorFromArray(Float64Array.from(at)) }), right, {
      on: "t",
      columns: ["row"],
    }) as Table;
    expect(rowsOf(joined)).toEqual(at.map((time) => Math.min(3 * time + 2, 4_999)));
  });

  it("reads tables in shared memory in place", () => {
    const shared = (table: Table): Table => {
      const bytes = encodeTable(table);
      const memory = new Uint8Array(new SharedArrayBuffer(bytes.length));
      memory.set(bytes);
      return decodeTable(memory);
    };
    fc.assert(
      fc.property(caseArbitrary, ({ left, right, params, expected }) => {
        expect(rowsOf(join.run(shared(left), shared(right), params) as Table)).toEqual(expected);
      }),
      { numRuns: casesPerKernel },
    );
  });

  it("takes booleans, days, timestamps and large text as keys", () => {
    const keys: Record<string, Vector> = {
      bool: vectorFromArray([true, false, null, true], new Bool()),
      day: vectorFromArray([new Date(0), new Date(864e5), null, new Date(0)], new DateDay()),
      stamp: vectorFromArray([1, 2, null, 1], new TimestampMillisecond()),
      large: vectorFromArray(["a", "b", null, "a"], new LargeUtf8()),
    };
    const table = new Table({
      ...keys,
      t: vectorFromArray(Float64Array.of(1, 1, 1, 2)),
      row: vectorFromArray(Int32Array.of(0, 1, 2, 3)),
    });
    for (const name of Object.keys(keys))
      expect([
        name,
        ...rowsOf(join.run(table, table, { on: "t", by: name, columns: ["row"], keep: [] }) as Table),
      ]).toEqual([name, 0, 1, -1, 3]);
    const text = new Table({
      large: vectorFromArray(["b", "c"], new Utf8()),
      t: vectorFromArray(Float64Array.of(5, 5)),
    });
    expect(rowsOf(join.run(text, table, { on: "t", by: "large", columns: ["row"] }) as Table)).toEqual([1, -1]);
  });
});
