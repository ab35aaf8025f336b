import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import * as arrow from "apache-arrow";
import { afterEach, beforeEach, expect, expectTypeOf, test } from "vitest";
import { sha256Hex } from "../../proto/digest.js";
import type { Cluster, ObjectRef, RefArray } from "./api.js";
import { bundleModule } from "./deploy.js";
import { sharedModulesKey } from "./task-context.js";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "volley-deploy-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** The module of a bundle, loaded as a worker thread loads it. */
async function load<M>(code: Uint8Array): Promise<M> {
  return (await import(pathToFileURL(await write("bundle.mjs", Buffer.from(code).toString())).href)) as M;
}

async function write(name: string, source: string, into = folder): Promise<string> {
  await mkdir(into, { recursive: true });
  const path = join(into, name);
  await writeFile(path, source);
  return path;
}

test("a TypeScript module with what it imports becomes one file whose id is the SHA-256 of its bytes", async () => {
  await write("inner.ts", "export const factor: number = 3;");
  const path = await write(
    "tasks.ts",
    'import { factor } from "./inner.js"; export function triple(x: number): number { return factor * x; } export const one = (): number => 1; const hidden = 1; export default hidden;',
  );
  const bundle = await bundleModule(path);
  expect(bundle.exports.toSorted()).toEqual(["one", "triple"]);
  expect(bundle.id).toBe(sha256Hex(bundle.code));
  const loaded = await load<{ triple(x: number): number }>(bundle.code);
  expect(loaded.triple(5)).toBe(15);
});

test("the same sources in another folder give the same bytes", async () => {
  const source = 'export const f = (x: number): number => { if (x > 1) throw new Error("no"); return x; };';
  const [a, b] = await Promise.all(
    ["one", "two/deeper"].map(async (name) => bundleModule(await write("tasks.ts", source, join(folder, name)))),
  );
  expect(a?.id).toBe(b?.id);
  expect(a?.code.byteLength).toBeGreaterThan(0);
});

test("apache-arrow and volley are those of the worker's thread, not copies", async () => {
  const bundle = await bundleModule(new URL("./testing/fixture-tasks.js", import.meta.url));
  expect(bundle.code.byteLength).toBeLessThan(20_000);
  const marked = { stage: 1, task: 2, attempt: 3, job: "j" };
  const key = Symbol.for(sharedModulesKey);
  Object.defineProperty(globalThis, key, {
    value: { "apache-arrow": arrow, volley: { taskContext: () => marked, VolleyError: Error } },
    configurable: true,
  });
  try {
    const loaded = await load<typeof import("./testing/fixture-tasks.js")>(bundle.code);
    expect(loaded.table(3, 2)).toBeInstanceOf(arrow.Table);
    expect(loaded.where()).toEqual({ stage: 1, task: 2, attempt: 3 });
  } finally {
    Reflect.deleteProperty(globalThis, key);
  }
});

test("a compiled module is found by its source's name", async () => {
  const bundle = await bundleModule(new URL("./testing/fixture-tasks.ts", import.meta.url));
  expect(bundle.exports).toContain("add");
});

test("CommonJS packages work inside a bundle", async () => {
  await write(
    "index.js",
    'const { basename } = require("node:path"); exports.last = (p) => basename(p);',
    join(folder, "node_modules", "old-style"),
  );
  const bundle = await bundleModule(
    await write("tasks.js", 'import old from "old-style"; export const last = (p) => old.last(p);'),
  );
  const loaded = await load<{ last(p: string): string }>(bundle.code);
  expect(loaded.last("/a/b")).toBe("b");
});

test("faults are told with place and reason", async () => {
  await expect(bundleModule(join(folder, "absent.ts"))).rejects.toMatchObject({
    code: "INVALID_ARGUMENT",
    message: expect.stringContaining("absent.js"),
  });
  await expect(bundleModule(await write("broken.ts", "export const x = ;"))).rejects.toMatchObject({
    code: "INVALID_ARGUMENT",
    message: expect.stringContaining("broken.ts:1:17"),
  });
  await expect(bundleModule(await write("lost.ts", 'export { x } from "./nowhere.js";'))).rejects.toMatchObject({
    code: "INVALID_ARGUMENT",
    message: expect.stringContaining("nowhere"),
  });
  await expect(bundleModule(await write("empty.ts", "const x = 1; void x;"))).rejects.toMatchObject({
    code: "INVALID_ARGUMENT",
    message: expect.stringContaining("exports nothing"),
  });
});

test("types flow from the module", () => {
  const check = async (cluster: Cluster): Promise<void> => {
    const library = await cluster.deploy<typeof import("./testing/fixture-tasks.js")>("tasks.js");
    expectTypeOf(library.add.submit(1, 2)).toEqualTypeOf<ObjectRef<number>>();
    expectTypeOf(library.double.submit(1)).toEqualTypeOf<ObjectRef<number>>();
    expectTypeOf(library.table.submit(1, 2)).toEqualTypeOf<ObjectRef<arrow.Table>>();
    expectTypeOf(library.double.map([1, 2])).toEqualTypeOf<RefArray<number>>();
    expectTypeOf(await cluster.get(library.double.map([1]))).toEqualTypeOf<number[]>();
    expectTypeOf(await cluster.get(library.add.submit(1, 2))).toEqualTypeOf<number>();
    library.add.submit(library.double.submit(1), 2);
    library.sum.submit(library.double.map([1, 2]));
    library.sum.submit([library.double.submit(1), library.double.submit(2)]);
    library.add.map([1, 2], { shared: [library.double.submit(1)] });
    library.double.map(library.double.map([1]));
    // @ts-expect-error a string is no number
    library.add.submit("1", 2);
    // @ts-expect-error an argument is missing
    library.add.submit(1);
    // @ts-expect-error a ref of a table is no number
    library.add.submit(library.table.submit(1, 2), 2);
    // @ts-expect-error there is no such function
    library.subtract.submit(1, 2);
  };
  expect(check).toBeTypeOf("function");
});
