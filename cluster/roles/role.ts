/**
 * Runs one role in this process until it is told to stop.
 *
 *   SIGTERM, SIGINT          drain (a worker) or stop, within 30 s; a second signal ends at once
 *   IPC message {stop:true}  stop at once, without draining: the whole cluster ends
 *   IPC disconnect           the parent is gone: stop at once
 */

import { InvariantViolation } from "../../proto/errors.js";
import { Timer } from "../../proto/timer.js";
import { type ConfigOf, type ConfigTable, readConfig } from "../process/config.js";
import { exitCodes, toCliFailure } from "../process/exit-codes.js";
import { type Env, roleEnvironment } from "./role-environment.js";

const drainDeadlineMs = 30_000;
const stopDeadlineMs = 3_000;

export const roleNames = ["scheduler", "worker", "gateway"] as const;
export type RoleName = (typeof roleNames)[number];
export const isRoleName = (name: string | undefined): name is RoleName => roleNames.some((role) => role === name);

interface RoleHandle {
  stop(): Promise<void>;
  drain?(): Promise<void>;
  /** Settles when the role has to end by itself, with the reason. */
  readonly ended?: Promise<unknown>;
  readonly url?: string;
  readonly worker?: string;
  readonly metricsPort?: number;
}

type Flags = Readonly<Record<string, string | undefined>>;

export interface RoleModule {
  readonly table: ConfigTable;
  run(flags: Flags, env: Env): Promise<RoleHandle>;
}

const bind = <C extends ConfigTable>(table: C, run: (config: ConfigOf<C>) => Promise<RoleHandle>): RoleModule => ({
  table,
  run: (flags, env) => run(readConfig(table, flags, env)),
});

/** Loads a role's code: heavy, so only when it is asked for. */
export async function loadRole(role: RoleName): Promise<RoleModule> {
  switch (role) {
    case "scheduler": {
      const { schedulerConfig, runScheduler } = await import("./scheduler.js");
      return bind(schedulerConfig, runScheduler);
    }
    case "worker": {
      const { workerConfig, runWorker } = await import("./worker.js");
      return bind(workerConfig, runWorker);
    }
    case "gateway": {
      const { gatewayConfig, runGateway } = await import("./gateway.js");
      return bind(gatewayConfig, runGateway);
    }
  }
}

/** Never returns normally while the role serves; ends the process itself. */
export async function runRole(
  role: RoleName,
  module: RoleModule,
  flags: Readonly<Record<string, string | undefined>>,
  json: boolean,
): Promise<void> {
  const fail = (error: unknown): never => {
    const failure = toCliFailure(error);
    const { exitCode: _, ...shown } = failure;
    process.stderr.write(
      json ? `${JSON.stringify({ error: shown })}\n` : `volley ${role}: ${failure.code}: ${failure.message}\n`,
    );
    if (error instanceof InvariantViolation && error.stack) process.stderr.write(`${error.stack}\n`);
    return process.exit(failure.exitCode);
  };
  // Flags may hold credentials, and a process's command line is read by others.
  process.title = `volley ${role}`;
  process.on("uncaughtException", fail);
  process.on("unhandledRejection", fail);

  let handle: RoleHandle | undefined;
  let ending = false;
  const end = (how: "drain" | "stop", deadlineMs: number): void => {
    if (ending || !handle) process.exit(ending ? exitCodes.interrupted : exitCodes.ok);
    ending = true;
    new Timer(() => {
      process.stderr.write(`volley ${role}: not stopped after ${deadlineMs / 1000} s, ending now\n`);
      process.exit(exitCodes.failure);
    }, deadlineMs).unref();
    stopHandle(handle, how).then(() => process.exit(exitCodes.ok), fail);
  };
  process.on("SIGTERM", () => end("drain", drainDeadlineMs));
  process.on("SIGINT", () => end("drain", drainDeadlineMs));
  process.on("disconnect", () => (ending ? process.exit(exitCodes.ok) : end("stop", stopDeadlineMs)));
  process.on("message", (message) => {
    if (typeof message === "object" && message !== null && "stop" in message && !ending) end("stop", stopDeadlineMs);
  });

  try {
    handle = await module.run(flags, await roleEnvironment(role));
  } catch (error) {
    return fail(error);
  }
  handle.ended?.then(() => ending || fail(new Error("it ended by itself")), fail);
  const { url, worker, metricsPort } = handle;
  const ready = { ready: true, role, pid: process.pid, url, worker, metricsPort };
  if (process.send) process.send(ready);
  if (json) process.stdout.write(`${JSON.stringify(ready)}\n`);
  else if (!process.send) process.stderr.write(`volley ${role}: ${readyText(handle)}\n`);
}

function readyText({ url, worker, metricsPort }: Pick<RoleHandle, "url" | "worker" | "metricsPort">): string {
  const where = [
    url ? `at ${url}` : "",
    worker ? `as ${worker}` : "",
    metricsPort && metricsPort > 0 ? `metrics at http://127.0.0.1:${metricsPort}/metrics` : "",
  ];
  return ["ready", ...where.filter(Boolean)].join(", ");
}

async function stopHandle(handle: RoleHandle, how: "drain" | "stop"): Promise<void> {
  if (how === "drain" && handle.drain) await handle.drain();
  await handle.stop();
}
