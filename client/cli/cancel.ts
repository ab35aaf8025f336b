/** `volley cancel`. */
import { withCluster } from "./cluster.js";
import type { Output } from "./output.js";
import type { ClusterOptions } from "./program.js";

export async function cancel(id: string, options: ClusterOptions, output: Output): Promise<void> {
  await withCluster(options, async (cluster) => {
    const job = cluster.job(id);
    await job.cancel();
    const status = await job.status();
    output.result({ job: status.job, state: status.state }, () => `${status.job} ${status.state}`);
  });
}
