/**
 * Modules become bundles: one ESM file with everything the module imports, addressed by its SHA-256. `apache-arrow` and
 * `volley` are not bundled: the worker thread has them already, and values must be instances of its classes. A CommonJS
 * module becomes one that exports by name what it was seen to export. How the bundle stays the program it was made
 * from: bundle-plugins.ts.
 */
import { existsSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { type BuildFailure, type BuildOptions, build } from "esbuild";
import { sha256Hex } from "../../proto/digest.js";
import { VolleyError } from "../../proto/errors.js";
import type { BundleId } from "../../proto/ids.js";
import { limits } from "../../proto/limits.js";
import {
  bundleBanner,
  dataLoaders,
  externalPackages,
  nativeAddons,
  placesOfSources,
  sharedModules,
} from "./bundle-plugins.js";
import { exportsOf } from "./module-exports.js";

export interface Bundle {
  readonly id: BundleId;
  readonly code: Uint8Array;
  /** Names of what the module exports. */
  readonly exports: readonly string[];
  /** What the paths in its source map are relative to. */
  readonly folder: string;
}

/** `./tasks.ts` may have been compiled to `./tasks.js` beside the running program, or the program runs from sources. */
function findModule(module: URL | string): string {
  const path = module instanceof URL || /^file:/.test(module) ? fileURLToPath(module) : resolve(module);
  if (existsSync(path)) return path;
  const swap: Record<string, string> = { ".ts": ".js", ".mts": ".mjs", ".js": ".ts", ".mjs": ".mts" };
  const extension = /\.m?[jt]s$/.exec(path)?.[0] ?? "";
  const other = path.slice(0, path.length - extension.length) + (swap[extension] ?? "");
  if (extension !== "" && existsSync(other)) return other;
  throw new VolleyError(
    "INVALID_ARGUMENT",
    `there is no module ${path}${extension === "" ? "" : ` (nor ${other})`} to deploy`,
  );
}

/** Packages that stay outside of the bundle, by name. */
export interface BundleOptions {
  readonly external?: readonly string[];
}

/**
 * Throws INVALID_ARGUMENT with esbuild's own words, TOO_LARGE. The nearest tsconfig.json is followed (paths, baseUrl,
 * decorators). The same sources give the same bytes on every machine, unless they ask where they lie or load native
 * addons.
 */
export async function bundleModule(module: URL | string, options: BundleOptions = {}): Promise<Bundle> {
  const entry = findModule(module);
  const folder = dirname(entry);
  const external = checkExternal(options.external ?? []);
  const first = await bundled(entry, { entryPoints: [entry] }, external);
  let { code, exports } = first;
  if (first.isScript) {
    const { names, callable } = await exportsOf(entry, code);
    exports = [
      ...names.filter((name) => name !== "__esModule" && name !== "default"),
      ...(callable || names.includes("default") ? ["default"] : []),
    ];
    ({ code } = await bundled(
      entry,
      {
        stdin: {
          contents: facade(entry, exports, callable),
          resolveDir: folder,
          sourcefile: "volley-facade.mjs",
          loader: "js",
        },
      },
      external,
    ));
  } else {
    const named = exports.filter((name) => name !== "default");
    if (named.length > 0) exports = named;
  }
  if (exports.length === 0)
    throw new VolleyError(
      "INVALID_ARGUMENT",
      `${entry} exports nothing; export the functions that shall run on the cluster`,
    );
  if (code.byteLength > limits.bundleBytesMax) {
    throw new VolleyError(
      "TOO_LARGE",
      `the bundle of ${entry} has ${code.byteLength} bytes, over the limit of ${limits.bundleBytesMax}; import less, or put data as objects`,
    );
  }
  return { id: sha256Hex(code) as BundleId, code, exports, folder };
}

interface Bundled {
  readonly code: Uint8Array;
  readonly exports: string[];
  /** The entry is a CommonJS module: what it exports is not in its text. */
  readonly isScript: boolean;
}

async function bundled(
  entry: string,
  source: Pick<BuildOptions, "entryPoints" | "stdin">,
  external: readonly string[],
): Promise<Bundled> {
  const folder = dirname(entry);
  const result = await build({
    ...source,
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
    loader: dataLoaders,
    banner: { js: bundleBanner },
    plugins: [sharedModules, externalPackages(external), nativeAddons, placesOfSources],
  }).catch((error: BuildFailure) => {
    throw new VolleyError("INVALID_ARGUMENT", `${entry} cannot be bundled: ${describe(error)}`, { cause: error });
  });
  const code = result.outputFiles?.[0]?.contents ?? new Uint8Array(0);
  const output = Object.values(result.metafile?.outputs ?? {}).find(({ entryPoint }) => entryPoint !== undefined);
  const isScript = output?.entryPoint !== undefined && result.metafile?.inputs[output.entryPoint]?.format === "cjs";
  return { code, exports: output?.exports ?? [], isScript };
}

/** A CommonJS module as one that exports by name. */
function facade(entry: string, names: readonly string[], callable: boolean): string {
  const lines = [`import all from ${JSON.stringify(entry)};`];
  names.forEach((name, i) => {
    const value = name === "default" && callable ? "all" : `all[${JSON.stringify(name)}]`;
    lines.push(`const export${i} = ${value};`, `export { export${i} as ${JSON.stringify(name)} };`);
  });
  return lines.join("\n");
}

function checkExternal(names: readonly string[]): readonly string[] {
  for (const name of names)
    if (typeof name !== "string" || !/^(@[\w.~-]+\/)?[\w.~-]+$/.test(name))
      throw new VolleyError("INVALID_ARGUMENT", `external: ${JSON.stringify(name)} is not the name of a package`, {
        details: { path: "external" },
      });
  return names;
}

function describe(failure: BuildFailure): string {
  const first = (failure.errors ?? [])
    .slice(0, 3)
    .map(({ text, location }) => (location ? `${location.file}:${location.line}:${location.column}: ${text}` : text));
  return first.length > 0 ? first.join("; ") : failure.message;
}
