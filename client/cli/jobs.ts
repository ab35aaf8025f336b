/** `volley jobs`. */
import { withCluster } from "./cluster.js";
import { jobTable } from "./job-text.js";
import type { Output } from "./output.js";
import type { ClusterOptions } from "./program.js";

export async function jobs(options: ClusterOptions & { limit: number }, output: Output): Promise<void> {
  await withCluster(options, async (cluster) => {
    const found = await cluster.jobs({ limit: options.limit });
    output.result(found, () => (found.length === 0 ? "no jobs" : jobTable(found)));
  });
}
