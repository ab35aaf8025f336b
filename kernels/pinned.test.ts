/**
 * The result of every kernel over fixed calls, to the bit, as `npm run engines -- --update` wrote it: a change of the
 * table is a change of what users get, and of what results that are kept under the kernel's version may be reused. `npm
 * run engines` compares with it on other versions of Node.
 */
import { readFileSync } from "node:fs";
import { afterEach, describe, expect, it } from "vitest";
import { setEngine } from "./features/engine.js";
import { listKernels } from "./registry.js";
import { pinnedDigest } from "./testing/calls/pinned.js";
import { openWasmEngine } from "./wasm/engine.js";

const table = JSON.parse(
  readFileSync(new URL("../../kernels/fixtures/digests.json", import.meta.url), "utf8"),
) as Record<string, string>;
const kernels = listKernels().map((kernel) => [`${kernel.name} ${kernel.version}`, kernel] as const);

afterEach(() => setEngine(undefined));

describe("pinned digests", () => {
  it("are those of the kernels that there are", () => {
    expect(Object.keys(table).sort()).toEqual(kernels.map(([name]) => name).sort());
  });

  it.each(kernels)("%s", (name, kernel) => {
    expect(pinnedDigest(kernel), "TypeScript").toBe(table[name]);
    setEngine(openWasmEngine());
    expect(pinnedDigest(kernel), "WebAssembly").toBe(table[name]);
  });

  it("a result that differs in one bit has another digest", () => {
    const [, kernel] = kernels.find(([name]) => name === "stats.returns 1") as (typeof kernels)[number];
    let bytes = 0;
    const first = pinnedDigest(kernel, (_, data) => {
      bytes += data.byteLength;
    });
    expect(bytes).toBeGreaterThan(10_000);
    const other = pinnedDigest(kernel, (call, data) => {
      if (call === 20) data[data.length - 40] = (data[data.length - 40] as number) ^ 1;
    });
    expect(other).not.toBe(first);
  });
});
