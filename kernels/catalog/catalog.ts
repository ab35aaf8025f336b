/**
 * Which kernels there are, and what is declared of each, without loading any: catalog.json beside this file, which the
 * build writes from the declarations (build.mjs). Clients need no more; only who runs kernels loads the registry.
 */
import { readFileSync } from "node:fs";
import type { KernelDescription } from "./description.js";
import { findNamed, newestOf, noSuchKernel } from "./names.js";

let read: readonly KernelDescription[] | undefined;

/** Every version of every kernel. */
export function cataloguedKernels(): readonly KernelDescription[] {
  read ??= JSON.parse(readFileSync(new URL("./catalog.json", import.meta.url), "utf8")) as readonly KernelDescription[];
  return read;
}

export const newestCatalogued = (): readonly KernelDescription[] => newestOf(cataloguedKernels());

/**
 * By its name or a former one, with or without `feature.`, in its newest version. Throws FUNCTION_NOT_FOUND that names
 * near ones.
 */
export function cataloguedKernel(given: string): KernelDescription {
  const found = findNamed(given, cataloguedKernels());
  if (!found) throw noSuchKernel(given, cataloguedKernels());
  return found;
}

/**
 * What a graph means by a kernel's name: a former name is the present one, and without a version it is the newest that
 * is known here. What is not known here is left as it is (its version is 1 unless told): a cluster may be newer than
 * its client, and says itself what it has not.
 */
export function resolveKernel(name: string, version?: number): { kernel: string; version: number } {
  const known = cataloguedKernels().filter((one) => one.name === name || (one.formerly ?? []).includes(name));
  return {
    kernel: known[0]?.name ?? name,
    version: version ?? Math.max(1, ...known.map((one) => one.version)),
  };
}
