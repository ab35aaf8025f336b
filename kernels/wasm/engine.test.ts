import { readFileSync } from "node:fs";
import { afterEach, describe, expect, it } from "vitest";
import { fc } from "../../proto/testing/drawn.js";
import type { Feature } from "../features/feature.js";
import { features } from "../features/index.js";
import { bitsOf, inputsOf, parametersOf, seriesOf, wildSeries } from "../features/testing/cases.js";
import { openWasmEngine, regionBytesMin, type WasmEngine } from "./engine.js";

const engine = openWasmEngine() as WasmEngine;
const fast = features.filter((feature) => feature.wasm !== undefined);
afterEach(() => engine.own());

interface Application {
  readonly state: Float64Array;
  readonly inputs: Float64Array[];
}

function byTypeScript(feature: Feature, { state, inputs }: Application, rows: number): Float64Array[] {
  const outputs = feature.outputs.map(() => new Float64Array(rows));
  feature.run(state, inputs, 0, rows, outputs);
  return outputs;
}

function byWasm(feature: Feature, applications: readonly Application[], rows: number): Float64Array[][] {
  const results = engine.run(feature.wasm?.exportName ?? "", feature.outputs.length, applications, rows);
  if (!results) throw new Error(`${feature.name} has no WebAssembly form for ${rows} bars`);
  return results;
}

function sameBits(got: Float64Array, expected: Float64Array, what: string): void {
  const a = bitsOf(got);
  const b = bitsOf(expected);
  // A comparison by index: a matcher on every case would take longer than the features.
  if (a.length !== b.length || a.some((bits, i) => bits !== b[i])) expect([...got], what).toEqual([...expected]);
}

/**
 * Positive, negative or mixed; within one power of two, a few, or many: what decides which of the fast forms may run.
 */
const shapes: readonly ((unit: number) => number)[] = [
  (unit) => 100 + 13 * unit,
  (unit) => 1.4 * 2 ** (0.4 * unit),
  (unit) => 2 ** (0.9 * unit),
  (unit) => 2.8 * 2 ** (0.9 * unit),
  (unit) => 3 * 2 ** (2 * unit),
  (unit) => 10 ** (6 * unit),
  (unit) => -100 - 13 * unit,
  (unit) => unit,
];

/** Bars without anything missing, long enough for the fast forms, between bars where anything may be. */
const longSeries = fc
  .record({
    before: wildSeries,
    rows: fc.integer({ min: 40, max: 300 }),
    seed: fc.integer(),
    shape: fc.constantFrom(...shapes),
    scale: fc.constantFrom(1e-9, 1, 1, 1e9),
    after: wildSeries,
    clean: fc.boolean(),
    gap: fc.boolean(),
  })
  .map(({ before, rows, seed, shape, scale, after, clean, gap }) => {
    let state = seed | 1;
    const middle = Float64Array.from({ length: rows }, () => {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      return shape(state / 2 ** 31) * scale;
    });
    if (clean) return middle;
    if (gap) middle[(seed >>> 0) % rows] = Number.NaN;
    return Float64Array.from([...before, ...middle, ...after, ...middle.subarray(0, 40)]);
  });
/** Numbers whose differences or sums overflow, and the smallest ones. */
const extremeSeries = seriesOf(fc.constantFrom(0, 1_500), fc.constantFrom(1e305, 1.7e305, 5e-324, 1e-310)).map(
  (values) =>
    Float64Array.from({ length: values.length === 0 ? 0 : 120 }, (_, i) => values[i % values.length] as number),
);
const anySeries = fc.oneof({ weight: 5, arbitrary: longSeries }, { weight: 1, arbitrary: extremeSeries });

/** The inputs of some columns, all of one length of at least 32 bars. */
const columnsOf = (feature: Feature): fc.Arbitrary<Float64Array[][]> =>
  fc
    .array(inputsOf(feature, anySeries), { minLength: 1, maxLength: 10 })
    .filter((columns) => columns.some(([first]) => (first as Float64Array).length >= 64))
    .map((columns) => {
      const rows = Math.max(64, Math.min(...columns.map(([first]) => (first as Float64Array).length)));
      return columns.map((inputs) =>
        inputs.map((input) =>
          Float64Array.from({ length: rows }, (_, i) =>
            input.length === 0 ? Number.NaN : (input[i % input.length] as number),
          ),
        ),
      );
    });

