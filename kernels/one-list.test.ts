/**
 * What a new kernel needs: its declaration, and its place in the list of its family. Everything else (registry,
 * callables and their types, catalog, documentation) is read off these, and no other list knows its name.
 */
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { listKernels } from "./registry.js";

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), "../..");
const files = ["kernels", "client/sdk", "worker/pool", "client/gateway"].flatMap((folder) =>
  readdirSync(path.join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((file) => /\.(?:ts|mjs)$/.test(file) && !/\.test\.ts$|testing\/|assembly\//.test(file))
    .map((file) => `${folder}/${file}`),
);
const texts = new Map(files.map((file) => [file, readFileSync(path.join(root, file), "utf8")]));

const declared = /^(?:export )?const (\w+) = (?:define\w+|sectionKernel|exponential|extreme|running)\(/gm;
const declarations = [...texts].flatMap(([file, text]) =>
  [...text.matchAll(declared)].map((match) => ({ file, constant: match[1] as string })),
);
/** The files that import the constant from where it is declared. */
const importers = (file: string, constant: string): string[] =>
  [...texts].flatMap(([other, text]) =>
    [...text.matchAll(/^import[^"]*\{([^}]*)\} from "(\.[^"]*)\.js"/gm)].some(
      ([, names = "", target = ""]) =>
        `${path.posix.join(path.posix.dirname(other), target)}.ts` === file &&
        new RegExp(`\\b${constant}\\b`).test(names),
    )
      ? [other]
      : [],
  );

describe("a kernel", () => {
  it("is declared by one constant", () => {
    expect(declarations.length).toBe(listKernels().length);
    expect(new Set(declarations.map(({ constant }) => constant)).size).toBe(declarations.length);
  });

  it.each(declarations)("$constant of $file is in one list", ({ file, constant }) => {
    const own = new RegExp(`^export const \\w+Kernels = \\[[^\\]]*\\b${constant}\\b`, "m").test(texts.get(file) ?? "");
    const lists = [...importers(file, constant), ...(own ? [file] : [])];
    expect(lists).toHaveLength(1);
    expect(lists[0]).toMatch(/^kernels\/(?:\w+\/index|basics)\.ts$/);
  });

  it.each(listKernels().map(({ name }) => name))("%s: the name is written at most once", (name) => {
    const written = [...texts].filter(([, text]) => text.includes(`"${name}"`)).map(([file]) => file);
    expect(written.length, written.join()).toBeLessThanOrEqual(1);
  });
});
