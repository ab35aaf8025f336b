/**
 * One worker of two stands still for longer than the heartbeat's timeout, while the other is heard, and holds the only
 * copies of what cannot be made again. It comes back with them: every value read is the one that was committed.
 */
import { createHash } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { connect } from "../client/sdk/index.js";
import { patienceMs } from "../proto/testing/patience.js";
import { startOwnCluster } from "./own-cluster.js";
import type * as work from "./work.js";

const sha256 = (data: Uint8Array): string => createHash("sha256").update(data).digest("hex");

test("a worker stands still for 9 s with the sole copies of random results and of a put: nothing of it is lost or other", async () => {
  const own = await startOwnCluster(["w1"], 2);
  const cluster = await connect({ url: own.url });
  try {
    const lib = await cluster.deploy<typeof work>(new URL("./work.js", import.meta.url));
    // What was put is not kept by its client once its callers have let go of more than that keeps.
    const bytes = new Uint8Array(300_000).fill(7);
    const put = await cluster.put(bytes);
    const drawn = lib.draw.map([0, 1, 2, 3], { shared: [1, 20_000, "/dev/null"] });
    const before = (await cluster.get(drawn)).map(sha256);
    const w2 = await own.startWorker("w2");
    const received = async (): Promise<string[]> =>
      (await cluster.workers()).workers.map(({ worker }) => worker).sort();
    await expect.poll(received).toEqual(["w1", "w2"]);
    own.worker("w1").signal("SIGSTOP");
    await expect.poll(received).toEqual(["w2"]);
    // Asked for while nobody who is heard has it: it waits, and is not an error.
    const read = lib.fingerprint.map(drawn);
    const whole = lib.fingerprints.submit(drawn);
    const noted = lib.fingerprint.submit(put);
    const again = cluster.get(drawn, { timeoutMs: patienceMs });
    await delay(3_000);
    expect(await cluster.explain(whole)).toMatchObject({ state: "waiting", reason: "holder-silent", worker: "w1" });
    own.worker("w1").signal("SIGCONT");
    expect(await cluster.get(read, { timeoutMs: patienceMs })).toEqual(before);
    expect(await cluster.get(whole, { timeoutMs: patienceMs })).toEqual(before);
    expect(await cluster.get(noted, { timeoutMs: patienceMs })).toBe(sha256(bytes));
    expect((await again).map(sha256)).toEqual(before);
    expect(sha256((await cluster.get(put, { timeoutMs: patienceMs })) as Uint8Array)).toBe(sha256(bytes));
    expect(w2.pid).toBeGreaterThan(0);
  } finally {
    await cluster.close();
    await own.stop();
  }
});
