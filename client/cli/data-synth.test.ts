import { execFile, spawn } from "node:child_process";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeParquet } from "../../data/lake/index.js";

const volley = fileURLToPath(new URL("./volley.js", import.meta.url));
const run = (...args: string[]) => promisify(execFile)(process.execPath, [volley, "data", "synth", ...args]);

let root: string;
beforeAll(async () => {
  root = await mkdtemp(path.join(tmpdir(), "volley-cli-synth-"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

it("writes a market and says what is in it", async () => {
  const { stdout } = await run("--out", root, "--seed", "4", "--symbols", "12", "--years", "2", "--json");
  expect(JSON.parse(stdout)).toMatchObject({ seed: 4, symbols: 12, years: 2, effect: 0.1, files: 16 });
  expect((await readdir(path.join(root, "prices"))).toSorted()[0]).toBe("S00000.parquet");
});

it("ends on Ctrl-C with exit status 130, and every file that is there is whole", async () => {
  const out = path.join(root, "interrupted");
  const child = spawn(process.execPath, [volley, "data", "synth", "--out", out, "--symbols", "1500", "--years", "2"], {
    stdio: "ignore",
  });
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  const files = async (): Promise<string[]> => readdir(path.join(out, "prices")).catch(() => []);
  while ((await files()).filter((name) => name.endsWith(".parquet")).length < 20) expect(child.exitCode).toBe(null);
  child.kill("SIGINT");
  expect(await ended).toBe(130);
  const written = await files();
  expect(written.length).toBeLessThan(1_500);
  expect(written.filter((name) => !name.endsWith(".parquet"))).toEqual([]);
  for (const name of written) expect((await describeParquet(path.join(out, "prices", name))).rows).toBeGreaterThan(0);
});

it.each([
  [["--seed", "1"], /--out/],
  [["--out", "x", "--years", "0"], /whole number from 1 to 60/],
  [["--out", "x", "--effect", "2"], /number from -0.5 to 0.5/],
  [["--out", "x", "--by", "week"], /symbol, date/],
  [["--out", "x", "--symbols", "20000", "--years", "60"], /symbol years/],
])("refuses %j as wrong usage", async (args, message) => {
  await expect(run(...args)).rejects.toMatchObject({ code: 2, stderr: expect.stringMatching(message) });
});
