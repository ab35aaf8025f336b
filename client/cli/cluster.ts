/** How commands find a cluster and hold on to it no longer than they need. */

import { readLocalState } from "../../cluster/local/state-file.js";
import { VolleyError } from "../../proto/errors.js";
import type { Cluster } from "../sdk/api.js";
import { type Interruption, interruption } from "./interruption.js";
import type { ClusterOptions } from "./program.js";

const closeTimeoutMs = 2_000;

/** --url, else VOLLEY_URL, else the running `volley up` of this user. */
export function clusterUrl(
  options: ClusterOptions,
  env: Readonly<Record<string, string | undefined>> = process.env,
): string {
  const url = options.url || env.VOLLEY_URL || readLocalState(env)?.url;
  if (!url)
    throw new VolleyError(
      "NATS_UNAVAILABLE",
      "No cluster: start one with `volley up` in another terminal, or name one with --url or VOLLEY_URL.",
    );
  return url;
}

/** Connects, does the work, closes: also when the work fails or Ctrl-C comes first. */
export async function withCluster<T>(
  options: ClusterOptions,
  work: (cluster: Cluster, interrupted: Interruption) => Promise<T>,
): Promise<T> {
  const url = clusterUrl(options);
  const interrupted = interruption();
  const { connect } = await import("../sdk/index.js");
  const connecting = connect({ url, ...(options.tenant === undefined ? {} : { tenant: options.tenant }) });
  connecting.catch(() => {});
  const cluster = await Promise.race([connecting, interrupted.promise]);
  try {
    return await Promise.race([work(cluster, interrupted), interrupted.promise]);
  } finally {
    await Promise.race([
      cluster.close().catch(() => {}),
      new Promise((resolve) => setTimeout(resolve, closeTimeoutMs).unref()),
    ]);
  }
}
