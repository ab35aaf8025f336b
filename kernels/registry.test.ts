import { Table, tableToIPC, vectorFromArray } from "apache-arrow";
import { describe, expect, it } from "vitest";
import { findKernel, listKernels, requireKernel } from "./registry.js";

describe("registry", () => {
  it("finds a kernel by name and version, and says what there is otherwise", () => {
    expect(findKernel("volley.noop", 1)?.name).toBe("volley.noop");
    expect(findKernel("volley.noop", 2)).toBeUndefined();
    expect(() => requireKernel("volley.noop", 2)).toThrow(/it has version 1/);
    expect(() => requireKernel("nothing-like-it", 1)).toThrow(
      /no kernel nothing-like-it of version 1: `volley kernels`/,
    );
    expect(() => requireKernel("rsi", 1)).toThrow(/did you mean feature\.rsi/);
    expect(() => requireKernel("asof.pitt", 1)).toThrow(/did you mean asof\.pit/);
  });

  it("every kernel has its own key, a sentence of documentation and a schema for every argument", () => {
    const keys = listKernels().map((kernel) => `${kernel.name}@${kernel.version}`);
    expect(new Set(keys).size).toBe(keys.length);
    for (const kernel of listKernels()) {
      expect(kernel.doc).toMatch(/\.$/);
      for (const arg of kernel.args) expect(kernel.argSchema(arg), `${kernel.name} ${arg}`).toBeTypeOf("object");
    }
    expect(requireKernel("sweep.ma_cross", 1).argSchema("chunk")).toMatchObject({
      type: "object",
      required: ["fast", "slow"],
    });
  });

  it("the kernels that compute nothing", async () => {
    expect(requireKernel("volley.noop", 1).run(1, 2)).toBeUndefined();
    expect(requireKernel("volley.echo", 1).run({ a: [1] })).toEqual({ a: [1] });
    expect(await requireKernel("volley.sleep", 1).run(1, false, "woke")).toBe("woke");
    expect(requireKernel("volley.sleep", 1).run(1, true, "worked")).toBe("worked");
    expect(() => requireKernel("volley.sleep", 1).run(-1)).toThrow(/volley\.sleep: ms is -1/);
  });

  it("concat joins tables of one schema in order and refuses others", () => {
    const table = (...xs: number[]): Table => new Table({ x: vectorFromArray(Float64Array.from(xs)) });
    const joined = requireKernel("volley.concat", 1).run([table(1, 2), table(), table(3)]) as Table;
    expect([...(joined.getChild("x") ?? [])]).toEqual([1, 2, 3]);
    expect(tableToIPC(joined).byteLength).toBeGreaterThan(0);
    expect(() => requireKernel("volley.concat", 1).run([table(1), new Table({ y: vectorFromArray([1]) })])).toThrow(
      /tables\.1 has columns \(y: Float64\), the first table has \(x: Float64\)/,
    );
    expect(() => requireKernel("volley.concat", 1).run([])).toThrow(/tables/);
  });
});
