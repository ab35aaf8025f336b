/** Kernels by the name that a person or a program gives, and what is told of one. */
import { VolleyError } from "../../proto/errors.js";
import type { Kernel, KernelFacts } from "./kernel.js";
import { listKernels } from "./registry.js";

const featurePrefix = "feature.";

/** How programs and people call it: features without their prefix. */
export const shortName = ({ name }: Kernel): string => (name.startsWith(featurePrefix) ? name.slice(featurePrefix.length) : name);

/** The newest version of each kernel. */
export function newestKernels(): Kernel[] {
  const newest = new Map<string, Kernel>();
  for (const kernel of listKernels()) if (kernel.version >= (newest.get(kernel.name)?.version ?? 0)) newest.set(kernel.name, kernel);
  return [...newest.values()];
}

/** Letters to insert, drop, replace or swap with their neighbour until one is the other. */
function editsBetween(a: string, b: string): number {
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      let least = Math.min((row[j - 1] as number) + 1, (last[j] as number) + 1, (last[j - 1] as number) + same);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) least = Math.min(least, (before[j - 2] as number) + 1);
      row.push(least);
    }
    before = last;
    last = row;
  }
  return last[b.length] as number;
}

/** At most five names, nearest first: those that contain the given one or differ by few letters. */
function nearNames(given: string): string[] {
  const asked = given.toLowerCase().slice(0, 100);
  const tail = asked.slice(asked.lastIndexOf(".") + 1);
  const distance = (name: string): number => {
    const part = name.slice(name.indexOf(".") + 1);
    const contains = tail.length > 1 && (name.includes(tail) || tail.includes(part)) ? 1.5 : Number.POSITIVE_INFINITY;
    return Math.min(editsBetween(asked, name), editsBetween(tail, part), contains);
  };
  return newestKernels()
    .map((kernel) => ({ name: shortName(kernel), edits: distance(shortName(kernel)) }))
    .filter(({ name, edits }) => edits <= Math.max(1.5, name.length / 3))
    .sort((a, b) => a.edits - b.edits)
    .slice(0, 5)
    .map(({ name }) => name);
}

/** FUNCTION_NOT_FOUND that names the near ones. */
export function noSuchKernel(given: string): VolleyError {
  const near = nearNames(given);
  const shown = given.length > 100 ? `${given.slice(0, 100)}…` : given;
  const hint = near.length > 0 ? `did you mean ${near.join(", ")}?` : "`volley kernels` and GET /v1/kernels list them";
  return new VolleyError("FUNCTION_NOT_FOUND", `there is no kernel ${JSON.stringify(shown)}: ${hint}`, { details: { kernel: shown, near } });
}

/** By its name, with or without `feature.`, in its newest version. Throws FUNCTION_NOT_FOUND that names near ones. */
export function kernelNamed(given: string): Kernel {
  const found = newestKernels().find((kernel) => kernel.name === given || shortName(kernel) === given);
  if (!found) throw noSuchKernel(given);
  return found;
}

/** What is told of a kernel, as plain JSON. */
export interface KernelDescription extends Pick<KernelFacts, "causality" | "labelWith" | "columns" | "lag" | "nulls" | "costNs"> {
  readonly name: string;
  readonly version: number;
  readonly family: string;
  readonly doc: string;
  /** In the order of the wire, each with its JSON Schema; a table has `{}`. */
  readonly args: readonly { readonly name: string; readonly schema: unknown }[];
  /** Bars before the current one that can touch an output, with the default parameters; absent where parameters are required. */
  readonly lookback?: number | "unbounded";
}

function lookbackOf(kernel: Kernel): number | "unbounded" | undefined {
  try {
    const bars = kernel.lookback?.({});
    return bars === Number.POSITIVE_INFINITY ? "unbounded" : bars;
  } catch {
    // Some parameter has no default.
    return undefined;
  }
}

export function describeKernel(kernel: Kernel): KernelDescription {
  const { name, version, doc, causality, labelWith, columns, lag, nulls, costNs } = kernel;
  const lookback = lookbackOf(kernel);
  return {
    name,
    version,
    family: kernel.family ?? (name.split(".")[0] as string),
    doc,
    args: kernel.args.map((arg) => ({ name: arg, schema: kernel.argSchema(arg) })),
    causality,
    ...(labelWith ? { labelWith } : {}),
    ...(columns ? { columns } : {}),
    ...(lookback === undefined ? {} : { lookback }),
    ...(lag === undefined ? {} : { lag }),
    ...(nulls === undefined ? {} : { nulls }),
    ...(costNs === undefined ? {} : { costNs }),
  };
}
