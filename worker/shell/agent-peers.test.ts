import { describe, expect, test } from "vitest";
import { digestOf } from "../../proto/digest.js";
import { fetchObject, offerObject } from "../../proto/frames/data-plane.js";
import { FramePeer } from "../../proto/frames/peer.js";
import type { ObjectId } from "../../proto/ids.js";
import { eventually, patienceMs } from "../../proto/testing/patience.js";

import { job, rigOfEachTest } from "./testing/agent-rig.js";

const rig = rigOfEachTest();

describe("peers", () => {
  test("a put is confirmed only after the scheduler has acknowledged it", async () => {
    await rig().startAgent("w1");
    rig().scheduler.acks = false;
    let confirmed = false;
    const put = rig()
      .putInto("w1", 3, new Uint8Array(100_000).fill(9))
      .then((id) => {
        confirmed = true;
        return id;
      });
    await eventually(() => expect(rig().scheduler.received.some((m) => m.t === "objects")).toBe(true));
    expect(confirmed).toBe(false);
    rig().scheduler.acks = true;
    const id = await put;
    expect(rig().scheduler.received.find((m) => m.t === "objects")).toMatchObject({
      added: [{ id, bytes: 100_000, kind: 3 }],
    });
  });

  test("what was put can be fetched, and is gone after `free`", async () => {
    const agent = await rig().startAgent("w1");
    const payload = new Uint8Array(1_000_000).map((_, i) => i * 7);
    const id = await rig().putInto("w1", 3, payload);
    const transport = rig().network.connect("reader");
    const frames = new FramePeer({ transport, peer: "reader" });
    rig().closing.push(() => frames.close());
    const fetch = () =>
      fetchObject({
        transport,
        frames,
        from: "w1",
        id,
        allocate: (meta) => new Uint8Array(meta.bytes),
        timeoutMs: patienceMs,
      });
    expect(Buffer.compare((await fetch()).data, payload)).toBe(0);
    rig().scheduler.command("w1", { o: "free", ids: [id] });
    await eventually(() => expect(agent.stats().store).toMatchObject({ objects: 0, usedBytes: 0 }));
    await expect(fetch()).rejects.toMatchObject({ code: "OBJECT_NOT_FOUND" });
  });

  test("an object that is not named by its bytes is refused", async () => {
    await rig().startAgent("w1");
    const transport = rig().network.connect("liar");
    const frames = new FramePeer({ transport, peer: "liar" });
    rig().closing.push(() => frames.close());
    const payload = new Uint8Array(10_000);
    const offer = (id: string, digest: Uint8Array) =>
      offerObject({
        transport,
        frames,
        to: "w1",
        name: { id: id as ObjectId, digest },
        kind: 3,
        payload,
        timeoutMs: patienceMs,
      });
    await expect(offer(`s${job}_1-0`, digestOf(3, payload))).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    const wrong = digestOf(3, new Uint8Array(5));
    await expect(offer(`c${Buffer.from(wrong).toString("hex")}-0`, wrong)).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
    });
    await eventually(() => expect(rig().agents[0]?.stats().store.usedBytes).toBe(0));
  });
});
