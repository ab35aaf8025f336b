import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type LocalNats, startLocalNats } from "../../cluster/local/nats-server.js";

const entryFile = fileURLToPath(new URL("./volley.js", import.meta.url));
const children: ChildProcess[] = [];
let nats: LocalNats;
beforeAll(async () => {
  nats = await startLocalNats();
});
afterAll(async () => {
  for (const child of children) child.kill("SIGKILL");
  await nats.stop();
});

function startScheduler(stdio: "ipc" | "ignore", ...args: string[]): ChildProcess {
  const child = spawn(process.execPath, [entryFile, "scheduler", ...args], {
    stdio: ["ignore", "pipe", "pipe", stdio],
    env: { ...process.env, VOLLEY_URL: nats.url },
  });
  children.push(child);
  return child;
}
const exitOf = (child: ChildProcess): Promise<number | null> => new Promise((resolve) => child.once("exit", resolve));
const readyOf = (child: ChildProcess): Promise<unknown> => new Promise((resolve) => child.once("message", resolve));

describe("a role's process", () => {
  test("says over IPC that it serves, and ends with status 0 on SIGTERM", async () => {
    const child = startScheduler("ipc");
    expect(await readyOf(child)).toMatchObject({
      ready: true,
      role: "scheduler",
      pid: child.pid,
      metricsPort: expect.any(Number),
    });
    child.kill("SIGTERM");
    expect(await exitOf(child)).toBe(0);
  });

  test("stops at once when told so, and when its parent is gone", async () => {
    const told = startScheduler("ipc");
    await readyOf(told);
    told.send({ stop: true });
    expect(await exitOf(told)).toBe(0);
    const orphan = startScheduler("ipc");
    await readyOf(orphan);
    orphan.disconnect();
    expect(await exitOf(orphan)).toBe(0);
  });

  test("without a parent it prints one JSON object when it serves, its flags go before the environment", async () => {
    const child = startScheduler("ignore", "--json", "--metrics-port", "-1");
    const line = await new Promise<string>((resolve) =>
      createInterface(child.stdout as NodeJS.ReadableStream).once("line", resolve),
    );
    expect(JSON.parse(line)).toEqual({ ready: true, role: "scheduler", pid: child.pid, metricsPort: -1 });
    child.kill("SIGINT");
    expect(await exitOf(child)).toBe(0);
  });

  test("one that cannot start says why in one line and ends with status 1", async () => {
    const child = startScheduler("ignore", "--url", `nats://nobody:wrong@127.0.0.1:${nats.port}`, "--log", "silent");
    let words = "";
    child.stderr?.on("data", (part) => {
      words += part;
    });
    expect(await exitOf(child)).toBe(1);
    expect(words.trim().split("\n")).toHaveLength(1);
    expect(words).toMatch(/^volley scheduler: [A-Z_]+: /);
    expect(words).not.toContain("wrong");
  });
});
