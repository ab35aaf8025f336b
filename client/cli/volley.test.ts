import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { patienceMs } from "../../proto/testing/patience.js";

const entryFile = fileURLToPath(new URL("./volley.js", import.meta.url));
const home = mkdtempSync(join(tmpdir(), "volley-cli-"));
const prices = join(home, "prices.csv");
writeFileSync(prices, "date,close\n2024-01-02,1\n2024-01-03,2\n");
afterAll(() => rmSync(home, { recursive: true, force: true }));

interface Outcome {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Runs the command line as a user without any cluster would. */
function volley(
  args: readonly string[],
  { env = {}, input = "" }: { env?: Record<string, string>; input?: string } = {},
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [entryFile, ...args], {
      env: { PATH: process.env.PATH, HOME: home, XDG_STATE_HOME: join(home, "state"), NO_COLOR: "1", ...env },
    });
    let stdout = "";
    let stderr = "";
    child.stdout.on("data", (part) => {
      stdout += part;
    });
    child.stderr.on("data", (part) => {
      stderr += part;
    });
    child.once("error", reject);
    child.once("close", (code) => resolve({ code, stdout, stderr }));
    child.stdin.end(input);
  });
}

const commands = [
  "up",
  "demo",
  "submit",
  "jobs",
  "job",
  "cancel",
  "explain",
  "top",
  "deploy",
  "kernels",
  "nats install",
  "scheduler",
  "worker",
  "gateway",
];

