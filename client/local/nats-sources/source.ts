/** What every source of a nats-server binary has in common. */
import { execFile } from "node:child_process";

export interface NatsBinary {
  readonly path: string;
  /** Without the v: "2.14.3". */
  readonly version: string;
  /** Name of the source that found it. */
  readonly source: string;
}

export interface ResolveContext {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly onProgress: (line: string) => void;
}

export interface NatsSource {
  readonly name: string;
  /** Throws an Error whose message is one line that says why this source has nothing. */
  find(context: ResolveContext): Promise<NatsBinary>;
}

/** Earlier 2.10 could lose a stream on a kill, and has no `sync_interval: always`. */
export const natsVersionMin = "2.10.23";

const versionTimeoutMs = 5_000;

/** Runs `path --version`. Throws if it is not a nats-server of at least {@link natsVersionMin}. */
export async function checkedVersion(path: string): Promise<string> {
  const output = await new Promise<string>((resolve, reject) => {
    execFile(path, ["--version"], { timeout: versionTimeoutMs }, (error, stdout) => {
      if (!error) return resolve(stdout);
      const reason = error.code === "ENOENT" ? "there is no such file" : error.code === "EACCES" ? "it may not be executed" : `--version failed (${error.message.split("\n")[0]})`;
      reject(new Error(`${path}: ${reason}`));
    });
  });
  const version = /^nats-server: v(\d+\.\d+\.\d+\S*)/m.exec(output)?.[1];
  if (!version) throw new Error(`${path}: does not say it is a nats-server`);
  if (compareVersions(version, natsVersionMin) < 0) throw new Error(`${path}: version ${version} is older than ${natsVersionMin}`);
  return version;
}

/** Numeric parts only; a pre-release (2.11.0-RC.1) counts as older than its release. */
export function compareVersions(a: string, b: string): number {
  const [coreA = "", preA] = a.split("-", 2);
  const [coreB = "", preB] = b.split("-", 2);
  const left = coreA.split(".").map(Number);
  const right = coreB.split(".").map(Number);
  for (let i = 0; i < 3; i++) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return preA === preB ? 0 : preA === undefined ? 1 : preB === undefined ? -1 : preA < preB ? -1 : 1;
}
