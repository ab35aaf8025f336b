/**
 * A cluster whose processes nobody watches: each is stopped and started by the test alone, workers under fixed names as
 * pods or units would be.
 */
import { join } from "node:path";
import { type LocalNats, startLocalNats } from "../cluster/local/nats-server.js";
import { type RoleInstance, startRole } from "../cluster/local/role-process.js";

export interface OwnCluster {
  readonly url: string;
  /** Every line of the scheduler's log so far. */
  readonly schedulerLog: readonly string[];
  readonly scheduler: RoleInstance;
  /** SIGKILL, and another one when it is gone. */
  restartScheduler(): Promise<void>;
  worker(name: string): RoleInstance;
  /** One more. */
  startWorker(name: string): Promise<RoleInstance>;
  /** SIGKILL, and another process under the same name at once, without waiting for the end of the first. */
  restartWorker(name: string): Promise<void>;
  /** The folder of its storage. */
  readonly natsStore: string;
  stopNats(): Promise<void>;
  /** On the same port, with the same storage. */
  startNats(): Promise<void>;
  stop(): Promise<void>;
}

export async function startOwnCluster(workers: readonly string[], slots: number): Promise<OwnCluster> {
  let nats: LocalNats = await startLocalNats();
  const { urls, dataDir, port, user, password, roles: passwords } = nats;
  const env = { VOLLEY_METRICS_PORT: "-1" };
  const schedulerLog: string[] = [];
  const roles: RoleInstance[] = [];
  const start = async (role: "scheduler" | "worker", name: string): Promise<RoleInstance> => {
    const own = role === "worker" ? { VOLLEY_WORKER: name, VOLLEY_SLOTS: String(slots) } : {};
    const instance = await startRole({
      role,
      name,
      env: { ...env, ...own },
      secrets: { VOLLEY_URL: urls[role] },
      ...(role === "scheduler" ? { onLine: (line) => schedulerLog.push(line) } : {}),
    });
    roles.push(instance);
    return instance;
  };
  let scheduler = await start("scheduler", "scheduler");
  const running = new Map<string, RoleInstance>();
  await Promise.all(workers.map(async (name) => running.set(name, await start("worker", name))));
  const worker = (name: string): RoleInstance => {
    const found = running.get(name);
    if (!found) throw new Error(`no worker ${name}`);
    return found;
  };
  return {
    url: urls.client,
    schedulerLog,
    get scheduler() {
      return scheduler;
    },
    async restartScheduler() {
      scheduler.signal("SIGKILL");
      await scheduler.ended;
      scheduler = await start("scheduler", "scheduler");
    },
    worker,
    async startWorker(name) {
      const instance = await start("worker", name);
      running.set(name, instance);
      return instance;
    },
    natsStore: join(dataDir, "jetstream"),
    async restartWorker(name) {
      worker(name).signal("SIGKILL");
      running.set(name, await start("worker", name));
    },
    async stopNats() {
      nats.kill();
      await nats.ended;
    },
    async startNats() {
      nats = await startLocalNats({ dataDir, port, user, password, roles: passwords });
    },
    async stop() {
      for (const role of roles) role.signal("SIGKILL");
      await Promise.all(roles.map((role) => role.ended));
      await nats.stop();
    },
  };
}
