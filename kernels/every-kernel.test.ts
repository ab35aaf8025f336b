/**
 * What holds of every kernel of the registry, in at least `casesPerKernel` drawn calls each. A kernel without drawn
 * calls fails here.
 *
 * E1  The same call gives the same bits again, and changes none of its inputs.
 * E2  It does not matter how its tables lie in memory: one batch, several, empty ones, slices with an offset.
 * E3  Any pieces give the bits of the whole: partitions with their carry, parts of a grid, other orders, whatever its
 * pieces are. E4  Of a causal kernel no row changes when what is known after its bar is taken away, or spoilt (by
 * turns; both at every cut are in
 *     kernels/audit/causal.test.ts). Nor of a label, at the bar at which it is known.
 */
import { Table } from "apache-arrow";
import { describe, expect, it } from "vitest";
import { fc } from "../proto/testing/drawn.js";
import type { Kernel } from "./kernel.js";
import { listKernels } from "./registry.js";
import type { DrawnKernel } from "./testing/calls/call.js";
import { contentsOf, Draw, isSame, rebatched } from "./testing/calls/draw.js";
import { drawnCalls } from "./testing/calls/index.js";
import { cutsOf, differenceAt, modes, rowsOf } from "./testing/calls/look-ahead.js";
import { casesPerKernel } from "./testing/property-cases.js";

const kernels = listKernels().map((kernel) => [kernel.name, kernel] as const);
const isTimed = ({ causality }: Kernel): boolean => causality === "causal" || causality === "label";

/** The value with every table in it replaced. */
function mapTables(value: unknown, of: (table: Table) => Table): unknown {
  if (value instanceof Table) return of(value);
  if (Array.isArray(value)) return value.map((one) => mapTables(one, of));
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, mapTables(one, of)]));
}

/** The numbers of all tables, as they are stored. */
function storedIn(args: readonly unknown[]): ArrayLike<unknown>[] {
  const stored: ArrayLike<unknown>[] = [];
  mapTables(args, (table) => {
    for (const batch of table.batches)
      for (const child of batch.data.children) if (ArrayBuffer.isView(child.values)) stored.push(child.values as never);
    return table;
  });
  return stored;
}

const copiesOf = (stored: readonly ArrayLike<unknown>[]): ArrayLike<unknown>[] =>
  stored.map((values) => (values as Float64Array).slice());

/** The matcher only writes the message: in every case it would take longer than the kernels. */
function same(got: unknown, expected: unknown, what: string): void {
  if (!isSame(got, expected)) expect(contentsOf(got), what).toEqual(contentsOf(expected));
}

describe.each(kernels)("%s", (name, kernel) => {
  it("gives the same bits again, from any batches, in any pieces, and without its future", () => {
    const drawn = drawnCalls[name] as DrawnKernel;
    expect(drawn, `${name} is in no property test: give it drawn calls in kernels/testing/calls`).toBeDefined();
    const [from, to] = drawn.rows ?? [0, 24];
    const share = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
    let cases = 0;
    let cut = 0;
    let compared = 0;
    fc.assert(
      fc.property(
        fc.integer(),
        fc.integer({ min: from, max: to }),
        fc.array(share, { maxLength: 2 }),
        share,
        (seed, rows, shares, at) => {
          cases++;
          const call = drawn.draw(new Draw(seed), rows);
          const { adapt = (args: readonly unknown[]) => args } = call;
          const args = adapt(call.args);
          const inputs = storedIn(args);
          const before = copiesOf(inputs);
          const whole = kernel.run(...args);
          same(
            kernel.run(...(mapTables(args, (table) => rebatched(table, shares)) as unknown[])),
            whole,
            "other batches",
          );
          if (call.inPieces) {
            cut++;
            same(call.inPieces(kernel.run, shares, whole), whole, "pieces");
          }
          if (isTimed(kernel)) {
            const rows = rowsOf(call, whole, call.args);
            const cuts = cutsOf(call);
            const time = cuts[Math.floor(at * cuts.length)] ?? 0;
            const mode = modes[cases % 2] as (typeof modes)[number];
            const difference = differenceAt(kernel.run, call, rows, time, mode);
            if (difference) expect({ mode, at: time, ...difference }).toBe("no look-ahead");
            if (rows.some(({ numRows }) => numRows > 0)) compared++;
          }
          same(inputs, before, "inputs");
        },
      ),
      { numRuns: casesPerKernel },
    );
    expect(cases).toBeGreaterThanOrEqual(casesPerKernel);
    expect(
      drawn.whole === undefined ? cut : drawn.whole.length,
      "cases in pieces, or why there are none",
    ).toBeGreaterThan(drawn.whole === undefined ? 0.9 * cases : 10);
    if (isTimed(kernel)) expect(compared, "cases with a row to compare").toBeGreaterThan(0.5 * cases);
  });
});

describe("declarations", () => {
  it("every causal kernel, and no other, says how far it looks back and that it does not look ahead", () => {
    for (const [name, { causality, lookback, lag }] of kernels) {
      expect([name, lookback !== undefined, lag !== undefined]).toEqual([
        name,
        causality === "causal",
        causality === "causal",
      ]);
      expect(lag ?? 0).toBeGreaterThanOrEqual(0);
    }
  });

  it("there are drawn calls of kernels only", () => {
    expect(Object.keys(drawnCalls).filter((name) => !kernels.some(([kernel]) => kernel === name))).toEqual([]);
  });
});
