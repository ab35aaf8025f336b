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
  /** One line for a person who waits. */
  readonly onProgress: (line: string) => void;
  readonly signal?: AbortSignal;
}

export interface NatsSource {
  readonly name: string;
  /** Fetches or builds one, which takes time and the network; the others only look. */
  readonly provisions: boolean;
  /** Throws an Error whose message is one line that says why this source has nothing. */
  find(context: ResolveContext): Promise<NatsBinary>;
}

/** Earlier 2.10 could lose a stream on a kill, and has no `sync_interval: always`. */
export const natsVersionMin = "2.10.23";

const versionTimeoutMs = 5_000;

/** Runs `path --version`. Throws if it is not a nats-server of at least {@link natsVersionMin}. */
export async function checkedVersion(path: string): Promise<string> {
  const output = await runTool(path, ["--version"], { timeoutMs: versionTimeoutMs });
  const version = /^nats-server: v(\d+\.\d+\.\d+\S*)/m.exec(output)?.[1];
  if (!version) throw new Error(`${path} does not say it is a nats-server`);
  if (compareVersions(version, natsVersionMin) < 0)
    throw new Error(`${path} is version ${version}, older than ${natsVersionMin}`);
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

export interface ToolOptions {
  readonly timeoutMs: number;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly signal?: AbortSignal | undefined;
}

/** Runs a program and gives its stdout. Throws an Error of one line that says what went wrong. */
export function runTool(file: string, args: readonly string[], options: ToolOptions): Promise<string> {
  return new Promise((resolve, reject) => {
    const { timeoutMs, signal, ...rest } = options;
    execFile(
      file,
      [...args],
      {
        ...rest,
        timeout: timeoutMs,
        killSignal: "SIGKILL",
        maxBuffer: 16 * 1024 * 1024,
        ...(signal ? { signal } : {}),
      },
      (error, stdout, stderr) => {
        if (!error) return resolve(stdout);
        if (error.code === "ENOENT") return reject(new Error(`there is no ${file}`));
        if (error.code === "EACCES") return reject(new Error(`${file} may not be executed`));
        if (error.name === "AbortError") return reject(error);
        if (error.killed) return reject(new Error(`${file} did not end within ${timeoutMs / 1000} s`));
        const words = stderr.trim().split("\n").at(-1) || error.message.split("\n")[0] || "it failed";
        reject(new Error(`${file} ${args[0] ?? ""}: ${words.slice(0, 300)}`));
      },
    );
  });
}
