/** `volley kernels`. */
import { listKernels } from "volley/kernels";
import type { Output } from "./output.js";

export async function kernels(output: Output): Promise<void> {
  const found = listKernels().map(({ name, version, doc, args, argSchema }) => ({
    name,
    version,
    doc,
    args: args.map((arg) => ({ name: arg, schema: argSchema(arg) })),
  }));
  output.result(found, () =>
    found.map(({ name, version, doc, args }) => `${name}@${version}(${args.map((arg) => arg.name).join(", ")})\n    ${doc}`).join("\n"),
  );
}
