/** `volley kernels`: all by family, or one in full. */
import {
  allParametersOf,
  describeKernel,
  factsOf,
  type Kernel,
  type KernelDescription,
  kernelNamed,
  newestKernels,
} from "volley/kernels";
import { formatTable, type Output } from "./output.js";

export async function kernels(name: string | undefined, output: Output): Promise<void> {
  if (name !== undefined) {
    const kernel = kernelNamed(name);
    return output.result(describeKernel(kernel), () => inFull(kernel));
  }
  const found = newestKernels().map(describeKernel);
  output.result(found, () => byFamily(found));
}

const signature = ({ name, version, args }: KernelDescription): string =>
  `${name}@${version}(${args.map((arg) => arg.name).join(", ")})`;

function byFamily(found: readonly KernelDescription[]): string {
  // Features are what most people look for first, and tools of the cluster itself last.
  const place = ({ name, family }: KernelDescription): number =>
    name.startsWith("feature.") ? 0 : family === "volley" ? 2 : 1;
  const families = [...new Set([...found].sort((a, b) => place(a) - place(b)).map(({ family }) => family))];
  const part = (family: string): string => {
    const lines = found
      .filter((kernel) => kernel.family === family)
      .flatMap((kernel) => [`  ${signature(kernel)}`, `      ${kernel.doc}`]);
    return [family, ...lines].join("\n");
  };
  return [...families.map(part), "volley kernels <name> shows one in full."].join("\n\n");
}

function inFull(kernel: Kernel): string {
  const description = describeKernel(kernel);
  const rows = allParametersOf(kernel).map(({ name, type, standard, meaning }) => [name, type, standard, meaning]);
  const facts = [["Family", description.family] as const, ...factsOf(kernel)];
  return [
    signature(description),
    description.doc,
    "",
    ...facts.map(([label, text]) => `${label.padEnd(10)}${text}`),
    ...(rows.length > 0 ? ["", formatTable(["parameter", "type", "default", "meaning"], rows)] : []),
  ].join("\n");
}
