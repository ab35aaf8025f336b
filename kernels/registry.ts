/**
 * Every built-in kernel, by name and version. A kernel is its declaration and its place in the list of its family;
 * callables and their types, the catalog, documentation and listings follow from these.
 */
import { VolleyError } from "../proto/errors.js";
import { asofKernels } from "./asof/index.js";
import { auditKernels } from "./audit/index.js";
import { backtestKernels } from "./backtest/index.js";
import { basicKernels } from "./basics.js";
import { nearNames } from "./catalog/near-names.js";
import { features } from "./features/index.js";
import type { Kernel } from "./kernel.js";
import { panelKernels } from "./panel/index.js";
import { statisticsKernels } from "./statistics/index.js";
import { sweepKernels } from "./sweep/index.js";
import { validationKernels } from "./validation/index.js";

const beforeFeatures = [
  ...basicKernels,
  ...sweepKernels,
  ...backtestKernels,
  ...asofKernels,
  ...auditKernels,
  ...statisticsKernels,
  ...validationKernels,
] as const;

/** All but the features, with the types of their declarations. */
export type TypedRegistration = (typeof beforeFeatures)[number] | (typeof panelKernels)[number];

const kernels: readonly Kernel[] = [...beforeFeatures, ...features.map((feature) => feature.kernel), ...panelKernels];

const keyOf = (name: string, version: number): string => `${name}@${version}`;
const byKey = new Map(
  kernels.flatMap((kernel) =>
    [kernel.name, ...(kernel.formerly ?? [])].map((name) => [keyOf(name, kernel.version), kernel] as const),
  ),
);

/** Also by a former name: graphs that were journaled under it go on. */
export const findKernel = (name: string, version: number): Kernel | undefined => byKey.get(keyOf(name, version));

export const listKernels = (): readonly Kernel[] => kernels;

/** Throws FUNCTION_NOT_FOUND that names the versions there are, or the near names. */
export function requireKernel(name: string, version: number): Kernel {
  const kernel = findKernel(name, version);
  if (kernel) return kernel;
  const versions = kernels.filter((k) => k.name === name).map((k) => k.version);
  const near = nearNames(
    name,
    kernels.map((k) => k.name),
  );
  const meant = near.length > 0 ? `did you mean ${near.join(", ")}?` : "`volley kernels` and GET /v1/kernels list them";
  const hint = versions.length > 0 ? `it has version ${versions.join(", ")}` : meant;
  throw new VolleyError("FUNCTION_NOT_FOUND", `no kernel ${name} of version ${version}: ${hint}`);
}
