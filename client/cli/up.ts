/** `volley up`: a local cluster that runs until Ctrl-C. */
import { join } from "node:path";
import { homeFolder } from "../../cluster/local/home-folder.js";
import { type ClusterEvent, startLocalCluster } from "../../cluster/local/local-cluster.js";
import { removeLocalState, writeLocalState } from "../../cluster/local/state-file.js";
import { Interrupted, UsageError } from "../../cluster/process/exit-codes.js";
import { interruption } from "./interruption.js";
import type { Output } from "./output.js";

export interface UpOptions {
  readonly workers?: number;
  readonly slots?: number;
  readonly gatewayPort: number;
  readonly gateway: boolean;
  readonly dataDir?: string;
  readonly ephemeral?: boolean;
}

/** Ends by {@link Interrupted} after Ctrl-C, when every process is gone. */
export async function up(options: UpOptions, output: Output): Promise<void> {
  if (options.ephemeral && options.dataDir)
    throw new UsageError("--ephemeral keeps nothing, so it does not go with --data-dir");
  const startedAtMs = performance.now();
  const interrupted = interruption(() => output.note("stopping (Ctrl-C again: at once)"));
  const dataDir = options.ephemeral ? undefined : (options.dataDir ?? defaultDataDir());
  const cluster = await startLocalCluster({
    gateway: options.gateway,
    gatewayPort: options.gatewayPort,
    signal: interrupted.signal,
    onEvent: (event) => output.note(describeEvent(event)),
    ...(options.workers === undefined ? {} : { workers: options.workers }),
    ...(options.slots === undefined ? {} : { slots: options.slots }),
    ...(dataDir === undefined ? {} : { dataDir }),
    ...(process.env.VOLLEY_TOKEN ? { token: process.env.VOLLEY_TOKEN } : {}),
  });
  try {
    const { url, gatewayUrl, token, processes } = cluster;
    writeLocalState({ pid: process.pid, url, token, startedAtMs: Date.now(), ...(gatewayUrl ? { gatewayUrl } : {}) });
    const workerUrl = cluster.urls.worker;
    output.result({ url, workerUrl, gatewayUrl, token, dataDir: cluster.dataDir, processes }, () =>
      [
        `Volley is up (${((performance.now() - startedAtMs) / 1000).toFixed(1)} s). Ctrl-C ends it.`,
        ...(gatewayUrl
          ? [
              `  gateway  ${gatewayUrl}`,
              `  token    ${token}`,
              `  API      ${gatewayUrl}/docs  (in a browser: any user name, the token as password)`,
            ]
          : []),
        `  cluster  ${url}`,
        `  workers  VOLLEY_URL=${workerUrl} volley worker  (another one, by hand)`,
        `  data     ${cluster.dataDir}${options.ephemeral ? " (removed in the end)" : ""}`,
        "Other terminals of yours find it by themselves: volley top, volley jobs, volley submit graph.json",
      ].join("\n"),
    );
    await interrupted.promise;
  } finally {
    removeLocalState();
    await cluster.stop();
    if (interrupted.signal.aborted) output.note("stopped");
  }
  throw new Interrupted("interrupted");
}

const defaultDataDir = (): string =>
  join(process.env.XDG_DATA_HOME || join(homeFolder(process.env), ".local", "share"), "volley", "local");

export function describeEvent(event: ClusterEvent): string {
  switch (event.type) {
    case "progress":
      return event.text;
    case "ready":
      return `${event.name} is ready (pid ${event.pid})`;
    case "ended":
      return [
        `${event.name} ended: ${event.how}; starting it again in ${event.restartInMs} ms`,
        ...event.lastLines.map((line) => `  ${line}`),
      ].join("\n");
    case "restarted":
      return `${event.name} is ready again (pid ${event.pid})`;
    case "restart-failed":
      return `${event.name} could not be started again: ${event.message}; next try in ${event.restartInMs} ms`;
  }
}
