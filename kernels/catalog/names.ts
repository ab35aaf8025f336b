/** Kernels by the name that a person or a program gives: short, former, or nearly right. */
import { VolleyError } from "../../proto/errors.js";
import { nearNames } from "./near-names.js";

/** A kernel as far as its name goes. */
export interface Named {
  readonly name: string;
  readonly version: number;
  readonly formerly?: readonly string[];
}

const featurePrefix = "feature.";

/** How programs and people call it: features without their prefix. */
export const shortName = ({ name }: Pick<Named, "name">): string =>
  name.startsWith(featurePrefix) ? name.slice(featurePrefix.length) : name;

export const isFeature = ({ name }: Pick<Named, "name">): boolean => name.startsWith(featurePrefix);

/** The newest version of each. */
export function newestOf<K extends Named>(kernels: readonly K[]): K[] {
  const newest = new Map<string, K>();
  for (const kernel of kernels)
    if (kernel.version >= (newest.get(kernel.name)?.version ?? 0)) newest.set(kernel.name, kernel);
  return [...newest.values()];
}

/** By its name or a former one, with or without `feature.`, in its newest version. */
export const findNamed = <K extends Named>(given: string, kernels: readonly K[]): K | undefined =>
  newestOf(kernels).find(
    (kernel) => kernel.name === given || shortName(kernel) === given || (kernel.formerly ?? []).includes(given),
  );

/** FUNCTION_NOT_FOUND that names the near ones. */
export function noSuchKernel(given: string, kernels: readonly Named[]): VolleyError {
  const near = nearNames(given, newestOf(kernels).map(shortName));
  const shown = given.length > 100 ? `${given.slice(0, 100)}…` : given;
  const hint = near.length > 0 ? `did you mean ${near.join(", ")}?` : "`volley kernels` and GET /v1/kernels list them";
  return new VolleyError("FUNCTION_NOT_FOUND", `there is no kernel ${JSON.stringify(shown)}: ${hint}`, {
    details: { kernel: shown, near },
  });
}
