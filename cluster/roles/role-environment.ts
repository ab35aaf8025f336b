/**
 * Where a role's configuration comes from, besides its flags. Tasks are code of others in the worker's process: they
 * see neither its `process.env` nor its flags, but `/proc/self/environ` shows what a process was started with, whatever
 * became of it. So credentials come over IPC (local clusters), or from a file that is removed once it is read
 * (VOLLEY_URL_FILE, VOLLEY_TOKEN_FILE); what stands in the environment is taken, with a warning.
 */
import { readFileSync, rmSync } from "node:fs";
import { VolleyError } from "../../proto/errors.js";
import { sleep } from "../../proto/timer.js";
import { secretsKey } from "../process/role-config.js";

export type Env = Readonly<Record<string, string | undefined>>;

const secretKeys = ["VOLLEY_URL", "VOLLEY_TOKEN"] as const;
const secretsTimeoutMs = 30_000;

const toStderr = (text: string): void => {
  process.stderr.write(`${text}\n`);
};

export async function roleEnvironment(
  role: string,
  env: Env = process.env,
  warn: (text: string) => void = toStderr,
): Promise<Env> {
  const found: Record<string, string | undefined> = { ...env };
  if (env[secretsKey] === "ipc") Object.assign(found, await receivedSecrets());
  for (const key of secretKeys) {
    const path = env[`${key}_FILE`];
    if (path) found[key] = secretFile(`${key}_FILE`, path, warn);
    else if (role === "worker" && env[key] && /:[^/@]*@/.test(env[key]))
      warn(
        `volley worker: warning: ${key} stands in the environment, where tasks can read it (/proc/self/environ); ${key}_FILE does not`,
      );
  }
  return found;
}

/** Over IPC, from the parent that said it would tell. */
async function receivedSecrets(): Promise<Env> {
  const emitted = new Promise<Env>((resolve) => {
    const receive = (message: unknown): void => {
      if (typeof message !== "object" || message === null || !("secrets" in message)) return;
      process.off("message", receive);
      resolve(message.secrets as Env);
    };
    process.on("message", receive);
  });
  const stop = new AbortController();
  try {
    const late = sleep(secretsTimeoutMs, undefined, { signal: stop.signal }).catch(() => undefined);
    const secrets = await Promise.race([emitted, late]);
    if (!secrets)
      throw new VolleyError(
        "INVALID_ARGUMENT",
        `${secretsKey} is "ipc", but the parent process told nothing within ${secretsTimeoutMs} ms`,
      );
    return secrets;
  } finally {
    stop.abort();
  }
}

function secretFile(key: string, path: string, warn: (text: string) => void): string {
  let text: string;
  try {
    text = readFileSync(path, "utf8").trim();
  } catch (cause) {
    throw new VolleyError(
      "INVALID_ARGUMENT",
      `${key} is ${JSON.stringify(path)}, which cannot be read: ${(cause as Error).message}`,
      { cause },
    );
  }
  try {
    rmSync(path);
  } catch {
    warn(
      `volley: warning: ${path} (${key}) could not be removed after it was read: tasks of a worker that may read it can`,
    );
  }
  return text;
}
