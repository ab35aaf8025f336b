/**
 * Nothing that kernels run is left to the taste of the engine: a search of the sources of everything that their
 * catalogue loads.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const under = (folder: string): string[] =>
  readdirSync(path.join(root, folder), { encoding: "utf8" })
    .filter((file) => file.endsWith(".ts") && !file.endsWith(".test.ts"))
    .map((file) => `${folder}/${file}`);

/** What the standard defines to the last bit; all else of Math is left to the engine, and so is `**`. */
const exactMath = new Set(
  "abs ceil clz32 fround floor imul max min round sign sqrt trunc E LN10 LN2 LOG10E LOG2E PI SQRT1_2 SQRT2".split(" "),
);
/** Depends on the language and time zone of the machine, or on the Unicode tables of the engine. */
const localTaste =
  /\.(?:toLocale\w+|localeCompare|normalize|getTimezoneOffset|(?:get|set)(?:FullYear|Month|Date|Day|Hours|Minutes|Seconds|Milliseconds))\(|\bIntl\b/g;
const loads = /^(?:import|export)\s+(?!type\b)(?:[^"'`;]*?\sfrom\s+)?["'](\.[^"'\n]+)["']/gm;

const textOf = (file: string): string => readFileSync(path.join(root, file), "utf8");

/** Everything that kernels load, their form in WebAssembly, and what their fixed inputs are drawn with (calls/). */
function kernelFiles(): string[] {
  const loaded = new Set<string>();
  const todo = ["kernels/index.ts", ...under("kernels/testing/calls")];
  for (let file = todo.pop(); file !== undefined; file = todo.pop()) {
    if (loaded.has(file)) continue;
    loaded.add(file);
    for (const [, target] of textOf(file).matchAll(loads)) {
      const to = path.posix.join(path.posix.dirname(file), target as string).replace(/\.js$/, ".ts");
      if (existsSync(path.join(root, to))) todo.push(to);
    }
  }
  return [...loaded, ...under("kernels/wasm/assembly")].sort();
}

function engineTaste(text: string): string[] {
  // Plain strings may say `**`; templates are kept, for code stands in them.
  const code = text
    .replace(/\/\*[\s\S]*?\*\//g, "")
    .replace(/(^|\s)\/\/.*$/gm, "$1")
    .replace(/"(?:[^"\\\n]|\\.)*"/g, '""');
  const found = [...code.matchAll(localTaste)].map(([match]) => match);
  for (const match of code.matchAll(/\bMath\b(?:\.(\w+))?/g))
    if (match[1] === undefined || !exactMath.has(match[1])) found.push(match[0]);
  if (code.includes("**")) found.push("**");
  return found;
}

describe("the same bits on every engine", () => {
  it("kernels use of Math only what the standard defines to the bit, and no `**`: this folder has the rest", () => {
    const files = kernelFiles();
    expect(files.length).toBeGreaterThan(100);
    expect(files).toEqual(
      expect.arrayContaining(["kernels/statistics/returns.ts", "kernels/wasm/assembly/returns.ts", "proto/errors.ts"]),
    );
    expect(files.flatMap((file) => engineTaste(textOf(file)).map((what) => `${file}: ${what}`))).toEqual([]);
  });

  it("the search finds what it is for", () => {
    const template = (inner: string): string => `\`$\{${inner}}\``;
    const bad = [
      "Math.pow(x, 2)",
      "x ** y",
      "x **= 2",
      "const { exp } = Math",
      "Math[name](x)",
      "a.localeCompare(b)",
      "new Intl.Collator()",
      "day.getHours()",
    ];
    for (const text of [...bad, template("x ** 2")]) expect(engineTaste(text), text).not.toEqual([]);
    const good = [
      "Math.sqrt(x) * Math.PI",
      "/** doc **/ x",
      'const text = "**bold**"',
      "day.getUTCHours()",
      "// x ** y",
    ];
    for (const text of good) expect(engineTaste(text), text).toEqual([]);
  });
});
