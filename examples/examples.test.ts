import { execFile } from "node:child_process";
import { readdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { LocalCluster } from "../cluster/local/local-cluster.js";
import { startTestCluster } from "../cluster/local/testing/test-cluster.js";
import { patienceMs } from "../proto/testing/patience.js";

let local: LocalCluster;
beforeAll(async () => {
  local = await startTestCluster({ workers: 1, slots: 2, gateway: true });
});
afterAll(() => local?.stop());

/** Runs an example as its header says, on the tests' cluster; gives what it printed. */
async function run(name: string): Promise<string> {
  const env = {
    ...process.env,
    VOLLEY_URL: local.url,
    VOLLEY_GATEWAY_URL: local.gatewayUrl,
    VOLLEY_TOKEN: local.token,
  };
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [fileURLToPath(new URL(`./${name}.js`, import.meta.url))],
    { env, timeout: patienceMs },
  );
  return stdout;
}

const examples: Record<string, (output: string) => void> = {
  quickstart: (output) => {
    expect(output).toContain("6 simulations");
    expect(output).toMatch(/best: \{ lookback: \d+, gain: \d\.\d+ \}/);
  },
  "price-sweep": (output) => {
    expect(output).toContain("258 combinations on 5105 days, 2000-01-03 to ");
    expect(output.match(/^fast \d+, slow \d+: Sharpe 0\.\d\d, growth [\d.]+x, \d+ trades$/gm)).toHaveLength(3);
  },
  "walk-forward": (output) => {
    expect(
      output.match(/^split \d+: fast \d+, slow \d+, Sharpe -?\d\.\d\d in training, (?:-?\d\.\d\d|none) after$/gm),
    ).toHaveLength(12);
    expect(output).toContain(
      "walk-forward: 192 trials, Sharpe 0.56 on 3024 days out of sample, 0.81 of the one in training",
    );
    expect(output).toContain("CPCV: 28 splits, 7 paths, Sharpe 0.21 to 0.45, 0.00 of the paths lost");
    expect(output).toContain("overfitting: in 0.51 of 252 ways to choose, the best is below the median afterwards");
    expect(output).toContain("bootstrap: Sharpe 0.05 to 1.09 at 95 %, the same from 16 tasks and from 5: true");
  },
  "durable-graph": (output) => {
    expect(output).toContain("succeeded: 41 of 41 tasks");
    expect(output).toMatch(/summary: \{ parts: 20, rolls: 20000, mean: 3\.[45]\d+ \}/);
    expect(output).toContain("again: 0 tasks executed, 41 reused, same digest: true");
  },
  "durable-job": (output) => {
    expect(output).toMatch(/summary: \{ parts: 20, rolls: 20000, mean: 3\.[45]\d+ \} first mean: 3\.\d\d/);
    expect(output).toMatch(/the same job again: true, \d+ tasks executed in all/);
  },
  failures: (output) => {
    expect(output).toContain("throws: TASK_FAILED (never): RangeError: a price must be positive, got -1");
    expect(output).toMatch(/^ {2}at checked \(.*examples\/failures-tasks\.ts:5:\d+\)$/m);
    expect(output).toContain("depends on it: UPSTREAM_FAILED");
    expect(output).toContain('retries: "attempt 3 succeeded"');
    expect(output).toContain("too few retries: TASK_FAILED (never): Error: attempt 2 failed");
    expect(output).toContain("never ends: TASK_TIMEOUT");
    expect(output).toContain("still works: 0");
  },
  "founding-strategy": (output) => {
    expect(output).toContain("14 of 168 price files read");
    const stats = (line: RegExp): number[] => (line.exec(output) ?? []).slice(1).map(Number);
    const [difference = 0] = stats(/^point in time: .* difference (-?[\d.]+) %$/m);
    expect(output).toContain("planted in 14 years: 15.0 %");
    // 335 positions of about 35 % deviation a year.
    expect(Math.abs(difference - 15)).toBeLessThan(4);
    const tooMuch = (mistake: string): number =>
      stats(new RegExp(`^${mistake}: .*, (-?[\\d.]+) % too much$`, "m"))[0] ?? 0;
    expect(tooMuch("filing of the same evening")).toBeGreaterThan(3);
    expect(tooMuch("no publication lag")).toBeGreaterThan(8);
    expect(tooMuch("restated values")).toBeGreaterThan(4);
    expect(tooMuch("survivors only")).toBeGreaterThan(3);
    expect(tooMuch("returns of the same period")).toBeGreaterThan(12);
  },
  kernels: (output) => {
    expect(output).toContain("day 15: RSI 38.69; day 20: standard deviation 28.97");
    expect(output).toContain("5105 days, 20 before the first month's end");
    expect(output).toMatch(/^28 trades on 5105 days; 100,000 became \d{6}$/m);
  },
  "gateway-client": (output) => {
    expect(output).toContain("succeeded: 3 of 3 tasks");
    expect(JSON.parse(output.slice(output.indexOf("result:") + 7))).toMatchObject({ values: ["a", "b", "c"] });
  },
};

test("every example is tested", async () => {
  const files = await readdir(new URL(".", import.meta.url));
  const programs = files.filter((name) => /(?<!-tasks|\.test)\.js$/.test(name)).map((name) => name.slice(0, -3));
  expect(programs.toSorted()).toEqual(Object.keys(examples).toSorted());
});

test.each(Object.keys(examples))("%s prints what it promises", async (name) => {
  examples[name]?.(await run(name));
});
