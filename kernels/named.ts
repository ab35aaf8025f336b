/** Kernels by the name that a person or a program gives, and what is told of one. */
import { VolleyError } from "../proto/errors.js";
import type { Kernel, KernelFacts } from "./kernel.js";
import { nearNames } from "./near-names.js";
import { listKernels } from "./registry.js";

const featurePrefix = "feature.";

/** How programs and people call it: features without their prefix. */
export const shortName = ({ name }: Kernel): string =>
  name.startsWith(featurePrefix) ? name.slice(featurePrefix.length) : name;

/** The newest version of each kernel. */
export function newestKernels(): Kernel[] {
  const newest = new Map<string, Kernel>();
  for (const kernel of listKernels())
    if (kernel.version >= (newest.get(kernel.name)?.version ?? 0)) newest.set(kernel.name, kernel);
  return [...newest.values()];
}

/** FUNCTION_NOT_FOUND that names the near ones. */
export function noSuchKernel(given: string): VolleyError {
  const near = nearNames(given, newestKernels().map(shortName));
  const shown = given.length > 100 ? `${given.slice(0, 100)}…` : given;
  const hint = near.length > 0 ? `did you mean ${near.join(", ")}?` : "`volley kernels` and GET /v1/kernels list them";
  return new VolleyError("FUNCTION_NOT_FOUND", `there is no kernel ${JSON.stringify(shown)}: ${hint}`, {
    details: { kernel: shown, near },
  });
}

/** By its name, with or without `feature.`, in its newest version. Throws FUNCTION_NOT_FOUND that names near ones. */
export function kernelNamed(given: string): Kernel {
  const found = newestKernels().find((kernel) => kernel.name === given || shortName(kernel) === given);
  if (!found) throw noSuchKernel(given);
  return found;
}

/** What is told of a kernel, as plain JSON. */
export interface KernelDescription
  extends Pick<KernelFacts, "causality" | "labelWith" | "columns" | "lag" | "nulls" | "costNs"> {
  readonly name: string;
  readonly version: number;
  readonly family: string;
  readonly doc: string;
  /** In the order of the wire, each with its JSON Schema; a table has `{}`. */
  readonly args: readonly { readonly name: string; readonly schema: unknown }[];
  /**
   * Bars before the current one that can touch an output, with the default parameters; absent where parameters are
   * required.
   */
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
