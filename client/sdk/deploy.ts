/**
 * Modules become bundles: one ESM file with everything the module imports, addressed by its SHA-256. `apache-arrow` and `volley` are not bundled:
 * the worker thread has them already, and values must be instances of its classes.
 */
import { existsSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { type BuildFailure, build, type Plugin } from "esbuild";
import { sha256Hex } from "../../proto/digest.js";
import { VolleyError } from "../../proto/errors.js";
import type { BundleId } from "../../proto/ids.js";
import { limits } from "../../proto/limits.js";
import { sharedModulesKey } from "./task-context.js";

export interface Bundle {
  readonly id: BundleId;
  readonly code: Uint8Array;
  /** Names of what the module exports. */
  readonly exports: readonly string[];
  /** What the paths in its source map are relative to. */
  readonly folder: string;
}

const sharedModules = /^(apache-arrow|volley)$/;

const shared: Plugin = {
  name: "volley-shared",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: sharedModules }, ({ path }) => ({ path, namespace: "volley-shared", sideEffects: false }));
    onLoad({ filter: /.*/, namespace: "volley-shared" }, ({ path }) => ({
      loader: "js",
      contents: `const all = globalThis[Symbol.for(${JSON.stringify(sharedModulesKey)})];
if (!all) throw new Error(${JSON.stringify(`"${path}" can be imported by this bundle only inside a Volley worker`)});
module.exports = all[${JSON.stringify(path)}];`,
    }));
  },
};

/** `./tasks.ts` may have been compiled to `./tasks.js` beside the running program, or the program runs from sources. */
function findModule(module: URL | string): string {
  const path = module instanceof URL || /^file:/.test(module) ? fileURLToPath(module) : resolve(module);
  if (existsSync(path)) return path;
  const swap: Record<string, string> = { ".ts": ".js", ".mts": ".mjs", ".js": ".ts", ".mjs": ".mts" };
  const extension = /\.m?[jt]s$/.exec(path)?.[0] ?? "";
  const other = path.slice(0, path.length - extension.length) + (swap[extension] ?? "");
  if (extension !== "" && existsSync(other)) return other;
  throw new VolleyError("INVALID_ARGUMENT", `there is no module ${path}${extension === "" ? "" : ` (nor ${other})`} to deploy`);
}

/** Throws INVALID_ARGUMENT with esbuild's own words, TOO_LARGE. The same sources give the same bytes on every machine. */
export async function bundleModule(module: URL | string): Promise<Bundle> {
  const entry = findModule(module);
  const folder = dirname(entry);
  const result = await build({
    entryPoints: [entry],
    absWorkingDir: folder,
    outfile: resolve(folder, "bundle.mjs"),
    bundle: true,
    write: false,
    metafile: true,
    format: "esm",
    platform: "node",
    target: "node20",
    sourcemap: "inline",
    sourcesContent: false,
    charset: "utf8",
    logLevel: "silent",
    keepNames: true,
    tsconfigRaw: {},
    // CommonJS packages inside the bundle call `require` for Node's own modules.
    banner: { js: 'import { createRequire as volleyCreateRequire } from "node:module"; const require = volleyCreateRequire(import.meta.url);' },
    plugins: [shared],
  }).catch((error: BuildFailure) => {
    throw new VolleyError("INVALID_ARGUMENT", `${entry} cannot be bundled: ${describe(error)}`, { cause: error });
  });
  const code = result.outputFiles?.[0]?.contents ?? new Uint8Array(0);
  if (code.byteLength > limits.bundleBytesMax) {
    throw new VolleyError(
      "TOO_LARGE",
      `the bundle of ${entry} has ${code.byteLength} bytes, over the limit of ${limits.bundleBytesMax}; import less, or put data as objects`,
    );
  }
  const output = Object.values(result.metafile?.outputs ?? {}).find(({ entryPoint }) => entryPoint !== undefined);
  const exports = (output?.exports ?? []).filter((name) => name !== "default");
  if (exports.length === 0) throw new VolleyError("INVALID_ARGUMENT", `${entry} exports nothing by name; export the functions that shall run on the cluster`);
  return { id: sha256Hex(code) as BundleId, code, exports, folder };
}

function describe(failure: BuildFailure): string {
  const first = (failure.errors ?? [])
    .slice(0, 3)
    .map(({ text, location }) => (location ? `${location.file}:${location.line}:${location.column}: ${text}` : text));
  return first.length > 0 ? first.join("; ") : failure.message;
}
