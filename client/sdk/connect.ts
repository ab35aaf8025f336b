/** The way in: to the cluster at a url, or to one started for this connection alone. */
import { VolleyError } from "../../proto/errors.js";
import { isName, type TenantId } from "../../proto/ids.js";
import { limits } from "../../proto/limits.js";
import { checkTimeoutMs } from "../../proto/timer.js";
import type { Cluster, ConnectOptions } from "./api.js";
import { ClusterClient } from "./cluster.js";
import { natsBackend } from "./nats-backend.js";

/**
 * Connects to the cluster at `url` (default VOLLEY_URL); without either, starts nats-server, scheduler and workers on
 * this machine, which end with the connection. Rejects with NATS_UNAVAILABLE, NO_SCHEDULER, VERSION_MISMATCH,
 * INVALID_ARGUMENT.
 *
 *   await using cluster = await connect();
 */
export async function connect(options: ConnectOptions = {}): Promise<Cluster> {
  const tenant = options.tenant ?? "default";
  if (!isName(tenant))
    throw new VolleyError(
      "INVALID_ARGUMENT",
      `tenant ${JSON.stringify(tenant)}: expected 1 to 64 letters, digits, _ or -`,
    );
  const timeoutMs = options.connectTimeoutMs ?? limits.requestTimeoutMs;
  checkTimeoutMs(timeoutMs, "connectTimeoutMs");
  const url = options.url ?? process.env.VOLLEY_URL;
  if (url) return join(url, tenant as TenantId, timeoutMs);
  const { startLocalCluster } = await import("../../cluster/local/local-cluster.js");
  const local = await startLocalCluster({
    ...(options.workers === undefined ? {} : { workers: options.workers }),
    gateway: false,
    onEvent: (event) => {
      if (event.type !== "ended") return;
      const { name, how, lastLines } = event;
      const last = lastLines.length > 0 ? `; its last lines: ${lastLines.join(" | ")}` : "";
      process.emitWarning(`${name} ended (${how}) and is started again${last}`, "VolleyWarning");
    },
  });
  try {
    return await join(local.url, tenant as TenantId, timeoutMs, () => local.stop());
  } catch (error) {
    await local.stop();
    throw error;
  }
}

async function join(url: string, tenant: TenantId, timeoutMs: number, onClose?: () => Promise<void>): Promise<Cluster> {
  const onError = (error: unknown): void => {
    process.emitWarning(error instanceof Error ? error : String(error), "VolleyWarning");
  };
  const backend = await natsBackend({ url, name: "volley-sdk", connectTimeoutMs: timeoutMs, onError });
  try {
    return await ClusterClient.open({ backend, tenant, timeoutMs, onError, ...(onClose ? { onClose } : {}) });
  } catch (error) {
    await backend.close();
    throw error;
  }
}
