import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { modelDurable } from "../../proto/durable/testing/model.js";
import type { WorkerId } from "../../proto/ids.js";
import { MemoryNetwork } from "../../proto/transport/testing/memory.js";
import { Agent } from "./agent.js";
import { processParts } from "./parts.js";

const folder = mkdtempSync(join(tmpdir(), "volley-drain-"));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const silent = { info: () => undefined, warn: () => undefined, error: () => undefined };

test("a worker that is asked to leave while NATS is away leaves, and dies of nothing", async () => {
  const network = new MemoryNetwork();
  const agent = new Agent({
    worker: "w1" as WorkerId,
    node: "n",
    slots: 1,
    storeBytes: 1 << 20,
    threadHeapBytes: 1 << 26,
    spillParent: folder,
    bundleFolder: folder,
    control: network.connect("control"),
    frames: network.connect("frames"),
    durable: modelDurable(),
    log: silent,
    parts: {
      ...processParts,
      pool: () => ({
        threadsReplaced: 0,
        run: () => {
          throw new Error("nothing is to be run");
        },
        close: async () => undefined,
      }),
    },
  });
  const unheard: unknown[] = [];
  const note = (error: unknown): void => {
    unheard.push(error);
  };
  process.on("unhandledRejection", note);
  agent.start();
  network.setDown(true);
  await agent.drain();
  await new Promise((resolve) => setImmediate(resolve));
  process.off("unhandledRejection", note);
  await agent.stop();
  expect(unheard).toEqual([]);
});
