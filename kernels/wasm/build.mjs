/** Part of `npm run build`: compiles assembly/ to dist, unless what is there is newer than the sources. */
import { mkdirSync, readdirSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";

const path = (relative) => fileURLToPath(new URL(relative, import.meta.url));
const changedMs = (file) => statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;

const folder = path("./assembly/");
const out = path("../../dist/kernels/wasm/features.wasm");
const sources = readdirSync(folder).map((name) => folder + name);
const packages = path("../../package.json");

if (changedMs(out) < Math.max(...[...sources, packages, path("./build.mjs")].map(changedMs))) {
  const { default: asc } = await import("assemblyscript/asc");
  mkdirSync(path("../../dist/kernels/wasm/"), { recursive: true });
  // No runtime, no data, no start function: the module is put on a memory that others use. `abort` is left out with the
  // asserts.
  const options =
    "--runtime stub --enable simd --enable threads --importMemory --noExportMemory --sharedMemory --initialMemory 1 --maximumMemory 65536";
  const { error, stderr } = await asc.main([
    `${folder}index.ts`,
    "--outFile",
    out,
    ...options.split(" "),
    "-O3",
    "--noAssert",
    "--use",
    "abort=",
  ]);
  if (error) {
    process.stderr.write(`${stderr.toString()}\n${error.message}\n`);
    process.exitCode = 1;
  }
}
