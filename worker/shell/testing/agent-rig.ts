/** For tests: agents with real slots and stores over a network in memory, and the scheduler that a test scripts. */
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach } from "vitest";
import { digestOf } from "../../../proto/digest.js";
import { type ModelDurable, modelDurable } from "../../../proto/durable/testing/model.js";
import { fetchObject, offerObject } from "../../../proto/frames/data-plane.js";
import { FramePeer } from "../../../proto/frames/peer.js";
import type { BundleId, JobId, LeaseId, ObjectBase, ObjectId, WorkerId } from "../../../proto/ids.js";
import type { ObjectLocation } from "../../../proto/messages/results.js";
import type { ArgSpec } from "../../../proto/messages/stage.js";
import type { Lease } from "../../../proto/messages/worker.js";
import { patienceMs } from "../../../proto/testing/patience.js";
import { MemoryNetwork } from "../../../proto/transport/testing/memory.js";
import { PackWriter } from "../../../proto/values/pack.js";
import { encodeValue } from "../../../proto/values/value.js";
import { Agent } from "../agent.js";
import { FakeScheduler } from "./fake-scheduler.js";

const source = `
const { taskContext } = globalThis[Symbol.for("volley.shared")].volley;
export const double = (x) => 2 * x;
export const add = (a, b) => a + b;
export const large = (i) => new Uint8Array(20_000).fill(i);
export const total = (list) => list.reduce((sum, x) => sum + (typeof x === "number" ? x : x.length), 0);
export const sumOf = (t) => { let s = 0; for (const v of t.getChild("x")) s += v; return s; };
export const filled = (i) => new Uint8Array(20_000).fill(i);
export const first = (bytes) => bytes[0];
export const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms, ms));
`;
export const bundle = createHash("sha256").update(source).digest("hex") as BundleId;
export const job = "job1" as JobId;
const quiet = { info: () => undefined, warn: () => undefined, error: () => undefined };

export const lease = (id: string, name: string, args: ArgSpec[], more: Partial<Lease> = {}): Lease => ({
  lease: id as LeaseId,
  job,
  stage: 5,
  base: `s${job}_5` as ObjectBase,
  fn: { bundle, export: name },
  from: 0,
  to: 1,
  attempt: 0,
  args,
  bases: [],
  inputs: [],
  durable: false,
  options: { retries: 0, timeoutMs: patienceMs, pure: false, priority: 0 },
  ...more,
});
export const value = (v: unknown): ArgSpec => ({ a: "value", ...encodeValue(v) });
export const packOf = (values: unknown[]): Uint8Array => {
  const pack = new PackWriter();
  for (const v of values) pack.add(encodeValue(v));
  return pack.finish();
};
export const locationOf = (
  id: ObjectId,
  kind: number,
  data: Uint8Array,
  more: Partial<ObjectLocation>,
): ObjectLocation => ({
  id,
  state: "ready",
  kind,
  bytes: data.byteLength,
  digest: digestOf(kind, data),
  ...more,
});

export class AgentRig {
  readonly network = new MemoryNetwork();
  readonly scheduler = new FakeScheduler(this.network.connect("scheduler"));
  readonly durable: ModelDurable = modelDurable();
  readonly #folder = mkdtempSync(join(tmpdir(), "volley-agent-test-"));
  /** In the order of their start. */
  readonly agents: Agent[] = [];
  /** What is closed before the agents are stopped. */
  readonly closing: (() => Promise<unknown>)[] = [];

  async open(): Promise<void> {
    await this.durable.bundles.put(bundle, Buffer.from(source));
  }

  async close(): Promise<void> {
    for (const close of this.closing) await close();
    await Promise.all(this.agents.map((agent) => agent.stop()));
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async startAgent(name: string, more: { slots?: number; storeBytes?: number } = {}): Promise<Agent> {
    const agent = new Agent({
      worker: name as WorkerId,
      node: "test",
      slots: more.slots ?? 1,
      storeBytes: more.storeBytes ?? 64 * 2 ** 20,
      threadHeapBytes: 128 * 2 ** 20,
      spillParent: this.#folder,
      bundleFolder: join(this.#folder, "bundles"),
      control: this.network.connect(`${name}-control`),
      frames: this.network.connect(`${name}-frames`),
      durable: this.durable,
      log: quiet,
    });
    this.agents.push(agent);
    agent.start();
    await agent.joined;
    return agent;
  }

  async putInto(worker: string, kind: 1 | 2 | 3, payload: Uint8Array): Promise<ObjectId> {
    const transport = this.network.connect("client-frames");
    const frames = new FramePeer({ transport, peer: `client${this.closing.length}` });
    this.closing.push(() => frames.close());
    const digest = digestOf(kind, payload);
    const id = `c${Buffer.from(digest).toString("hex")}-0` as ObjectId;
    await offerObject({ transport, frames, to: worker, name: { id, digest }, kind, payload, timeoutMs: patienceMs });
    return id;
  }

  async getFrom(worker: string, id: ObjectId, digest: Uint8Array): Promise<Uint8Array> {
    const transport = this.network.connect("reader-frames");
    const frames = new FramePeer({ transport, peer: `reader${this.closing.length}` });
    this.closing.push(() => frames.close());
    const { data } = await fetchObject({
      transport,
      frames,
      from: worker,
      id,
      digest,
      allocate: ({ bytes }) => new Uint8Array(bytes),
      timeoutMs: patienceMs,
    });
    return data;
  }
}

/** A fresh one for every test of the file. */
export function rigOfEachTest(): () => AgentRig {
  let rig: AgentRig;
  beforeEach(async () => {
    rig = new AgentRig();
    await rig.open();
  });
  afterEach(() => rig.close());
  return () => rig;
}
