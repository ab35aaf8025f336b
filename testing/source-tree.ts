/** The sources of this tree, as the tests of its habits read them: files, texts, imports. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

export const root = path.join(path.dirname(fileURLToPath(import.meta.url)), "../..");
export const read = (file: string): string => readFileSync(path.join(root, file), "utf8");

const folders = [
  "proto",
  "session",
  "scheduler",
  "worker",
  "kernels",
  "data",
  "client",
  "cluster",
  "sim",
  "bench",
  "e2e",
  "examples",
  "testing",
  "threads",
];
const walk = (folder: string): string[] =>
  existsSync(path.join(root, folder))
    ? readdirSync(path.join(root, folder), { recursive: true, encoding: "utf8" }).map(
        (file) => `${folder}/${file.split(path.sep).join("/")}`,
      )
    : [];
export const all = folders.flatMap(walk);
export const sources = [
  ...all.filter((file) => file.endsWith(".ts")),
  ...readdirSync(root).filter((file) => file.endsWith(".ts")),
].sort();
export const texts = new Map(sources.map((file) => [file, read(file)]));
export const isTest = (file: string): boolean => file.endsWith(".test.ts");
/** Of the pure cores. */
export const isPure = (file: string): boolean =>
  /^(?:(?:scheduler|worker)\/core|session)\//.test(file) && !isTest(file) && !file.includes("/testing/");

export interface Import {
  from: string;
  /** Path of ours, or the package as written. */
  to: string;
  ours: boolean;
  typeOnly: boolean;
  dynamic: boolean;
}

/** The package by its own name, as users import it: the file behind each subpath. */
const subpaths = new Map(
  Object.entries(
    (JSON.parse(read("package.json")) as { exports: Record<string, string | { default: string }> }).exports,
  )
    .flatMap(([subpath, to]) =>
      typeof to === "string" ? [] : [[subpath.replace(/^\./, "volley"), to.default] as const],
    )
    .map(([name, to]) => [name, to.replace(/^\.\/dist\//, "").replace(/\.js$/, ".ts")]),
);

const statement = /^(?:import|export)\s+(type\s+)?(?:[^"'`;]*?\sfrom\s+)?["']([^"'\n]+)["']/gm;
const dynamic = /\bimport\(\s*["']([^"'\n]+)["']\s*\)(\.)?/g;

export function importsOf(file: string): Import[] {
  const text = texts.get(file) ?? "";
  const found: Import[] = [];
  const add = (target: string, typeOnly: boolean, isDynamic: boolean): void => {
    const to = target.startsWith(".")
      ? path.posix.normalize(path.posix.join(path.posix.dirname(file), target)).replace(/\.js$/, ".ts")
      : (subpaths.get(target) ?? target);
    found.push({ from: file, to, ours: to !== target || target.startsWith("."), typeOnly, dynamic: isDynamic });
  };
  for (const match of text.matchAll(statement)) add(match[2] as string, match[1] !== undefined, false);
  // `import("x").T` in a type position is a type; only an awaited or returned import() loads the file.
  for (const match of text.matchAll(dynamic))
    add(
      match[1] as string,
      match[2] === "." && !/\)\.(?:then|catch)/.test(text.slice(match.index, match.index + 200)),
      true,
    );
  return found;
}
export const imports = sources.flatMap(importsOf);

export const stripComments = (text: string): string =>
  text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/(^|\s)\/\/.*$/gm, "$1");
