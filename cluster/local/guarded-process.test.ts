import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { describe, expect, test } from "vitest";
import { patienceMs } from "../../proto/testing/patience.js";
import { type GuardedOptions, type GuardedProcess, isAlive, spawnGuarded } from "./guarded-process.js";

/** Starts a Node program and waits until it has said its first line. */
async function startProgram(program: string, options: Partial<GuardedOptions> = {}): Promise<GuardedProcess> {
  let onLine: (line: string) => void = () => {};
  const said = new Promise<string>((resolve) => {
    onLine = resolve;
  });
  const child = await spawnGuarded({
    command: process.execPath,
    args: ["--input-type=module", "-e", program],
    onLine: (line) => onLine(line),
    ...options,
  });
  await Promise.race([said, child.ended]);
  return child;
}

const forEver = "setInterval(() => {}, 1000);";

describe("a guarded process", () => {
  test("reports its own pid, its last lines and how it ended", async () => {
    const child = await startProgram(`console.log(process.pid); console.error("to stderr"); process.exitCode = 7;`);
    expect(await child.ended).toMatchObject({ code: 7, how: "exit code 7" });
    expect([...child.lastLines()].sort()).toEqual([String(child.pid), "to stderr"].sort());
    expect(child.hasEnded()).toBe(true);
    child.signal("SIGKILL"); // Of a process that is gone: nothing.
  });

  test("one that ignores SIGTERM is killed when the deadline has passed", async () => {
    const child = await startProgram(`process.on("SIGTERM", () => {}); console.log("ready"); ${forEver}`);
    expect(await child.stop("SIGTERM", 100)).toMatchObject({ how: "SIGKILL" });
    expect(isAlive(child.pid)).toBe(false);
  });

  test("speaks over IPC, through the guardian", async () => {
    let answer: (message: unknown) => void = () => {};
    const answered = new Promise<unknown>((resolve) => {
      answer = resolve;
    });
    const child = await startProgram(
      `process.on("message", (m) => process.send({ twice: m.n * 2 })); console.log("ready");`,
      {
        ipc: true,
        onMessage: (message) => answer(message),
      },
    );
    child.send({ n: 21 });
    expect(await answered).toEqual({ twice: 42 });
    await child.stop("SIGTERM", 1_000);
    child.send({ n: 1 });
  });

  test.runIf(process.platform === "linux")("does not survive its guardian either", async () => {
    const child = await startProgram(`console.log("ready"); ${forEver}`);
    const guardian = Number(/^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${child.pid}/status`, "utf8"))?.[1]);
    process.kill(guardian, "SIGKILL");
    expect((await child.ended).how).toContain("guardian");
    await expect.poll(() => isAlive(child.pid), { timeout: patienceMs, interval: 10 }).toBe(false);
  });

  test("a Ctrl-C in the terminal does not reach it: its process group is its own", async () => {
    const program = `
      const { spawnGuarded } = await import(${JSON.stringify(new URL("./guarded-process.js", import.meta.url).href)});
      process.on("SIGINT", () => console.log("seen"));
      const { pid } = await spawnGuarded({ command: process.execPath, args: ["-e", ${JSON.stringify(forEver)}] });
      console.log(pid);`;
    const parent = spawn(process.execPath, ["--input-type=module", "-e", program], {
      detached: true,
      stdio: ["ignore", "pipe", "inherit"],
    });
    const lines = createInterface(parent.stdout)[Symbol.asyncIterator]();
    const pid = Number((await lines.next()).value);
    process.kill(-(parent.pid ?? 0), "SIGINT"); // As a terminal does: to the whole group.
    expect((await lines.next()).value).toBe("seen");
    expect(isAlive(pid)).toBe(true);
    parent.kill("SIGKILL");
    await expect.poll(() => isAlive(pid), { timeout: patienceMs, interval: 10 }).toBe(false);
  });
});