describe.each(fast.map((feature) => [feature.name, feature] as const))("%s in WebAssembly", (_name, feature) => {
  it("gives the bits of the TypeScript form, states included, for any columns, and carries over between the two at any bar", () => {
    let cases = 0;
    fc.assert(
      fc.property(
        parametersOf(feature),
        columnsOf(feature),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.constantFrom("wasm-wasm", "wasm-ts", "ts-wasm"),
        fc.boolean(),
        (params, columns, at, order, lent) => {
          cases++;
          if (lent) engine.lend();
          else engine.own();
          const rows = (columns[0] as Float64Array[])[0]?.length ?? 0;
          const cut = Math.min(Math.max(Math.floor(at * rows), 32), rows - 32);
          const fresh = feature.create(feature.parse(params));
          const expected = columns.map((inputs) => ({ state: fresh.slice(), inputs }));
          const whole = expected.map((one) => byTypeScript(feature, one, rows));
          const parts = [0, 1].map((part) =>
            columns.map((inputs) => inputs.map((input) => (part === 0 ? input.subarray(0, cut) : input.subarray(cut)))),
          );
          const states = columns.map(() => fresh.slice());
          const results = parts.map((part, p) => {
            const applications = part.map((inputs, c) => ({ state: states[c] as Float64Array, inputs }));
            const size = p === 0 ? cut : rows - cut;
            return order.split("-")[p] === "wasm"
              ? byWasm(feature, applications, size)
              : applications.map((one) => byTypeScript(feature, one, size));
          });
          columns.forEach((_, c) => {
            sameBits(states[c] as Float64Array, (expected[c] as Application).state, `state of column ${c}`);
            feature.outputs.forEach((output, k) => {
              const got = Float64Array.from(
                results.flatMap((part) => [...((part[c] as Float64Array[])[k] as Float64Array)]),
              );
              sameBits(got, whole[c]?.[k] as Float64Array, `${output} of column ${c}`);
            });
          });
        },
      ),
      { numRuns: 1_000 },
    );
    expect(cases).toBeGreaterThanOrEqual(1_000);
  });
});

/** What has no default. */
const needed = (feature: Feature, window: number): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries({ window, q: 0.3, periodsPerYear: 252 }).filter(([name]) =>
      Object.hasOwn(feature.parameters.shape, name),
    ),
  );

describe("the exports", () => {
  const { WebAssembly: wasm } = globalThis as unknown as {
    WebAssembly: {
      Module: { new (bytes: Uint8Array): object; exports(module: object): { name: string }[] };
    };
  };
  const bytes = readFileSync(new URL("./features.wasm", import.meta.url));

  it("are the forms that the features' declarations name, and no other", () => {
    const named = new Set(fast.map(({ wasm }) => wasm?.exportName));
    const exported = wasm.Module.exports(new wasm.Module(bytes)).map(({ name }) => name);
    expect(exported.toSorted()).toEqual([...named, "validity"].toSorted());
  });

  it("are shared by features of one form only", () => {
    const forms = new Map<string, unknown>();
    for (const { wasm } of fast) {
      if (wasm && forms.has(wasm.exportName)) expect(wasm).toEqual(forms.get(wasm.exportName));
      if (wasm) forms.set(wasm.exportName, wasm);
    }
    expect(forms.size).toBeLessThan(fast.length);
  });
});

describe("wide windows", () => {
  const windowed = fast
    .filter((feature) => Object.hasOwn(feature.parameters.shape, "window"))
    .map((feature) => [feature.name, feature] as const);
  /** About the sizes of chunks, of what is searched and what is passed, and more bars than fit. */
  const windows = [16, 63, 64, 127, 223, 224, 225, 511, 512, 700, 1_000];
  const walk = (rows: number, seed: number): Float64Array => {
    let state = seed | 1;
    let price = 100;
    return Float64Array.from({ length: rows }, () => {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      price += Math.round(state / 2 ** 28) / 8;
      return price;
    });
  };

  it.each(windowed)("of %s give the bits of the TypeScript form, states included", (_name, feature) => {
    const rows = 5_000;
    for (const window of windows) {
      const fresh = feature.create(feature.parse(needed(feature, window)));
      const columns = [1, 2, 3].map((column) => ({
        state: fresh.slice(),
        inputs: feature.inputs.map((_, i) => walk(rows, 1 + column + 10 * i + 100 * window)),
      }));
      // One of them has a gap, which the fast form has to leave out and come back from.
      for (const input of columns[1]?.inputs ?? []) input.fill(Number.NaN, 1_000, 1_003);
      const expected = columns.map(({ state, inputs }) => ({ state: state.slice(), inputs }));
      const outputs = expected.map((one) => byTypeScript(feature, one, rows));
      byWasm(feature, columns, rows).forEach((results, c) => {
        results.forEach((result, k) => {
          sameBits(result, outputs[c]?.[k] as Float64Array, `${feature.outputs[k]} of window ${window}`);
        });
        sameBits((columns[c] as Application).state, (expected[c] as Application).state, `state of window ${window}`);
      });
    }
  });
});

