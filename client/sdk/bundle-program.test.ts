/**
 * A bundle behaves as the program it was made from, however people write theirs. It is loaded as a worker's thread
 * loads it: from another folder.
 */

import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { SourceMap } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import * as arrow from "apache-arrow";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type BundleOptions, bundleModule } from "./deploy.js";
import { sharedModulesKey } from "./task-context.js";

let folder: string;
let elsewhere: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "volley-program-"));
  elsewhere = await mkdtemp(join(tmpdir(), "volley-worker-"));
});
afterEach(async () => {
  for (const path of [folder, elsewhere]) await rm(path, { recursive: true, force: true });
});

async function write(files: Record<string, string>): Promise<void> {
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), text);
  }
}

let bundles = 0;
type Loaded = Record<string, (...args: unknown[]) => unknown>;

async function deployed(
  entry: string,
  options: BundleOptions = {},
): Promise<{ exports: readonly string[]; loaded: Loaded }> {
  const { code, exports } = await bundleModule(join(folder, entry), options);
  // Another name for each, or the first one loaded is given again.
  const file = join(elsewhere, `bundle-${bundles++}.mjs`);
  await writeFile(file, code);
  return { exports: exports.toSorted(), loaded: (await import(pathToFileURL(file).href)) as Loaded };
}

describe("CommonJS", () => {
  test("as tsc writes it, as an object, and as one function", async () => {
    await write({
      "package.json": '{ "type": "commonjs" }',
      "compiled.js": `"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.best = void 0;
exports.simulate = simulate;
const math_1 = require("./math");
function simulate(x) { return math_1.half(x); }
const best = (runs) => Math.max(...runs);
exports.best = best;`,
      "math.js": "exports.half = (x) => x / 2;",
      "object.cjs": "const { sqrt } = Math; module.exports = { root: (x) => sqrt(x), 'is-even': (x) => x % 2 === 0 };",
      "computed.js": "for (const n of [2, 3]) exports['times' + n] = (x) => n * x;",
      "function.js": "module.exports = function (x) { return x + 1; }; module.exports.twice = (x) => 2 * x;",
      "nothing.js": "const x = 1; module.exports = {};",
      "throws.js": "exports.f = () => 1; throw new RangeError('no licence');",
    });
    const compiled = await deployed("compiled.js");
    expect([compiled.exports, compiled.loaded.simulate?.(8), compiled.loaded.best?.([1, 3])]).toEqual([
      ["best", "simulate"],
      4,
      3,
    ]);
    const object = await deployed("object.cjs");
    expect([object.exports, object.loaded.root?.(9), object.loaded["is-even"]?.(3)]).toEqual([
      ["is-even", "root"],
      3,
      false,
    ]);
    const computed = await deployed("computed.js");
    expect([computed.exports, computed.loaded.times3?.(2)]).toEqual([["times2", "times3"], 6]);
    const one = await deployed("function.js");
    expect([one.exports, one.loaded.default?.(1), one.loaded.twice?.(4)]).toEqual([["default", "twice"], 2, 8]);
    await expect(deployed("nothing.js")).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
      message: expect.stringContaining("exports nothing") as unknown,
    });
    await expect(deployed("throws.js")).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
      message: expect.stringContaining("no licence") as unknown,
    });
  });

  test("and an ES module with nothing but a default", async () => {
    await write({ "one.mjs": "export default (x) => x * 3;" });
    const { exports, loaded } = await deployed("one.mjs");
    expect([exports, loaded.default?.(2)]).toEqual([["default"], 6]);
  });
});

describe("a tsconfig.json", () => {
  test("is followed: paths, baseUrl, decorators", async () => {
    await write({
      "tsconfig.json": JSON.stringify({
        compilerOptions: { baseUrl: ".", paths: { "@lib/*": ["src/lib/*"] }, experimentalDecorators: true },
      }),
      "src/lib/indicators.ts":
        "export const sma = (xs: readonly number[]): number => xs.reduce((a, b) => a + b, 0) / xs.length;",
      "src/deep/tasks.ts": `import { sma } from "@lib/indicators"; import { sma as again } from "src/lib/indicators";
function twice(_target: unknown, _key: string, d: PropertyDescriptor): PropertyDescriptor { const f = d.value; d.value = function (x: number) { return 2 * f.call(this, x); }; return d; }
class Strategy { @twice run(x: number) { return x; } }
export const mean = (xs: number[]): number => sma(xs) + again(xs);
export const run = (x: number): number => new Strategy().run(x);`,
    });
    const { loaded } = await deployed("src/deep/tasks.ts");
    expect([loaded.mean?.([1, 3]), loaded.run?.(5)]).toEqual([4, 10]);
  });
});

