import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { isAlive } from "../../cluster/local/guarded-process.js";

const entryFile = fileURLToPath(new URL("./volley.js", import.meta.url));
const home = mkdtempSync(join(tmpdir(), "volley-up-"));
const children: ChildProcess[] = [];
afterAll(async () => {
  for (const child of children.filter(({ exitCode, signalCode }) => exitCode === null && signalCode === null)) {
    child.kill("SIGKILL");
    await new Promise((resolve) => child.once("close", resolve));
  }
  rmSync(home, { recursive: true, force: true, maxRetries: 5 });
});

const env = {
  ...process.env,
  HOME: home,
  XDG_STATE_HOME: join(home, "state"),
  XDG_DATA_HOME: join(home, "data"),
  NO_COLOR: "1",
};
delete (env as Record<string, unknown>).VOLLEY_URL;

function volley(...args: string[]): ChildProcess {
  const child = spawn(process.execPath, [entryFile, ...args], { env, stdio: ["pipe", "pipe", "pipe"] });
  children.push(child);
  return child;
}

async function run(args: string[], input = ""): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = volley(...args);
  let stdout = "";
  let stderr = "";
  child.stdout?.on("data", (part) => {
    stdout += part;
  });
  child.stderr?.on("data", (part) => {
    stderr += part;
  });
  child.stdin?.end(input);
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  return { code, stdout, stderr };
}

describe("volley up", () => {
  test("brings up a cluster that other commands find, and Ctrl-C ends all of it", async () => {
    const up = volley("up", "--workers", "1", "--slots", "1", "--ephemeral", "--json");
    let words = "";
    up.stderr?.on("data", (part) => {
      words += part;
    });
    const line = await new Promise<string>((resolve, reject) => {
      createInterface(up.stdout as NodeJS.ReadableStream).once("line", resolve);
      up.once("exit", (code) => reject(new Error(`volley up ended with ${code}: ${words}`)));
    });
    const { url, workerUrl, gatewayUrl, processes } = JSON.parse(line) as {
      url: string;
      workerUrl: string;
      gatewayUrl: string;
      processes: { pid: number }[];
    };
    expect(url).toMatch(/^nats:\/\/client:.+@127\.0\.0\.1:\d+$/);
    expect(workerUrl).toMatch(/^nats:\/\/worker:.+@127\.0\.0\.1:\d+$/);
    expect(gatewayUrl).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    const state = join(home, "state", "volley", "local.json");
    expect(statSync(state).mode & 0o777).toBe(0o600);

    const graph = JSON.stringify({
      name: "echoes",
      stages: [{ name: "echo", fn: { kernel: "volley.echo" }, args: [{ items: [{ x: 1 }, { x: 2 }, { x: 3 }] }] }],
    });
    const submitted = await run(["submit", "-", "--wait", "--json"], graph);
    expect(submitted).toMatchObject({ code: 0, stderr: "" });
    const status = JSON.parse(submitted.stdout) as { job: string; state: string; tasks: number };
    expect(status).toMatchObject({ state: "succeeded", tasks: 3 });

    expect(JSON.parse((await run(["jobs", "--json"])).stdout)).toMatchObject([{ job: status.job, name: "echoes" }]);
    expect((await run(["job", status.job])).stdout).toMatch(/succeeded/);
    expect(JSON.parse((await run(["job", status.job, "--result", "--json"])).stdout)).toMatchObject({
      job: status.job,
      values: [{ x: 1 }, { x: 2 }, { x: 3 }],
    });
    expect((await run(["job", status.job, "--result", "--format", "csv"])).stdout).toBe("x\r\n1\r\n2\r\n3\r\n");
    expect(JSON.parse((await run(["explain", status.job, "0", "1", "--json"])).stdout)).toMatchObject({
      state: "succeeded",
      task: 1,
      story: expect.arrayContaining([
        expect.objectContaining({ text: "leased", worker: expect.any(String), lease: expect.any(String) }),
        expect.objectContaining({
          text: "succeeded: first valid commit",
          cause: expect.stringMatching(/^#\d+ commits of /),
        }),
      ]),
    });
    expect(JSON.parse((await run(["top", "--once", "--json"])).stdout)).toMatchObject({
      workers: [
        {
          slots: 1,
          volley: expect.any(String),
          engine: { runtime: `node ${process.versions.node}`, v8: process.versions.v8, arch: process.arch },
        },
      ],
    });
    expect(await run(["job", "nobody", "--json"])).toMatchObject({
      code: 1,
      stdout: "",
      stderr: expect.stringContaining('"JOB_NOT_FOUND"'),
    });

    const failing = JSON.stringify({
      stages: [{ name: "bad", fn: { kernel: "volley.concat" }, args: [{ value: "no tables" }] }],
    });
    const failed = await run(["submit", "-", "--wait", "--json"], failing);
    expect(failed.code).toBe(1);
    expect(JSON.parse(failed.stdout)).toMatchObject({ state: "failed" });

    up.kill("SIGINT");
    expect(await new Promise((resolve) => up.once("exit", resolve))).toBe(130);
    expect(processes.map(({ pid }) => pid).filter(isAlive)).toEqual([]);
    expect(existsSync(state)).toBe(false);
  });
});
