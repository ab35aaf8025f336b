/**
 * Part of `npm run build`: compiles assembly/ to dist, unless what is there is newer than the sources. The exports are
 * not listed: each is the form that some features' declarations name (`wasm`), and what is written here for it.
 */
import { mkdirSync, readdirSync, readFileSync, statSync } from "node:fs";
import { basename, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const path = (relative) => fileURLToPath(new URL(relative, import.meta.url));
const changedMs = (file) => statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
const filesIn = (folder, ending) =>
  readdirSync(folder)
    .filter((name) => name.endsWith(ending))
    .map((name) => folder + name);

const folder = path("./assembly/");
const out = path("../../dist/kernels/wasm/features.wasm");
const sources = filesIn(folder, ".ts");
const declarations = filesIn(path("../../dist/kernels/features/"), ".js");
const packages = path("../../package.json");

/** Every loop that may be exported: its file, and the names of what it takes. */
function loopsOf() {
  const loops = new Map();
  for (const file of sources)
    for (const [, name, parameters] of readFileSync(file, "utf8").matchAll(/^export function (\w+)\(([^)]*)\)/gm))
      if (parameters.includes("states: usize"))
        loops.set(name, {
          file: `./${basename(file)}`,
          takes: [...parameters.matchAll(/(\w+): /g)].map((match) => match[1]),
        });
  return loops;
}

/**
 * `name(count, states, inputs, rows, outputs, scratch)`. `states`, `inputs` and `outputs` are tables of u32 pointers to
 * float64: one state per column, and per column as many inputs and outputs as the feature has, one column behind the
 * other. Nothing allocates, and there is no static data: the module may be put on any memory, and it touches only what
 * it is pointed to.
 */
async function entryText() {
  const { features } = await import("../../dist/kernels/features/index.js");
  const forms = new Map(features.flatMap(({ wasm }) => (wasm ? [[wasm.exportName, wasm]] : [])));
  const loops = loopsOf();
  const parts = [...forms.values()].map(({ exportName, loop, kind }) => {
    const found = loops.get(loop);
    if (!found) throw new Error(`${exportName}: there is no loop ${loop} in kernels/wasm/assembly`);
    const names =
      kind === undefined
        ? `${loop} as ${exportName}_loop`
        : `${loop} as ${exportName}_loop, ${kind} as ${exportName}_kind`;
    const given = found.takes.map((name) => (name === "kind" ? `${exportName}_kind` : name));
    return `import { ${names} } from ${JSON.stringify(found.file)};
export function ${exportName}(count: i32, states: usize, inputs: usize, rows: i32, outputs: usize, scratch: usize): void {
  ${exportName}_loop(${given.join(", ")});
}`;
  });
  // No feature's form, but what becomes of its results: `validity(values, rows, bits)`.
  const validity = `import { validityOf } from "./validity.ts";
export function validity(values: usize, rows: i32, bits: usize): i32 {
  return validityOf(values, rows, bits);
}`;
  return [...parts, validity].join("\n");
}

async function compile() {
  const { default: asc } = await import("assemblyscript/asc");
  mkdirSync(path("../../dist/kernels/wasm/"), { recursive: true });
  const entry = `${folder}entry.ts`;
  const text = await entryText();
  const readFile = (name, base) => {
    const file = resolve(base, name);
    if (file === entry) return text;
    // The compiler asks for more names than there are files.
    return sources.includes(file) ? readFileSync(file, "utf8") : null;
  };
  // No runtime, no data, no start function: the module is put on a memory that others use. `abort` is left out with the
  // asserts.
  const options =
    "--runtime stub --enable simd --enable threads --importMemory --noExportMemory --sharedMemory --initialMemory 1 --maximumMemory 65536";
  const { error, stderr } = await asc.main(
    [entry, "--outFile", out, ...options.split(" "), "-O3", "--noAssert", "--use", "abort="],
    { readFile },
  );
  if (error) {
    process.stderr.write(`${stderr.toString()}\n${error.message}\n`);
    process.exitCode = 1;
  }
}

if (changedMs(out) < Math.max(...[...sources, ...declarations, packages, path("./build.mjs")].map(changedMs)))
  await compile();
