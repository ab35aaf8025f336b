/**
 * Workers on two versions of Node: what users' functions give there is shown, kept apart, and never mixed in what is
 * declared pure.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { connect } from "volley";
import { nodeBinary, nodeVersions } from "../bench/engines/node-binaries.js";
import type { LocalCluster } from "../cluster/local/local-cluster.js";
import { startTestCluster } from "../cluster/local/testing/test-cluster.js";
import { patienceMs } from "../proto/testing/patience.js";

/** A version whose V8 is another than this one's; undefined, and why, if it cannot be had. */
function otherNode(): { binary?: string; version: string; why?: string } {
  const own = Number.parseInt(process.versions.node, 10);
  const version = nodeVersions.find((one) => (own < 24 ? one.startsWith("26.") : one.startsWith("20."))) as string;
  try {
    return { binary: nodeBinary(version), version };
  } catch (error) {
    return { version, why: String((error as { stderr?: Buffer }).stderr ?? error).slice(0, 200) };
  }
}
const other = otherNode();
if (other.why)
  process.stderr.write(`e2e/engines: Node ${other.version} cannot be had, so nothing is tested: ${other.why}\n`);

const volley = fileURLToPath(new URL("../client/cli/volley.js", import.meta.url));
const points = 400;
const xs = Array.from({ length: points }, (_, i) => 1.01 + i / 97);

interface Made {
  node: string;
  value: number;
}

// skipped: when another version of Node cannot be installed from npm; the reason is on stderr
describe.skipIf(other.binary === undefined)("workers on two versions of Node", () => {
  let local: LocalCluster;
  const children: ChildProcess[] = [];

  beforeAll(async () => {
    local = await startTestCluster({ workers: 1, slots: 1 });
  });
  afterAll(async () => {
    for (const child of children) {
      child.kill("SIGTERM");
      if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
    }
    await local?.stop();
  });

  async function addWorker(name: string, slots: number): Promise<void> {
    const args = [volley, "worker", "--url", local.urls.worker, "--name", name, "--slots", String(slots)];
    children.push(
      spawn(other.binary as string, args, {
        stdio: ["ignore", "ignore", "inherit"],
        env: { ...process.env, VOLLEY_LOG: "error" },
      }),
    );
    await using cluster = await connect({ url: local.url });
    await expect
      .poll(async () => (await cluster.workers()).workers.map(({ worker }) => worker), { timeout: patienceMs })
      .toContain(name);
  }

  test("a pure function stays on one of them, an impure one does not, and a later engine makes its own results", async () => {
    await addWorker("other-1", 1);
    await using cluster = await connect({ url: local.url });
    const { workers } = await cluster.workers();
    expect(new Set(workers.map(({ engine }) => engine?.runtime))).toEqual(
      new Set([`node ${process.versions.node}`, `node ${other.version}`]),
    );
    const module = new URL("./engine-tasks.js", import.meta.url);
    const impure = await cluster.deploy<typeof import("./engine-tasks.js")>(module);
    const pure = await cluster.deploy<typeof import("./engine-tasks.js")>(module, { pure: true });

    const anywhere: Made[] = await cluster.get(impure.raised.map(xs, { shared: [1.7] }));
    expect(new Set(anywhere.map(({ node }) => node))).toEqual(new Set([process.versions.node, other.version]));

    const graph = cluster.graph("raised");
    graph.output(graph.map(pure.raised, xs, { shared: [1.7] }));
    const first = await cluster.run(graph);
    const done = await first.done();
    expect(done).toMatchObject({ executed: points, reused: 0 });
    const made = await first.results<Made>();
    const engines = new Set(made.map(({ node }) => node));
    expect(engines).toEqual(new Set([process.versions.node]));
    const again = await (await cluster.run(graph)).done();
    expect(again).toMatchObject({ executed: 0, reused: points, digest: done.digest });

    // The other engine has most slots now: it is given nothing of the first one's, in jobs and in sessions.
    await addWorker("other-2", 2);
    const later = await cluster.run(graph);
    expect(await later.done()).toMatchObject({ executed: points, reused: 0 });
    const remade = await later.results<Made>();
    expect(new Set(remade.map(({ node }) => node))).toEqual(new Set([other.version]));
    const differing = made.filter(({ value }, i) => value !== remade[i]?.value).length;
    expect(differing, "results of ** that differ between the two, of 400").toBeGreaterThan(0);
    await using fresh = await connect({ url: local.url });
    const tasks = await fresh.deploy<typeof import("./engine-tasks.js")>(module, { pure: true });
    const ofSession: Made[] = await fresh.get(tasks.raised.map(xs, { shared: [1.7] }));
    expect(ofSession).toEqual(remade);
  });
});