describe("the engine", () => {
  const [sma] = fast as [Feature];
  const series = (rows: number): Float64Array => Float64Array.from({ length: rows }, (_, i) => Math.sin(i) + 2);

  it("has a form for every feature", () => {
    expect(features.filter((feature) => !feature.wasm).map(({ name }) => name)).toEqual([]);
    for (const feature of fast) {
      const state = feature.create(feature.parse(needed(feature, 5)));
      expect(byWasm(feature, [{ state, inputs: feature.inputs.map(() => series(100)) }], 100)[0]).toHaveLength(
        feature.outputs.length,
      );
    }
  });

  it("puts nothing on the memory by itself: the module has no data and no start", () => {
    const bytes = readFileSync(new URL("./features.wasm", import.meta.url));
    const ids: number[] = [];
    for (let at = 8; at < bytes.length; ) {
      ids.push(bytes[at++] as number);
      let size = 0;
      for (let shift = 0; ; shift += 7) {
        const byte = bytes[at++] as number;
        size |= (byte & 127) << shift;
        if (byte < 128) break;
      }
      at += size;
    }
    expect(ids).toContain(10);
    expect(ids).not.toContain(8);
    expect(ids).not.toContain(11);
  });

  it("writes inside its region only, and reads columns of its memory where they lie, also after the memory has grown", () => {
    const own = openWasmEngine() as WasmEngine;
    const { memory } = own;
    const offset = memory.grow(Math.ceil((regionBytesMin + 1_000_000) / 65_536) + 4) * 65_536;
    const region = { offset: offset + 65_536, bytes: regionBytesMin + 1_000_000 - ((regionBytesMin + 1_000_000) % 64) };
    const placed = openWasmEngine({ memory, region }) as WasmEngine;
    const bytes = new Uint8Array(memory.buffer);
    bytes.fill(0xa5, offset);
    const column = new Float64Array(memory.buffer, offset, 2_000);
    column.set(series(2_000));
    const expected = byTypeScript(sma, { state: sma.create({ window: 7 }), inputs: [column] }, 2_000);
    placed.lend();
    for (let i = 0; i < 2; i++) {
      const out = placed.run("sma", 1, [{ state: sma.create({ window: 7 }), inputs: [column] }], 2_000)?.[0]?.[0];
      if (!out) throw new Error("sma did not run");
      expect(out.buffer).toBe(memory.buffer);
      sameBits(out, expected[0] as Float64Array, "in place");
      memory.grow(1);
    }
    const end = region.offset + region.bytes;
    expect(bytes.subarray(offset + 16_000, region.offset).every((byte) => byte === 0xa5)).toBe(true);
    expect(bytes.subarray(end).every((byte) => byte === 0xa5)).toBe(true);
  });

  it("lends results until the next lend, and copies what no longer fits", () => {
    engine.lend();
    const run = (rows: number): Float64Array =>
      engine.run(
        "sma",
        1,
        [{ state: sma.create({ window: 3 }), inputs: [series(rows)] }],
        rows,
      )?.[0]?.[0] as Float64Array;
    const first = run(1_000);
    const second = run(1_000);
    expect(second.byteOffset).not.toBe(first.byteOffset);
    engine.lend();
    expect(run(1_000).byteOffset).toBe(first.byteOffset);
    const large = run(4_300_000);
    expect(large.buffer).not.toBe(engine.memory.buffer);
    expect(large[4_299_999]).toBeCloseTo((Math.sin(4_299_997) + Math.sin(4_299_998) + Math.sin(4_299_999)) / 3 + 2, 12);
    engine.own();
    expect(run(1_000).buffer).not.toBe(engine.memory.buffer);
  });

  it("leaves short runs, wide windows and unknown names to the TypeScript form, and changes nothing", () => {
    const state = sma.create({ window: 3 });
    const before = state.slice();
    expect(engine.run("sma", 1, [{ state, inputs: [series(8)] }], 8)).toBeUndefined();
    expect(engine.run("no_such", 1, [{ state, inputs: [series(100)] }], 100)).toBeUndefined();
    expect(
      engine.run("sma", 1, [{ state: sma.create({ window: 100_000 }), inputs: [series(100)] }], 100),
    ).toBeUndefined();
    expect(state).toEqual(before);
  });

  it("refuses a region that is too small", () => {
    expect(() => openWasmEngine({ memory: engine.memory, region: { offset: 64, bytes: regionBytesMin - 64 } })).toThrow(
      /at least/,
    );
  });
});
