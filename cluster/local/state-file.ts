/** Where a running `volley up` is, for other commands of the same user. */
import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { isAlive } from "./guarded-process.js";
import { homeFolder } from "./home-folder.js";

export interface LocalState {
  /** Of the `volley up`. */
  readonly pid: number;
  readonly url: string;
  readonly gatewayUrl?: string;
  readonly token: string;
  readonly startedAtMs: number;
}

type Env = Readonly<Record<string, string | undefined>>;

export const stateFile = (env: Env = process.env): string =>
  join(env.XDG_STATE_HOME || join(homeFolder(env), ".local", "state"), "volley", "local.json");

/** Readable by its owner only: it holds the credentials. */
export function writeLocalState(state: LocalState, env: Env = process.env): void {
  const path = stateFile(env);
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const next = `${path}.${process.pid}.next`;
  writeFileSync(next, `${JSON.stringify(state, null, 2)}\n`, { mode: 0o600 });
  chmodSync(next, 0o600);
  renameSync(next, path);
}

/** undefined if there is none, or if the one who wrote it is gone. */
export function readLocalState(env: Env = process.env): LocalState | undefined {
  try {
    const state = JSON.parse(readFileSync(stateFile(env), "utf8")) as LocalState;
    return typeof state.url === "string" && Number.isInteger(state.pid) && isAlive(state.pid) ? state : undefined;
  } catch {
    return undefined;
  }
}

/** Only the writer's own: a later `volley up` may have replaced it. */
export function removeLocalState(env: Env = process.env): void {
  if (readLocalState(env)?.pid === process.pid) rmSync(stateFile(env), { force: true });
}
