/**
 * A child process that cannot outlive this one, not even when this one is killed with SIGKILL.
 *
 * Owns: the guardian, a small shell between us and the child. It holds the reading end of a pipe of ours; when the pipe
 * ends, for whatever reason, it kills the child. It waits for the child, so it ends with it and never kills a recycled
 * pid. Signals and restarts are the caller's.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { constants } from "node:os";
import type { Readable } from "node:stream";
import { VolleyError } from "../../proto/errors.js";
import { Timer } from "../../proto/timer.js";

/**
 * $1 is a folder to remove when the parent is gone (empty: none), the rest is the command. File descriptors: 0 the
 * parent's pipe, 3 Node's IPC channel (only the child keeps it), 4 where the child's pid is told, 6 the child's stderr
 * (the shell's own remarks are not wanted there). The watcher ignores TERM before it kills, so that the shell's "the
 * child has ended" cannot stop it half way.
 */
const guardianScript = `
scratch=$1; shift
exec 5<&0 </dev/null 6>&2 2>/dev/null
"$@" 2>&6 4>&- 5<&- 6>&- &
child=$!
echo "$child" >&4
exec 4>&- 6>&-
( read -r _ <&5; trap '' TERM; kill -9 "$child" 2>/dev/null; if [ -n "$scratch" ]; then sleep 0.3; rm -rf -- "$scratch"; fi ) 3>&- >/dev/null 2>&1 &
watcher=$!
wait "$child"; code=$?
kill "$watcher" 2>/dev/null
exit "$code"
`;

const pidTimeoutMs = 30_000;
const keptLinesMax = 60;

export interface GuardedOptions {
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Opens a Node IPC channel to the child. */
  readonly ipc?: boolean;
  /** A folder that the guardian removes when this process dies without stopping the child. */
  readonly scratchDir?: string | undefined;
  readonly onMessage?: (message: unknown) => void;
  readonly onLine?: (line: string) => void;
}

export interface ProcessEnd {
  readonly code: number;
  /** "exit code 1" or "SIGKILL". */
  readonly how: string;
}

export interface GuardedProcess {
  /** Of the child itself, not of its guardian. */
  readonly pid: number;
  readonly ended: Promise<ProcessEnd>;
  hasEnded(): boolean;
  /** Over the IPC channel; without one, or after the child's end, nothing happens. */
  send(message: object): void;
  /** Does nothing once the child has ended. */
  signal(name: NodeJS.Signals): void;
  /** Asks with `name`, waits, then insists with SIGKILL. Resolves when the child is gone. */
  stop(name: NodeJS.Signals, deadlineMs: number): Promise<ProcessEnd>;
  /** The last lines the child wrote to stdout and stderr. */
  lastLines(): readonly string[];
}

/**
 * Resolves when the child has been started (not when it serves). Fails with INTERNAL if the shell cannot be started.
 */
export async function spawnGuarded(options: GuardedOptions): Promise<GuardedProcess> {
  if (process.platform === "win32")
    throw new VolleyError(
      "INTERNAL",
      "Local clusters run on Linux and macOS; on Windows use WSL, or set VOLLEY_URL to a cluster elsewhere.",
    );
  // Detached: a Ctrl-C in the terminal reaches only us, and we stop the children in order.
  const shell = spawn(
    "/bin/sh",
    ["-c", guardianScript, "volley-guardian", options.scratchDir ?? "", options.command, ...options.args],
    {
      detached: true,
      stdio: ["pipe", "pipe", "pipe", options.ipc ? "ipc" : "ignore", "pipe"],
      env: { ...process.env, ...options.env },
    },
  );
  const lines: string[] = [];
  const keep = (line: string) => {
    lines.push(line);
    if (lines.length > keptLinesMax) lines.shift();
    options.onLine?.(line);
  };
  const drained = Promise.all([eachLine(shell.stdout, keep), eachLine(shell.stderr, keep)]);
  shell.stdin?.on("error", () => {});
  if (options.onMessage) shell.on("message", options.onMessage);

  let ended = false;
  const exit = new Promise<ProcessEnd & { guardianKilled: boolean }>((resolve, reject) => {
    shell.on("error", (error) => {
      if (shell.pid === undefined) reject(error);
    });
    shell.once("exit", (code, signal) => resolve(describeEnd(code, signal)));
  });
  exit.catch(() => {});
  const pid = await readPid(shell, exit);
  const signal = (name: NodeJS.Signals) => {
    if (!ended) sendSignal(pid, name);
  };
  const done = exit.then(async (end) => {
    // A guardian that was itself killed has left its child behind.
    if (end.guardianKilled) sendSignal(pid, "SIGKILL");
    ended = true;
    if (shell.connected) shell.disconnect();
    await Promise.race([drained, new Promise((resolve) => setTimeout(resolve, 200).unref())]);
    return end;
  });
  return {
    pid,
    ended: done,
    hasEnded: () => ended,
    send(message) {
      if (shell.connected) shell.send(message, () => {});
    },
    signal,
    async stop(name, deadlineMs) {
      signal(name);
      const timer = new Timer(() => signal("SIGKILL"), deadlineMs);
      try {
        return await done;
      } finally {
        timer.stop();
      }
    },
    lastLines: () => lines,
  };
}

/** True if there is a process of this id, whoever owns it. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

function sendSignal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It ended in the meantime: that is what was wanted.
  }
}

function describeEnd(code: number | null, signal: NodeJS.Signals | null): ProcessEnd & { guardianKilled: boolean } {
  if (signal) return { code: 1, how: `its guardian ended by ${signal}`, guardianKilled: true };
  const status = code ?? 1;
  // A shell reports a child's death by signal n as 128 + n.
  const name = Object.entries(constants.signals).find(([, number]) => status === 128 + number)?.[0];
  return { code: status, how: name ?? `exit code ${status}`, guardianKilled: false };
}

async function readPid(shell: ChildProcess, exit: Promise<ProcessEnd>): Promise<number> {
  const pipe = shell.stdio[4] as Readable;
  const pid = new Promise<number>((resolve) => {
    let text = "";
    pipe.setEncoding("utf8");
    pipe.on("data", (part: string) => {
      text += part;
      if (text.includes("\n")) resolve(Number(text));
    });
    pipe.on("error", () => {});
  });
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new VolleyError("INTERNAL", `The guardian process said no pid within ${pidTimeoutMs} ms.`)),
      pidTimeoutMs,
    );
  });
  const died = exit.then(async (end) => {
    const emitted = await Promise.race([
      pid,
      new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), 50)),
    ]);
    if (emitted !== undefined) return emitted;
    throw new VolleyError("INTERNAL", `The guardian process ended at once: ${end.how}.`);
  });
  try {
    return await Promise.race([pid, died, late]);
  } catch (error) {
    shell.stdin?.destroy();
    throw error;
  } finally {
    clearTimeout(timer);
    died.catch(() => {});
  }
}

function eachLine(stream: Readable | null, onLine: (line: string) => void): Promise<void> {
  return new Promise((resolve) => {
    if (!stream) return resolve();
    let rest = "";
    stream.setEncoding("utf8");
    stream.on("data", (part: string) => {
      const pieces = (rest + part).split("\n");
      rest = pieces.pop() ?? "";
      for (const line of pieces) onLine(line);
    });
    stream.on("error", () => resolve());
    stream.on("close", () => {
      if (rest !== "") onLine(rest);
      resolve();
    });
  });
}