describe("files beside the source", () => {
  test("are found by import.meta.url, import.meta.dirname, __dirname and a name of the program's own", async () => {
    await write({
      "data/calendar.txt": "2020-01-02",
      "url.mjs": `import { readFileSync } from "node:fs";
export const text = () => readFileSync(new URL("./data/calendar.txt", import.meta.url), "utf8");
export const speaks = () => "import.meta.url is a name";`,
      "dirname.mts": `import { readFileSync } from "node:fs"; import { join } from "node:path";
export const text = (): string => readFileSync(join(import.meta.dirname, "data/calendar.txt"), "utf8");`,
      "own.mjs": `import { readFileSync } from "node:fs"; import { dirname, join } from "node:path"; import { fileURLToPath } from "node:url";
const __filename = fileURLToPath(import.meta.url); const __dirname = dirname(__filename);
export const text = () => readFileSync(join(__dirname, "data/calendar.txt"), "utf8");`,
      "script.cjs": `#!/usr/bin/env node
"use strict"; const { readFileSync } = require("node:fs"); exports.text = () => readFileSync(__dirname + "/data/calendar.txt", "utf8"); exports.name = () => __filename;`,
      "lib/deeper.js": "export const here = import.meta.url;",
      "two.mjs": 'import { here } from "./lib/deeper.js"; export const both = () => [here, import.meta.url];',
      "require.mjs":
        'import { createRequire } from "node:module"; export const text = () => createRequire(import.meta.url)("./data/x.json").x;',
      "data/x.json": '{ "x": "from json" }',
    });
    for (const entry of ["url.mjs", "dirname.mts", "own.mjs", "script.cjs"])
      expect([entry, (await deployed(entry)).loaded.text?.()]).toEqual([entry, "2020-01-02"]);
    expect((await deployed("script.cjs")).loaded.name?.()).toBe(join(folder, "script.cjs"));
    expect((await deployed("url.mjs")).loaded.speaks?.()).toMatch(/ is a name$/);
    expect((await deployed("two.mjs")).loaded.both?.()).toEqual(
      ["lib/deeper.js", "two.mjs"].map((name) => pathToFileURL(join(folder, name)).href),
    );
    expect((await deployed("require.mjs")).loaded.text?.()).toBe("from json");
  });

  test("that are imported as data are in the bundle", async () => {
    await write({
      "a.json": '{ "symbols": ["AAPL"] }',
      "b.csv": "x,y\n1,2\n",
      "c.sql": "select 1",
      "tasks.mjs": `import a from "./a.json" with { type: "json" }; import b from "./b.csv"; import c from "./c.sql";
const later = await ${"import"}("./late.mjs");
export const all = () => [a.symbols[0], b, c, later.value];`,
      "late.mjs": "export const value = await Promise.resolve(5);",
    });
    const { code } = await bundleModule(join(folder, "tasks.mjs"));
    await rm(folder, { recursive: true });
    await writeFile(join(elsewhere, "bundle.mjs"), code);
    const loaded = (await import(pathToFileURL(join(elsewhere, "bundle.mjs")).href)) as Loaded;
    expect(loaded.all?.()).toEqual(["AAPL", "x,y\n1,2\n", "select 1", 5]);
  });
});

