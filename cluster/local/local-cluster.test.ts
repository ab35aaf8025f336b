import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createInterface } from "node:readline";
import { afterEach, describe, expect, test } from "vitest";
import { eventually, until } from "../../proto/testing/patience.js";
import { isAlive } from "./guarded-process.js";
import { type ClusterEvent, type LocalCluster, type LocalClusterOptions, startLocalCluster } from "./local-cluster.js";
import { startTestCluster } from "./testing/test-cluster.js";

const clusters: LocalCluster[] = [];
afterEach(async () => {
  for (const cluster of clusters.splice(0)) await cluster.stop();
});

/** A cluster whose events can be awaited. */
async function start(
  options: LocalClusterOptions,
): Promise<LocalCluster & { until(name: string, type: ClusterEvent["type"]): Promise<void> }> {
  const events: ClusterEvent[] = [];
  let wake: () => void = () => {};
  const onEvent = (event: ClusterEvent) => {
    events.push(event);
    wake();
  };
  const cluster = await startLocalCluster({ ...options, onEvent });
  clusters.push(cluster);
  return Object.defineProperties(cluster, {
    until: {
      value: async (name: string, type: ClusterEvent["type"]) => {
        while (!events.some((event) => event.type === type && "name" in event && event.name === name)) {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
      },
    },
  }) as LocalCluster & { until(name: string, type: ClusterEvent["type"]): Promise<void> };
}

const pidOf = (cluster: LocalCluster, name: string): number =>
  cluster.processes.find((process) => process.name === name)?.pid ?? Number.NaN;

describe("a local cluster", () => {
  test("comes up with every role, replaces what is killed, grows, and leaves nothing behind", async () => {
    const cluster = await start({ workers: 1, slots: 1 });
    expect(cluster.processes.map(({ name }) => name).sort()).toEqual(["gateway", "nats", "scheduler", "worker-1"]);
    expect((await fetch(`${cluster.gatewayUrl}/healthz`)).status).toBe(200);
    expect((await fetch(`${cluster.gatewayUrl}/v1/jobs`)).status).toBe(401);

    const before = new Map(cluster.processes.map(({ name, pid }) => [name, pid]));
    for (const name of ["worker-1", "scheduler", "gateway", "nats"]) {
      cluster.kill(name);
      await cluster.until(name, "restarted");
      expect(pidOf(cluster, name)).not.toBe(before.get(name));
      expect(isAlive(before.get(name) ?? 0)).toBe(false);
    }
    expect((await fetch(`${cluster.gatewayUrl}/healthz`)).status).toBe(200); // On the port it had.
    expect(cluster.unexpectedExits).toEqual([]); // All of them were asked for.
    expect(() => cluster.kill("worker-9")).toThrow(/worker-9.*worker-1/);

    expect(await cluster.addWorker()).toBe("worker-2");
    const pids = cluster.processes.map(({ pid }) => pid);
    expect(pids).toHaveLength(5);
    await cluster.stop();
    expect(pids.filter(isAlive)).toEqual([]);
    expect(existsSync(cluster.dataDir)).toBe(false);
  });

  test("says which process ended unasked, and a test's cluster fails for it", async () => {
    const cluster = await startTestCluster({ workers: 1, slots: 1, gateway: false });
    cluster.kill("worker-1", "SIGCONT"); // Which ends nobody.
    process.kill(pidOf(cluster, "worker-1"), "SIGKILL");
    await eventually(() => expect(cluster.unexpectedExits).toMatchObject([{ name: "worker-1", how: "SIGKILL" }]));
    await expect(cluster.stop()).rejects.toThrow(/worker-1: SIGKILL/);
    expect(cluster.processes).toEqual([]);
  });

  test("a role that cannot start ends the start with its own words, and nothing is left", async () => {
    const pids: number[] = [];
    const onEvent = (event: ClusterEvent) => {
      if (event.type === "ready") pids.push(event.pid);
    };
    await expect(startLocalCluster({ workers: 0, token: "short", onEvent })).rejects.toThrow(
      /gateway ended before it was ready[\s\S]*VOLLEY_TOKEN/,
    );
    expect(pids.length).toBeGreaterThan(0);
    expect(pids.filter(isAlive)).toEqual([]);
    await expect(startLocalCluster({ workers: -1 })).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  });

  test("dies with its parent when the parent is killed with SIGKILL", async () => {
    const program = `
      const { startLocalCluster } = await import(${JSON.stringify(new URL("./local-cluster.js", import.meta.url).href)});
      const { processes, dataDir } = await startLocalCluster({ workers: 1, slots: 1 });
      process.stdout.write(JSON.stringify({ pids: processes.map(({ pid }) => pid), dataDir }) + "\\n");
      setInterval(() => {}, 1000);`;
    const parent = spawn(process.execPath, ["--input-type=module", "-e", program], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const line = await new Promise<string>((resolve, reject) => {
      createInterface(parent.stdout).once("line", resolve);
      parent.once("exit", () => reject(new Error("the parent ended early")));
    });
    const { pids, dataDir } = JSON.parse(line) as { pids: number[]; dataDir: string };
    expect(pids).toHaveLength(4);
    parent.kill("SIGKILL");
    await until("every process is gone", () => !pids.some(isAlive));
    await until("the folder is gone", () => !existsSync(dataDir));
  });
});
