/**
 * The wall clock is stepped by an hour, forward and back, while work runs and schedulers are replaced: time limits,
 * retries and timeouts do not notice.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { connect } from "../client/sdk/index.js";
import { startTestCluster } from "../cluster/local/testing/test-cluster.js";
import { patienceMs } from "../proto/testing/patience.js";
import type * as work from "./work.js";

const hourMs = 3_600_000;

test("steps of an hour", async () => {
  const folder = mkdtempSync(join(tmpdir(), "volley-clock-"));
  const offset = join(folder, "offset");
  const step = (ms: number): void => writeFileSync(offset, String(ms));
  step(0);
  const clock = new URL("./stepped-clock.js", import.meta.url).href;
  const env = { NODE_OPTIONS: `--import ${clock}`, STEPPED_CLOCK_FILE: offset };
  const local = await startTestCluster({ workers: 2, slots: 1, gateway: false, env });
  const cluster = await connect({ url: local.url });
  try {
    const lib = await cluster.deploy<typeof work>(new URL("./work.js", import.meta.url));
    const ran = async (name: string): Promise<void> => {
      const log = join(folder, name);
      // Under a time limit, over retries with their pauses, and on the clock of the processes that do it.
      const timed = lib.step.with({ timeoutMs: patienceMs }).map([0, 1, 2, 3, 4, 5], { shared: [500, log] });
      const retried = lib.secondTry.with({ retries: 2 }).map([0, 1, 2], { shared: [`${log}-tries`] });
      expect((await cluster.get(timed, { timeoutMs: patienceMs })).map(({ i }) => i)).toEqual([0, 1, 2, 3, 4, 5]);
      expect(await cluster.get(retried, { timeoutMs: patienceMs })).toEqual([0, 1, 2]);
      const graph = cluster.graph(name);
      graph.output(graph.map(lib.secondTry, [3, 4], { shared: [`${log}-tries`], retries: 2 }));
      expect(await (await cluster.run(graph)).done({ timeoutMs: patienceMs })).toMatchObject({
        state: "succeeded",
        retried: 2,
      });
    };
    await ran("right");
    // The clock moves while tasks run, too.
    const running = lib.step
      .with({ timeoutMs: patienceMs })
      .map([0, 1, 2, 3], { shared: [1_500, join(folder, "running")] });
    for (const [name, ms] of [
      ["ahead", hourMs],
      ["behind", -hourMs],
    ] as const) {
      step(ms);
      await ran(name);
      expect((await cluster.get(running, { timeoutMs: patienceMs })).length).toBe(4);
    }
    // A journal written by a scheduler whose clock was ahead, and a scheduler whose clock is right again.
    for (const [name, ms] of [
      ["restarted ahead", hourMs],
      ["restarted right", 0],
    ] as const) {
      step(ms);
      local.kill("scheduler");
      await ran(name);
    }
    // Its timeouts pass: a worker that dies is noticed, and its task runs elsewhere.
    const held = lib.step.map([0, 1], { shared: [3_000, join(folder, "held")] });
    local.kill("worker-1");
    expect((await cluster.get(held, { timeoutMs: patienceMs })).map(({ i }) => i)).toEqual([0, 1]);
  } finally {
    await cluster.close();
    await local.stop();
    rmSync(folder, { recursive: true, force: true });
  }
});
