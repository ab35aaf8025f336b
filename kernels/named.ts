/** The registry's kernels by the name that a person gives, and what is told of one. */
import type { KernelDescription } from "./catalog/description.js";
import { findNamed, newestOf, noSuchKernel } from "./catalog/names.js";
import type { Kernel } from "./kernel.js";
import { listKernels } from "./registry.js";

/** The newest version of each kernel. */
export const newestKernels = (): Kernel[] => newestOf(listKernels());

/** By its name, with or without `feature.`, in its newest version. Throws FUNCTION_NOT_FOUND that names near ones. */
export function kernelNamed(given: string): Kernel {
  const found = findNamed(given, listKernels());
  if (!found) throw noSuchKernel(given, listKernels());
  return found;
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
  const { name, version, formerly, doc, causality, labelWith, columns, lag, nulls, costNs } = kernel;
  const lookback = lookbackOf(kernel);
  return {
    name,
    version,
    ...(formerly ? { formerly } : {}),
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
