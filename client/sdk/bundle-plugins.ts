/**
 * What makes a bundle behave as the program it was made from: modules that the worker's threads have already, files
 * that lie beside a source, native addons, and packages that are left outside. Paths of this machine get into a bundle
 * only where the source asks for its own place.
 */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname, extname, join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Loader, Plugin } from "esbuild";
import { sharedModulesKey } from "./task-context.js";

/**
 * At the head of every bundle; the names are used by the plugins below. CommonJS packages inside the bundle call
 * `require` for Node's own modules.
 */
export const bundleBanner =
  'import { createRequire as volleyCreateRequire } from "node:module"; const require = volleyCreateRequire(import.meta.url); const volleyRequire = require;';

/** Extensions whose files are data of the program. */
export const dataLoaders: Record<string, Loader> = { ".csv": "text", ".sql": "text", ".md": "text", ".wasm": "binary" };

const namespace = "volley-shared";

const all = `const all = globalThis[Symbol.for(${JSON.stringify(sharedModulesKey)})];`;
const outside = (path: string): string =>
  JSON.stringify(`"${path}" can be imported by this bundle only inside a Volley worker`);

/** `apache-arrow` with its subpaths, and `volley` itself: those of the worker's thread. */
export const sharedModules: Plugin = {
  name: namespace,
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^(apache-arrow|volley)$/ }, ({ path }) => ({ path, namespace, sideEffects: false }));
    onResolve({ filter: /^apache-arrow\/./ }, async ({ path }) => {
      const part = await partOfArrow(path);
      // What Volley's version has not is bundled, or esbuild says what is wrong with it.
      if (!part) return undefined;
      return part.isInWhole
        ? { path: "apache-arrow", namespace, sideEffects: false }
        : { path, namespace, pluginData: part.names, sideEffects: false };
    });
    onLoad({ filter: /.*/, namespace }, ({ path, pluginData }) => ({
      loader: "js",
      contents:
        pluginData === undefined
          ? `${all} if (!all) throw new Error(${outside(path)}); module.exports = all[${JSON.stringify(path)}];`
          : partLoader(path, pluginData as string[]),
    }));
  },
};

/** A part of apache-arrow that has names of its own is loaded by the thread, from its copy of the package. */
function partLoader(path: string, names: readonly string[]): string {
  const exported = names.map(
    (name, i) => `const export${i} = part[${JSON.stringify(name)}]; export { export${i} as ${JSON.stringify(name)} };`,
  );
  return `${all} if (!all?.part) throw new Error(${outside(path)}); const part = await all.part(${JSON.stringify(path)}); ${exported.join(" ")}`;
}

async function partOfArrow(path: string): Promise<{ isInWhole: boolean; names: string[] } | undefined> {
  try {
    const [whole, part] = (await Promise.all([import("apache-arrow"), import(path)])) as [
      Record<string, unknown>,
      Record<string, unknown>,
    ];
    return {
      isInWhole: Object.entries(part).every(([name, value]) => whole[name] === value),
      names: Object.keys(part),
    };
  } catch {
    return undefined;
  }
}

/** Loaded where it lies: machine code cannot be in a bundle. */
export const nativeAddons: Plugin = {
  name: "volley-native",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /\.node$/ }, ({ path, resolveDir }) => {
      const file = join(resolveDir, path);
      return path.startsWith(".") && existsSync(file) ? { path: file, namespace: "volley-native" } : undefined;
    });
    // A package of one platform has the addon as its main file.
    onLoad({ filter: /\.node$/, namespace: "file" }, ({ path }) => ({ loader: "js", contents: addonLoader(path) }));
    onLoad({ filter: /.*/, namespace: "volley-native" }, ({ path }) => ({ loader: "js", contents: addonLoader(path) }));
  },
};

const addonLoader = (
  path: string,
): string => `try { module.exports = volleyRequire(${JSON.stringify(path)}); } catch (error) {
  throw new Error(${JSON.stringify(`the native addon ${path} could not be loaded: install its package at the same path on every worker, or leave the package outside of the bundle (deploy's option external); `)} + error.message, { cause: error });
}`;

/** Packages that are found at run time: from where the source lies, else from the worker's own folder. */
export const externalPackages = (names: readonly string[]): Plugin => ({
  name: "volley-external",
  setup({ onResolve, onLoad }) {
    if (names.length === 0) return;
    const filter = new RegExp(
      `^(${names.map((name) => name.replace(/[.*+?^$(){}|[\]\\]/g, "\\$&")).join("|")})(/.*)?$`,
    );
    onResolve({ filter }, ({ path, resolveDir }) => ({
      path: `${path}?${resolveDir}`,
      namespace: "volley-external",
      pluginData: { path, resolveDir },
    }));
    onLoad({ filter: /.*/, namespace: "volley-external" }, ({ pluginData }) => {
      const { path, resolveDir } = pluginData as { path: string; resolveDir: string };
      return {
        loader: "js",
        contents: `let found, fault;
