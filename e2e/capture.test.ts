/** A scheduler's events are captured while a worker is killed, and give the same commands again. */
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { connect } from "../client/sdk/index.js";
import { startTestCluster } from "../cluster/local/testing/test-cluster.js";
import type { StoryLine } from "../proto/messages/explanation.js";
import { patienceMs } from "../proto/testing/patience.js";
import type * as work from "./work.js";

const main = fileURLToPath(new URL("../sim/main.js", import.meta.url));
const tasks = 60;

test("a worker is killed in the middle of a map; the capture replays to the same commands, and tells the story", async () => {
  const folder = mkdtempSync(path.join(tmpdir(), "volley-capture-"));
  const file = path.join(folder, "events");
  const local = await startTestCluster({ workers: 2, slots: 1, gateway: false, env: { VOLLEY_CAPTURE: file } });
  try {
    const cluster = await connect({ url: local.url });
    const lib = await cluster.deploy<typeof work>(new URL("./work.js", import.meta.url));
    const refs = lib.pick.map(
      Array.from({ length: tasks }, (_, i) => i),
      { shared: [100, 10] },
    );
    await cluster.wait(refs, { count: tasks / 4 });
    local.kill("worker-1");
    expect(await cluster.get(refs, { timeoutMs: patienceMs })).toHaveLength(tasks);
    const stories = await Promise.all(Array.from({ length: tasks }, (_, i) => cluster.explain(refs.at(i))));
    // The local cluster starts it again under its name, sooner or later than its silence is noticed.
    const isLoss = ({ text }: StoryLine): boolean =>
      text === "its worker is silent" || text === "another process has its worker's name";
    const again = stories.find(({ story }) => story?.some(isLoss));
    expect(again?.story?.filter(({ text }) => text === "leased").length).toBeGreaterThan(1);
    await cluster.close();
    await local.stop();
    const task = `${again?.job}/${again?.stage}/${again?.task}`;
    const { stdout } = await promisify(execFile)(process.execPath, [main, "replay", file, "--task", task, "--json"]);
    const found = JSON.parse(stdout) as { events: number; end: string; story: { what: string }[] };
    expect(found).not.toHaveProperty("difference");
    expect(found.end).toBe("the scheduler stopped");
    expect(found.events).toBeGreaterThan(tasks / 4);
    expect(found.story.map(({ what }) => what)).toEqual(again?.story?.map(({ text }) => text));
  } finally {
    await local.stop();
    rmSync(folder, { recursive: true, force: true });
  }
});
