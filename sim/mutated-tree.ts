/** A copy of the compiled tree, as far as the simulation loads it, with a mutation in it. */
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { Edit } from "./mutation.js";
import type { simulate } from "./simulation.js";

/** What the simulation loads, by the table of imports in docs/ARCHITECTURE.md. */
const folders = [
  "client/sdk",
  "cluster",
  "kernels",
  "proto",
  "scheduler/core",
  "scheduler/shell",
  "session",
  "sim",
  "threads",
  "worker",
];

const dist = path.join(path.dirname(fileURLToPath(import.meta.url)), "..");

/**
 * The text with the edit made. What is to be replaced is found by its words and signs: how a formatter sets spaces,
 * lines and trailing commas is nothing to it. Throws if it is not there, or there more than once.
 */
export function mutate(text: string, { file, find, put }: Edit): string {
  const parts = text.split(patternOf(find));
  if (parts.length !== 2) {
    throw new Error(
      `a mutation replaces ${JSON.stringify(find)} in ${file}, where it stands ${parts.length - 1} times instead of once: write the mutation anew`,
    );
  }
  return parts.join(put);
}

function patternOf(find: string): RegExp {
  const tokens = find.match(/\w+|[^\w\s]/g) ?? [];
  const isWord = (token: string | undefined): boolean => token !== undefined && /\w/.test(token);
  const pattern = tokens.map((token, i) => {
    const gap = i === 0 ? "" : isWord(token) && isWord(tokens[i - 1]) ? "\\s+" : "\\s*";
    if (isWord(token)) return gap + token;
    const comma = i > 0 && /[)\]}]/.test(token) && tokens[i - 1] !== "," ? "(?:,\\s*)?" : "";
    return gap + comma + token.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  });
  return new RegExp(
    `${isWord(tokens[0]) ? "(?<!\\w)" : ""}${pattern.join("")}${isWord(tokens.at(-1)) ? "(?!\\w)" : ""}`,
  );
}

/** The texts of the compiled files that the edits change, changed. */
export function mutatedFiles(edits: readonly Edit[]): ReadonlyMap<string, string> {
  const texts = new Map<string, string>();
  for (const edit of edits)
    texts.set(edit.file, mutate(texts.get(edit.file) ?? readFileSync(path.join(dist, edit.file), "utf8"), edit));
  return texts;
}

/** Runs `use` with the simulation of a mutated product; the copy is removed afterwards. */
export async function withMutationTree<T>(
  edits: readonly Edit[],
  use: (run: typeof simulate) => Promise<T>,
): Promise<T> {
  const texts = mutatedFiles(edits);
  const root = mkdtempSync(path.join(os.tmpdir(), "volley-mutant-"));
  const copy = path.join(root, "dist");
  try {
    for (const folder of folders) {
      mkdirSync(path.join(copy, folder), { recursive: true });
      cpSync(path.join(dist, folder), path.join(copy, folder), {
        recursive: true,
        filter: (file) => !/\.(?:test\.js|d\.ts|map)$/.test(file),
      });
    }
    symlinkSync(path.join(dist, "../node_modules"), path.join(root, "node_modules"), "dir");
    cpSync(path.join(dist, "../package.json"), path.join(root, "package.json"));
    for (const [file, text] of texts) writeFileSync(path.join(copy, file), text);
    const loaded = (await import(pathToFileURL(path.join(copy, "sim/simulation.js")).href)) as {
      simulate: typeof simulate;
    };
    return await use(loaded.simulate);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}