describe("what cannot be in a bundle", () => {
  test("a native addon is loaded from where it lies, and says what it needs where it is not", async () => {
    const nice = fileURLToPath(
      new URL(`../../node_modules/${["@napi-rs", "nice"].join("/")}/`, import.meta.url).href.replace("/dist/", "/"),
    );
    await write({
      "tasks.mjs": `import * as nice from ${JSON.stringify(join(nice, "index.js"))}; export const kind = () => typeof nice.nice;`,
    });
    expect((await deployed("tasks.mjs")).loaded.kind?.()).toBe("function");
    await write({
      "node_modules/broken/index.js": 'module.exports = require("./broken.node");',
      "node_modules/broken/broken.node": "no machine code",
    });
    await write({ "other.mjs": 'import broken from "broken"; export const f = () => broken;' });
    await expect(deployed("other.mjs")).rejects.toThrow(
      /native addon .*broken\.node could not be loaded: install its package at the same path on every worker/,
    );
  });

  test("packages that are left outside are found from where the source lies; one that is nowhere is named", async () => {
    const lib = {
      "node_modules/left/package.json": '{ "name": "left", "exports": { ".": "./index.js", "./sub": "./sub.js" } }',
    };
    await write({
      ...lib,
      "node_modules/left/index.js": "exports.where = () => __filename; exports.n = 1;",
      "node_modules/left/sub.js": "module.exports = { n: 2 };",
      "node_modules/@scope/esm/package.json": '{ "name": "@scope/esm", "type": "module", "main": "index.js" }',
      "node_modules/@scope/esm/index.js": "export const n = 3;",
      "tasks.mjs":
        'import { where, n } from "left"; import sub from "left/sub"; import * as esm from "@scope/esm"; export const all = () => [where(), n, sub.n, esm.n];',
    });
    const { loaded } = await deployed("tasks.mjs", { external: ["left", "@scope/esm"] });
    expect(loaded.all?.()).toEqual([join(folder, "node_modules/left/index.js"), 1, 2, 3]);
    await write({ "lost.mjs": 'import nowhere from "nowhere/sub"; export const f = () => nowhere;' });
    await expect(deployed("lost.mjs", { external: ["nowhere"] })).rejects.toThrow(
      /the package nowhere\/sub was left outside of the bundle and is not installed here/,
    );
    await expect(bundleModule(join(folder, "tasks.mjs"), { external: ["./tasks.mjs"] })).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
    });
  });

  test("subpaths of apache-arrow are those of the worker's thread, except what the whole has not", async () => {
    const key = Symbol.for(sharedModulesKey);
    Object.defineProperty(globalThis, key, {
      value: { "apache-arrow": arrow, part: (path: string) => import(path) },
      configurable: true,
    });
    try {
      const modules = fileURLToPath(new URL("../../node_modules", import.meta.url).href.replace("/dist/", "/"));
      await write({
        "tasks.mjs": `import { tableFromArrays } from "apache-arrow/table"; import { Float64 } from "apache-arrow/type"; import { popcnt_uint32 } from ${JSON.stringify(`${modules}/apache-arrow/util/bit.mjs`)};
export const table = () => tableFromArrays({ x: [1, 2] }); export const type = () => new Float64(); export { strideForType as stride } from "apache-arrow/type"; export const bits = () => popcnt_uint32(7);`,
      });
      const { loaded } = await deployed("tasks.mjs");
      expect(Object.getPrototypeOf(loaded.table?.())).toBe(arrow.Table.prototype);
      expect(Object.getPrototypeOf(loaded.type?.())).toBe(arrow.Float64.prototype);
      expect(loaded.bits?.()).toBe(3);
      const { strideForType } = (await import("apache-arrow/type")) as unknown as Record<string, unknown>;
      expect([loaded.stride, typeof strideForType]).toEqual([strideForType, "function"]);
    } finally {
      Reflect.deleteProperty(globalThis, key);
    }
  });
});

test("source maps name line and column of the source, also where a source was changed", async () => {
  const source =
    'const here = import.meta.url; export const where = () => here; export const fail = () => { throw new Error("marked"); };\n';
  await write({ "tasks.mjs": source });
  const { code } = await bundleModule(join(folder, "tasks.mjs"));
  const text = Buffer.from(code).toString();
  const map = new SourceMap(JSON.parse(Buffer.from(/base64,(.*)$/m.exec(text)?.[1] ?? "", "base64").toString()));
  const lines = text.split("\n");
  const line = lines.findIndex((candidate) => candidate.includes('new Error("marked")'));
  const found = map.findEntry(line, (lines[line] as string).indexOf('new Error("marked")')) as {
    originalSource: string;
    originalLine: number;
    originalColumn: number;
  };
  expect([found.originalSource, found.originalLine, found.originalColumn]).toEqual([
    "tasks.mjs",
    0,
    source.indexOf('new Error("marked")'),
  ]);
});
