import { Table } from "apache-arrow";
import { afterEach, expect, test } from "vitest";
import { float64Vector } from "../../kernels/columns/building.js";
import { optionalFloat64Column } from "../../kernels/columns/reading.js";
import { engineOf, setEngine } from "../../kernels/features/engine.js";
import { requireKernel } from "../../kernels/registry.js";
import { ObjectStore } from "../store/store.js";
import { kernelBytes, regionsOf, SlotEngine } from "./kernel-engines.js";

afterEach(() => setEngine(undefined));

const slots = 2;
const store = new ObjectStore({ budgetBytes: 1 << 20, reservedBytes: kernelBytes(slots) });
const engines = regionsOf(store.reserved, slots).map((region) => new SlotEngine(store.memory, region));
const values = Float64Array.from({ length: 5_000 }, (_, i) => (i % 97 === 0 ? Number.NaN : 50 + Math.sin(i)));
const table = new Table({ x: float64Vector(values) });
const kernel = requireKernel("feature.rolling_mean", 1);
const mean = (): Float64Array => optionalFloat64Column(kernel.run(table, { window: 20 }) as Table, "x");

/** What the engine itself hands out, without the kernel around it. */
const raw = (): Float64Array => {
  const state = new Float64Array(8 + 2 * 4);
  state.set([3, 3]);
  return engineOf()?.run("sma", 1, [{ state, inputs: [values] }], values.length)?.[0]?.[0] ?? new Float64Array(0);
};

test("kernels give the same table on every slot's engine as without one", () => {
  const plain = mean();
  for (const slot of [0, 1, 0]) {
    engines[slot]?.enter(slot === 0);
    engineOf()?.renew?.();
    expect(raw().length).toBe(values.length);
    expect(mean()).toEqual(plain);
  }
});

test("a kernel's run borrows its results from the slot's region until the next task; user code gets its own", () => {
  engines[1]?.enter(true);
  engineOf()?.renew?.();
  const first = raw();
  expect(first.buffer).toBe(store.memory.buffer);
  expect(raw().byteOffset).not.toBe(first.byteOffset);
  engineOf()?.renew?.();
  expect(raw().byteOffset).toBe(first.byteOffset);
  const end = store.reserved.offset + store.reserved.bytes;
  expect(first.byteOffset).toBeGreaterThan(store.reserved.offset + store.reserved.bytes / 2);
  expect(first.byteOffset + first.byteLength).toBeLessThan(end);
  engines[1]?.enter(false);
  expect(raw().buffer).not.toBe(store.memory.buffer);
});

test("objects of the store and regions do not overlap", async () => {
  const { offset, view } = await store.allocate(1_000);
  expect(offset).toBeGreaterThanOrEqual(store.reserved.offset + store.reserved.bytes);
  expect(view.length).toBe(1_000);
  expect(regionsOf(store.reserved, 2)).toHaveLength(2);
  expect(regionsOf(undefined, 2)).toEqual([]);
  expect(kernelBytes(1_000)).toBe(0);
});
