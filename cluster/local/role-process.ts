/** One role (scheduler, worker, gateway) as a child process: started, ready, stopped. */
import { fileURLToPath } from "node:url";
import { VolleyError } from "../../proto/errors.js";
import { secretsKey } from "../process/role-config.js";
import { spawnGuarded } from "./guarded-process.js";
import type { Instance } from "./supervise.js";

export type RoleName = "scheduler" | "worker" | "gateway";

const entryFile = fileURLToPath(new URL("../roles/main.js", import.meta.url));
/**
 * The engine's memory for the newest objects, which it otherwise lets grow to 48 MiB: a scheduler's memory is to follow
 * what it keeps, not what the largest request passed through it.
 */
const nodeArgs: Readonly<Partial<Record<RoleName, readonly string[]>>> = { scheduler: ["--max-semi-space-size=4"] };
const readyTimeoutMs = 60_000;
const stopTimeoutMs = 5_000;

/** What a role says over IPC when it serves. */
export interface ReadyMessage {
  readonly ready: true;
  readonly role: RoleName;
  readonly url?: string;
  readonly worker?: string;
  readonly metricsPort?: number;
}

export interface RoleInstance extends Instance {
  readonly ready: ReadyMessage;
}

export interface RoleOptions {
  readonly role: RoleName;
  readonly name: string;
  readonly env: Readonly<Record<string, string>>;
  /** Configuration that does not stand in the environment, which tasks could read: said over IPC. */
  readonly secrets: Readonly<Record<string, string>>;
  readonly onLine?: ((line: string) => void) | undefined;
  readonly signal?: AbortSignal;
}

/**
 * Resolves when the role serves. Fails with INTERNAL and its last words if it ends before, with TIMEOUT if it never
 * says so.
 */
export async function startRole(options: RoleOptions): Promise<RoleInstance> {
  let signalReady: (message: ReadyMessage) => void = () => {};
  const ready = new Promise<ReadyMessage>((resolve) => {
    signalReady = resolve;
  });
  const child = await spawnGuarded({
    command: process.execPath,
    args: [...(nodeArgs[options.role] ?? []), entryFile, options.role],
    env: { ...options.env, VOLLEY_URL: undefined, VOLLEY_TOKEN: undefined, [secretsKey]: "ipc" },
    ipc: true,
    onMessage(message) {
      if (isReady(message)) signalReady(message);
    },
    ...(options.onLine ? { onLine: options.onLine } : {}),
  });
  child.send({ secrets: options.secrets });
  const kill = () => child.signal("SIGKILL");
  options.signal?.addEventListener("abort", kill);
  if (options.signal?.aborted) kill();
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<"late">((resolve) => {
    timer = setTimeout(() => resolve("late"), readyTimeoutMs);
  });
  const outcome = await Promise.race([ready, child.ended, late]);
  clearTimeout(timer);
  options.signal?.removeEventListener("abort", kill);
  if (outcome === "late" || !("ready" in outcome)) {
    const end = await child.stop("SIGKILL", stopTimeoutMs);
    const words = child
      .lastLines()
      .slice(-8)
      .map((line) => `\n  ${readableLine(line)}`);
    if (outcome === "late")
      throw new VolleyError("TIMEOUT", `${options.name} was not ready after ${readyTimeoutMs} ms.${words.join("")}`);
    throw new VolleyError("INTERNAL", `${options.name} ended before it was ready: ${end.how}.${words.join("")}`);
  }
  return {
    pid: child.pid,
    ready: outcome,
    ended: child.ended,
    lastLines: () => child.lastLines().map(readableLine),
    signal: child.signal,
    // A message rather than SIGTERM: a worker drains on SIGTERM, and when all stop there is nowhere to drain to.
    async stop() {
      child.send({ stop: true });
      const timer = setTimeout(() => child.signal("SIGKILL"), stopTimeoutMs);
      await child.ended;
      clearTimeout(timer);
    },
  };
}

const levelNames: Readonly<Record<number, string>> = {
  10: "trace",
  20: "debug",
  30: "info",
  40: "warn",
  50: "error",
  60: "fatal",
};

/** Roles log in JSON, one object per line; a person reads level, message and error. Other lines stay as they are. */
export function readableLine(line: string): string {
  if (!line.startsWith("{")) return line;
  try {
    const { level, msg, error, err } = JSON.parse(line) as {
      level?: number;
      msg?: string;
      error?: unknown;
      err?: { message?: string };
    };
    const reason = error ?? err?.message;
    return `${levelNames[level ?? 0] ?? "log"}: ${msg ?? ""}${reason === undefined ? "" : `: ${typeof reason === "string" ? reason : JSON.stringify(reason)}`}`;
  } catch {
    return line;
  }
}

const isReady = (message: unknown): message is ReadyMessage =>
  typeof message === "object" && message !== null && (message as { ready?: unknown }).ready === true;