for (const folder of [${JSON.stringify(join(resolveDir, "bundle.js"))}, process.cwd() + "/bundle.js"]) {
  try { found = { it: volleyCreateRequire(folder)(${JSON.stringify(path)}) }; break; } catch (error) { if (error.code !== "MODULE_NOT_FOUND" || !String(error.message).includes(${JSON.stringify(path)})) throw error; fault ??= error; }
}
if (!found) throw new Error(${JSON.stringify(`the package ${path} was left outside of the bundle and is not installed here: looked from ${resolveDir} and from `)} + process.cwd(), { cause: fault });
module.exports = found.it;`,
      };
    });
  },
});

const ownPlace = /\bimport\.meta\.(url|dirname|filename)\b|\b__(dirname|filename)\b/;
const isModule = /^\s*(import|export)\b(?!\s*\()|\bimport\.meta\b/m;
const loaders: Record<string, Loader> = {
  ".js": "js",
  ".cjs": "js",
  ".mjs": "js",
  ".ts": "ts",
  ".cts": "ts",
  ".mts": "ts",
  ".jsx": "jsx",
  ".tsx": "tsx",
};
/** As long as what they stand for, so that the columns of the source map stay right. */
const placeNames = {
  url: "volleyMetaUrl_1",
  dirname: "volleyMetaDirname_1",
  filename: "volleyMetaFilename_1",
} as const;

/**
 * A source that asks where it lies is told where it lay: bundled, it would find the worker's folder of bundles and none
 * of its files.
 */
export const placesOfSources: Plugin = {
  name: "volley-place",
  setup({ onLoad, onResolve }) {
    onLoad({ filter: /\.[cm]?[jt]sx?$/, namespace: "file" }, async ({ path }) => {
      const source = await readFile(path, "utf8");
      if (!ownPlace.test(source)) return undefined;
      return {
        contents: isModule.test(source) ? placedModule(source, path) : placedScript(source, path),
        loader: loaders[extname(path)] ?? "js",
        resolveDir: dirname(path),
      };
    });
    onResolve({ filter: /^volley-place:/ }, ({ path }) => ({
      path: path.slice("volley-place:".length),
      namespace: "volley-place",
      sideEffects: false,
    }));
    onLoad({ filter: /.*/, namespace: "volley-place" }, ({ path }) => ({
      loader: "js",
      contents: `export const url = ${JSON.stringify(pathToFileURL(path).href)}; export const filename = ${JSON.stringify(path)}; export const dirname = ${JSON.stringify(dirname(path))};`,
    }));
  },
};

function placedModule(source: string, path: string): string {
  const renamed = source.replace(
    /\bimport\.meta\.(url|dirname|filename)\b/g,
    (_all, name: keyof typeof placeNames) => placeNames[name],
  );
  const wanted = (["url", "dirname", "filename"] as const)
    .filter((name) => renamed.includes(placeNames[name]))
    .map((name) => `${name} as ${placeNames[name]}`);
  for (const name of ["dirname", "filename"] as const) {
    const declared = new RegExp(`\\b(?:const|let|var|function)\\b[^;=]*\\b__${name}\\b`);
    if (new RegExp(`\\b__${name}\\b`).test(source) && !declared.test(source)) wanted.push(`${name} as __${name}`);
  }
  if (wanted.length === 0) return source;
  // Imports are hoisted, so that they may stand behind everything and no line moves.
  return `${renamed}\nimport { ${wanted.join(", ")} } from ${JSON.stringify(`volley-place:${path}`)};\n`;
}

function placedScript(source: string, path: string): string {
  const place = `var __filename = ${JSON.stringify(path)}, __dirname = ${JSON.stringify(dirname(path))};`;
  const hashbang = /^#!.*\n/.exec(source)?.[0] ?? "";
  return `${hashbang}${place}${source.slice(hashbang.length)}`;
}