describe("help", () => {
  test("lists every command, and what environment and exit statuses mean, at once", async () => {
    const startedAtMs = performance.now();
    const { code, stdout } = await volley(["--help"]);
    const tookMs = performance.now() - startedAtMs;
    expect(code).toBe(0);
    for (const command of commands) expect(stdout).toMatch(new RegExp(`^  ${command.split(" ")[0]}\\b`, "m"));
    for (const word of ["VOLLEY_URL", "VOLLEY_NATS_SERVER", "130 interrupted"]) expect(stdout).toContain(word);
    expect(tookMs).toBeLessThan(patienceMs / 4); // 300 ms alone on the machine.
  });

  test.each(commands)("volley %s --help describes its options and has --json", async (command) => {
    const { code, stdout, stderr } = await volley([...command.split(" "), "--help"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toContain(`Usage: volley ${command}`);
    expect(stdout).toContain("--json");
  });

  test("a role's flags name their environment variables", async () => {
    const { stdout } = await volley(["scheduler", "--help"]);
    expect(stdout.replace(/\s+/g, " ")).toMatch(/--metrics-port <value>.*VOLLEY_METRICS_PORT.*default 0/);
    expect(stdout.replace(/\s+/g, " ")).toMatch(/--url <value>.*VOLLEY_URL.*required/);
  });

  test("--version is the package's", async () => {
    expect(await volley(["--version"])).toMatchObject({ code: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) });
  });
});

describe("mistakes end with exit status 2 and a way out", () => {
  test.each([
    ["an unknown command", ["jbos"], "Did you mean jobs?"],
    ["a typo in an option", ["jobs", "--limt", "3"], "Did you mean --limit?"],
    ["a bad number", ["jobs", "--limit", "many"], "Expected a whole number from 1 to 1000"],
    ["a missing argument", ["submit"], "missing required argument 'graph'"],
    ["an argument too many", ["jobs", "x"], "too many arguments"],
    ["a bad choice", ["job", "j", "--result", "--format", "xml"], "json, csv, arrow, parquet"],
    ["a missing graph file", ["submit", "absent.json"], "there is no file absent.json"],
    ["a kernel that is not there", ["kernels", "rolling_sdt"], "did you mean rolling_std"],
    ["a kernel to audit that is not there", ["audit", "rsy", "--data", "absent.csv:date"], "did you mean rsi"],
    [
      "a module to audit that is not there",
      ["audit", "absent.ts#f", "--data", "absent.csv:date"],
      "there is no file absent.ts",
    ],
    ["a missing table", ["audit", "rsi", "--data", "absent.parquet:date"], "there is no file absent.parquet"],
    [
      "no file for a pattern",
      ["audit", "rsi", "--data", "absent/*.parquet:date"],
      'no file matches "absent/*.parquet"',
    ],
    ["no table at all", ["audit", "rsi"], "--data is missing: FILES:COLUMN"],
    ["a table without its column", ["audit", "rsi", "--data", "prices.csv"], "--data takes FILES:COLUMN"],
    [
      "a column that is not there",
      ["audit", "rsi", "--data", `${prices}:day`],
      'has no column "day"; it has date, close',
    ],
    [
      "a folder for a file",
      ["data", "synth", "--symbols", "2", "--years", "1", "--out", prices],
      "a part of the path is a file and no folder",
    ],
    ["results into a folder", ["job", "j", "--result", "-o", home], "is a folder; -o takes the name of a file"],
    ["results into no folder", ["job", "j", "--result", "-o", join(home, "absent", "x.csv")], "there is no folder"],
    ["a missing module", ["deploy", "absent.ts"], "there is no file absent.ts"],
    ["options that exclude each other", ["up", "--ephemeral", "--data-dir", "x"], "--ephemeral"],
    ["results nobody asked for", ["job", "j", "-o", "x"], "needs --result"],
    ["a task that is no number", ["explain", "j", "first"], 'stage is "first"'],
    ["a role without a cluster", ["scheduler"], "VOLLEY_URL"],
    [
      "a role with a bad value",
      ["scheduler", "--url", "nats://127.0.0.1:1", "--metrics-port", "many"],
      'VOLLEY_METRICS_PORT (--metrics-port) is "many"',
    ],
  ])("%s", async (_, args, words) => {
    const { code, stdout, stderr } = await volley(args);
    expect(stderr).toContain(words);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  });

  test("no command at all shows the help", async () => {
    const { code, stderr } = await volley([]);
    expect(code).toBe(2);
    expect(stderr).toContain("Usage: volley");
  });

  test("with --json the error is one JSON object on stderr and stdout stays empty", async () => {
    for (const [args, code] of [
      [["jobs", "--limt", "3", "--json"], "USAGE"],
      [["jbos", "--json"], "USAGE"],
      [["submit", "absent.json", "--json"], "USAGE"],
      [["jobs", "--json"], "NATS_UNAVAILABLE"],
    ] as const) {
      const { stdout, stderr } = await volley(args);
      expect(stdout).toBe("");
      expect(JSON.parse(stderr)).toMatchObject({ error: { code, message: expect.stringMatching(/./) } });
    }
  });
});

describe("submit checks the graph before it looks for a cluster", () => {
  test.each([
    ["no JSON", "{", "(root)"],
    ["no graph", '{"stages":[]}', "stages"],
    [
      "an unknown stage",
      '{"stages":[{"name":"a","fn":{"kernel":"volley.echo"},"args":[{"stage":"b","edge":"all"}]}]}',
      "stages.0.args.0.stage",
    ],
  ])("%s", async (_, input, path) => {
    const { code, stderr } = await volley(["submit", "-", "--json"], { input });
    expect(code).toBe(2);
    expect(JSON.parse(stderr)).toMatchObject({ error: { code: "INVALID_GRAPH", details: { path } } });
  });

  test("a good one needs a cluster, and the error says how to get one", async () => {
    const file = join(home, "graph.json");
    writeFileSync(file, '{"stages":[{"name":"a","fn":{"kernel":"volley.echo"},"args":[{"value":1}]}]}');
    const { code, stderr } = await volley(["submit", file]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/volley up.*--url.*VOLLEY_URL/);
  });
});

describe("commands that need no cluster", () => {
  test("kernels lists the built-in kernels", async () => {
    const { code, stdout } = await volley(["kernels", "--json"]);
    expect(code).toBe(0);
    const kernels = JSON.parse(stdout) as { name: string; version: number; doc: string; args: { name: string }[] }[];
    expect(kernels.find(({ name }) => name === "volley.echo")).toMatchObject({ version: 1, args: [{ name: "value" }] });
    expect((await volley(["kernels"])).stdout).toContain("volley.echo@1(value)");
  });

  test("kernels shows one in full: parameters with defaults and ranges, columns, lag and nulls", async () => {
    const { code, stdout } = await volley(["kernels", "rolling_std"]);
    expect(code).toBe(0);
    expect(stdout).toContain("feature.rolling_std@1(table, params, carry)");
    for (const line of [
      /^window +integer ≥ 1, ≤ 1e\+6 +required/m,
      /^ddof +integer ≥ 0, ≤ 1 +1 +Divisor/m,
      /^In +value \(number\)/m,
      /^Lag +0/m,
      /^Nulls +Null/m,
    ])
      expect(stdout).toMatch(line);
    expect((await volley(["kernels", "backtest.weights"])).stdout).toMatch(
      /^fees +number ≥ 0, ≤ 0\.5 or \{ fraction, fixed, perShare, minimum \}/m,
    );
    const json = JSON.parse((await volley(["kernels", "feature.rolling_std", "--json"])).stdout) as {
      args: { name: string; schema: unknown }[];
    };
    expect(json.args[1]).toMatchObject({ name: "params", schema: { required: ["window"] } });
  });

  test("kernels names the near ones of a name that is not there", async () => {
    const { code, stderr } = await volley(["kernels", "rolling_sdt"]);
    expect(code).not.toBe(0);
    expect(stderr).toMatch(/FUNCTION_NOT_FOUND.*did you mean rolling_std/s);
  });

  test("nats install says where the server is; when there is none, how to get one", async () => {
    const server = join(home, "nats-server");
    writeFileSync(server, "#!/bin/sh\necho 'nats-server: v2.14.0'\n", { mode: 0o755 });
    const found = await volley(["nats", "install", "--json"], { env: { VOLLEY_NATS_SERVER: server } });
    expect(JSON.parse(found.stdout)).toEqual({ path: server, version: "2.14.0", source: "VOLLEY_NATS_SERVER" });
    const none = await volley(["nats", "install", "--json"], {
      env: { PATH: join(home, "empty"), VOLLEY_NATS_RELEASES: "http://127.0.0.1:9" },
    });
    expect(none.code).toBe(1);
    expect(JSON.parse(none.stderr)).toMatchObject({
      error: { code: "NATS_UNAVAILABLE", message: expect.stringContaining("VOLLEY_NATS_SERVER") },
    });
  });

  test("a state file whose writer is gone is no cluster", async () => {
    const { mkdirSync } = await import("node:fs");
    mkdirSync(join(home, "stale", "volley"), { recursive: true });
    writeFileSync(
      join(home, "stale", "volley", "local.json"),
      JSON.stringify({ pid: 999_999_999, url: "nats://127.0.0.1:1", token: "t", startedAtMs: 0 }),
    );
    const { code, stderr } = await volley(["jobs"], { env: { XDG_STATE_HOME: join(home, "stale") } });
    expect(code).toBe(1);
    expect(stderr).toContain("volley up");
  });
});
