/** `volley deploy`: a module as a content-addressed bundle. */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { UsageError } from "../../cluster/process/exit-codes.js";
import { withCluster } from "./cluster.js";
import type { Output } from "./output.js";
import type { ClusterOptions } from "./program.js";

export async function deploy(
  module: string,
  options: ClusterOptions & { pure?: boolean; external?: readonly string[] },
  output: Output,
): Promise<void> {
  const path = resolve(module);
  if (!existsSync(path)) throw new UsageError(`there is no file ${module}`);
  await withCluster(options, async (cluster) => {
    const library = await cluster.deploy<Record<string, () => unknown>>(pathToFileURL(path), {
      external: options.external ?? [],
      ...(options.pure === undefined ? {} : { pure: options.pure }),
    });
    const exports = Object.keys(library).filter((name) => !name.startsWith("$"));
    output.result({ bundle: library.$bundle, exports }, () =>
      [`bundle   ${library.$bundle}`, `exports  ${exports.join(", ")}`].join("\n"),
    );
  });
}
