/** A peer in a process of its own: one line of JSON in, one out. */
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

export interface Peer {
  readonly name: string;
  ask<T>(command: Record<string, unknown>): Promise<T>;
  stop(): Promise<void>;
}

/** Sources are not copied to dist, so the script is found from the repository's root. */
const scriptPath = (script: string): string =>
  fileURLToPath(new URL(`../../../bench/peers/${script}`, import.meta.url));

/** Starts `script` with this Python; resolves when it has said its name and version. Rejects with what it wrote. */
export async function startPeer(python: string, script: string): Promise<Peer> {
  const child: ChildProcess = spawn(python, ["-u", scriptPath(script)], {
    stdio: ["pipe", "pipe", "pipe"],
    env: { ...process.env, RAY_DEDUP_LOGS: "0", PYTHONWARNINGS: "ignore" },
  });
  let stderr = "";
  child.stderr?.on("data", (data: Buffer) => {
    stderr = (stderr + data.toString()).slice(-4_000);
  });
  const waiting: { resolve(line: string): void; reject(error: Error): void }[] = [];
  const exited = new Promise<void>((resolve) => {
    child.once("exit", (code) => {
      for (const { reject } of waiting.splice(0)) reject(new Error(`${script} ended with ${code}: ${stderr}`));
      resolve();
    });
    child.once("error", (error) => {
      for (const { reject } of waiting.splice(0)) reject(error);
      resolve();
    });
  });
  if (child.stdout)
    createInterface({ input: child.stdout }).on(
      "line",
      (line) => line.startsWith("{") && waiting.shift()?.resolve(line),
    );
  const answer = <T>(): Promise<T> =>
    new Promise<string>((resolve, reject) => waiting.push({ resolve, reject })).then((line) => JSON.parse(line) as T);
  const { name } = await answer<{ name: string }>();
  return {
    name,
    ask: (command) => {
      child.stdin?.write(`${JSON.stringify(command)}\n`);
      return answer();
    },
    async stop() {
      child.stdin?.end();
      await exited;
    },
  };
}
