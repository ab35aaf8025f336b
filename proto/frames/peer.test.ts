/** F1..F4 of peer.ts, over both transports. */
import { fork } from "node:child_process";
import { randomBytes } from "node:crypto";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type LocalNats, startLocalNats } from "../../cluster/local/nats-server.js";
import { VolleyError } from "../errors.js";
import { limits } from "../limits.js";
import { subjects } from "../subjects.js";
import { connectNats } from "../transport/nats.js";
import { MemoryNetwork } from "../transport/testing/memory.js";
import type { Transport } from "../transport/transport.js";
import { decodeFrame, encodeFrameHead, frameType } from "./frame.js";
import { FramePeer, type FramePeerOptions } from "./peer.js";

interface Network {
  connect(name: string): Promise<Transport>;
  stop(): Promise<void>;
}
async function natsNetwork(): Promise<Network> {
  const server = await startLocalNats();
  return { connect: (name) => connectNats({ url: server.url, name }), stop: () => server.stop() };
}
async function memoryNetwork(): Promise<Network> {
  const network = new MemoryNetwork();
  return { connect: async (name) => network.connect(name), stop: async () => undefined };
}

const code = (expected: string): unknown => expect.objectContaining({ code: expected });
const random = (bytes: number): Uint8Array => new Uint8Array(randomBytes(bytes));
const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;
const shared = (bytes: number): Uint8Array => new Uint8Array(new SharedArrayBuffer(bytes + 40), 40, bytes);

describe.each([
  { form: "memory", start: memoryNetwork },
  { form: "nats", start: natsNetwork },
])("frame peer over $form", ({ start }) => {
  let network: Network;
  let cleanups: (() => Promise<void>)[] = [];
  const peer = async (
    name: string,
    options: Partial<FramePeerOptions> = {},
  ): Promise<{ frames: FramePeer; transport: Transport; received: unknown[] }> => {
    const transport = await network.connect(name);
    const received: unknown[] = [];
    const frames = new FramePeer({ transport, peer: name, onError: (error) => received.push(error), ...options });
    await transport.flush();
    cleanups.push(async () => {
      await frames.close();
      await transport.close();
    });
    return { frames, transport, received };
  };

  beforeAll(async () => {
    network = await start();
  });
  afterAll(() => network.stop());
  afterEach(async () => {
    await Promise.all(cleanups.map((cleanup) => cleanup()));
    cleanups = [];
  });

  it.each([0, 1, limits.frameBytes - 1, limits.frameBytes, limits.frameBytes + 1, 3 * limits.windowBytes + 7])(
    "carries a payload of %d bytes into shared memory",
    async (bytes) => {
      const [a, b] = [await peer("a"), await peer("b")];
      const payload = random(bytes);
      const target = shared(bytes);
      const { stream, done } = b.frames.open({ bytes, target });
      await Promise.all([a.frames.send({ to: "b", stream, payload }), done]);
      expect(same(target, payload)).toBe(true);
      expect(a.frames.streams + b.frames.streams).toBe(0);
    },
  );

  it("carries many streams both ways at once, from shared memory, also to itself", async () => {
    const [a, b] = [await peer("a"), await peer("b")];
    const jobs = Array.from({ length: 40 }, (_, i) => ({
      from: i % 2 === 0 ? a : b,
      to: i % 5 === 0 ? (i % 2 === 0 ? a : b) : i % 2 === 0 ? b : a,
      payload: shared(100_000 + i * 33_333),
    }));
    await Promise.all(
      jobs.map(async ({ from, to, payload }) => {
        payload.set(randomBytes(payload.byteLength));
        const target = new Uint8Array(payload.byteLength);
        const { stream, done } = to.frames.open({ bytes: payload.byteLength, target });
        await Promise.all([from.frames.send({ to: to.frames.peer, stream, payload }), done]);
        expect(same(target, payload)).toBe(true);
      }),
    );
  });

  it("F4 lets a small stream pass a large one", async () => {
    const [a, b] = [await peer("a"), await peer("b")];
    const large = new Uint8Array(48 * 1024 * 1024);
    const big = b.frames.open({ bytes: large.byteLength, target: new Uint8Array(large.byteLength) });
    const order: string[] = [];
    const bigSent = a.frames.send({ to: "b", stream: big.stream, payload: large }).then(() => order.push("large"));
    const small = b.frames.open({ bytes: 600_000, target: new Uint8Array(600_000) });
    await Promise.all([
      bigSent,
      a.frames
        .send({ to: "b", stream: small.stream, payload: new Uint8Array(600_000) })
        .then(() => order.push("small")),
    ]);
    expect(order).toEqual(["small", "large"]);
  });

  it("F1 never has more in flight than the window", async () => {
    let outBytes = 0;
    let inBytes = 0;
    let inFlightMax = 0;
    const a = await peer("a", {
      onFrame: (direction, bytes) => {
        if (direction === "out") outBytes += bytes;
      },
    });
    const b = await peer("b", {
      onFrame: (direction, bytes) => {
        if (direction !== "in") return;
        inFlightMax = Math.max(inFlightMax, outBytes - inBytes);
        inBytes += bytes;
      },
    });
    const payload = new Uint8Array(6 * limits.windowBytes);
    const { stream, done } = b.frames.open({ bytes: payload.byteLength, target: new Uint8Array(payload.byteLength) });
    await Promise.all([a.frames.send({ to: "b", stream, payload }), done]);
    expect(inFlightMax).toBeLessThanOrEqual(limits.windowBytes);
    expect(inFlightMax).toBeGreaterThan(limits.frameBytes);
    expect([outBytes, inBytes]).toEqual([payload.byteLength, payload.byteLength]);
  });

  it("F2 the receiver's reason reaches the sender, the sender's the receiver", async () => {
    const [a, b] = [await peer("a"), await peer("b")];
    const payload = new Uint8Array(4 * limits.windowBytes);
    const refused = b.frames.open({ bytes: payload.byteLength, target: new Uint8Array(payload.byteLength) });
    const sent = a.frames.send({ to: "b", stream: refused.stream, payload });
    refused.cancel(new VolleyError("OUT_OF_MEMORY", "no room here"));
    await expect(refused.done).rejects.toEqual(code("OUT_OF_MEMORY"));
    await expect(sent).rejects.toMatchObject({ code: expect.stringMatching(/OUT_OF_MEMORY|CANCELLED/) });

    const { stream, done } = b.frames.open({ bytes: payload.byteLength, target: new Uint8Array(payload.byteLength) });
    const sending = a.frames.send({ to: "b", stream, payload });
    sending.catch(() => undefined);
    await a.frames.close();
    await expect(sending).rejects.toEqual(code("CLOSED"));
    await expect(done).rejects.toEqual(code("CLOSED"));
  });

  it("F2 the sender hears of success only after the receiver has accepted, and of its refusal", async () => {
    const [a, b] = [await peer("a"), await peer("b")];
    const payload = random(5);
    let accept = (): void => undefined;
    const gate = new Promise<void>((resolve) => {
      accept = resolve;
    });
    const held = b.frames.open({ bytes: 5, target: new Uint8Array(5), accept: () => gate });
    let settled = false;
    const sending = a.frames.send({ to: "b", stream: held.stream, payload }).then(() => {
      settled = true;
    });
    await b.transport.flush();
    await a.transport.flush();
    expect(settled).toBe(false);
    accept();
    await Promise.all([sending, held.done]);

    const refusing = b.frames.open({
      bytes: 5,
      target: new Uint8Array(5),
      accept: () => {
        throw new VolleyError("CORRUPT", "not what was announced");
      },
    });
    await expect(a.frames.send({ to: "b", stream: refusing.stream, payload })).rejects.toEqual(code("CORRUPT"));
    await expect(refusing.done).rejects.toEqual(code("CORRUPT"));
  });

  it("F3 a damaged, lost or foreign frame fails its stream; a repeated one does nothing", async () => {
    const [a, b] = [await peer("a"), await peer("b")];
    const frameOf = (stream: string, offset: number, total: number, body: Uint8Array): Buffer =>
      Buffer.concat([encodeFrameHead({ type: frameType.data, stream, from: "a", offset, total, body }), body]);
    const open = (): { stream: string; done: Promise<void>; target: Uint8Array } => {
      const target = new Uint8Array(20);
      return { target, ...b.frames.open({ bytes: 20, target }) };
    };
    const to = subjects.frames("b");

    const damaged = open();
    const bytes = frameOf(damaged.stream, 0, 20, random(10));
    bytes[bytes.length - 1] = (bytes.at(-1) as number) ^ 1;
    a.transport.publish(to, bytes);
    await expect(damaged.done).rejects.toEqual(code("CORRUPT"));

    const lost = open();
    a.transport.publish(to, frameOf(lost.stream, 10, 20, random(10)));
    await expect(lost.done).rejects.toEqual(code("DISCONNECTED"));

    const other = open();
    a.transport.publish(to, frameOf(other.stream, 0, 21, random(10)));
    await expect(other.done).rejects.toEqual(code("CORRUPT"));

    const beyond = open();
    a.transport.publish(to, frameOf(beyond.stream, 0, 20, random(21)));
    await expect(beyond.done).rejects.toEqual(code("CORRUPT"));

    const repeated = open();
    const payload = random(20);
    for (const [from, end] of [
      [0, 10],
      [0, 10],
      [10, 20],
      [0, 10],
    ] as const)
      a.transport.publish(to, frameOf(repeated.stream, from, 20, payload.subarray(from, end)));
    await repeated.done;
    expect(same(repeated.target, payload)).toBe(true);

    a.transport.publish(to, Buffer.from("not a frame"));
    await a.transport.flush();
    await b.transport.flush();
    expect(b.received).toEqual([code("CORRUPT"), code("CORRUPT")]);
  });

  it("F3 writes nothing after a cancel", async () => {
    const [a, b] = [await peer("a"), await peer("b")];
    const target = new Uint8Array(100);
    const { stream, done, cancel } = b.frames.open({ bytes: 100, target });
    cancel();
    await expect(done).rejects.toEqual(code("CANCELLED"));
    await expect(a.frames.send({ to: "b", stream, payload: random(100).fill(9) })).rejects.toEqual(code("CANCELLED"));
    expect(target.every((byte) => byte === 0)).toBe(true);
  });

  it("keeps what comes before a reserved stream is opened", async () => {
    const [a, b] = [await peer("a"), await peer("b")];
    const payload = random(1_000_000);
    const stream = b.frames.reserve();
    const sending = a.frames.send({ to: "b", stream, payload });
    await a.transport.flush();
    await b.transport.flush();
    const target = new Uint8Array(payload.byteLength);
    const { done } = b.frames.open({ bytes: payload.byteLength, target, stream });
    await Promise.all([done, sending]);
    expect(same(target, payload)).toBe(true);

    const released = b.frames.reserve();
    b.frames.release(released);
    await expect(a.frames.send({ to: "b", stream: released, payload })).rejects.toEqual(code("CANCELLED"));
  });

  it("never waits for ever: a silent other side is TIMEOUT, one that has gone NO_LISTENER, one that forgot DISCONNECTED", async () => {
    const a = await peer("a", { idleTimeoutMs: 300 });
    const silent = await network.connect("silent");
    cleanups.push(() => silent.close());
    silent.subscribe(subjects.frames("silent"), (message) => {
      if (decodeFrame(message.data).type === frameType.probe) message.respond(Uint8Array.of(1));
    });
    silent.subscribe(subjects.frames("forgetful"), (message) => {
      if (message.wantsReply) message.respond(Uint8Array.of(0));
    });
    await silent.flush();
    const payload = new Uint8Array(1_000_000);
    await expect(a.frames.send({ to: "silent", stream: "s1", payload })).rejects.toEqual(code("TIMEOUT"));
    await expect(a.frames.send({ to: "nobody", stream: "s2", payload })).rejects.toEqual(code("NO_LISTENER"));
    await expect(a.frames.send({ to: "forgetful", stream: "s3", payload })).rejects.toEqual(code("DISCONNECTED"));
    const waiting = (from?: string): Promise<void> =>
      a.frames.open({ bytes: 10, target: new Uint8Array(10), ...(from ? { from } : {}) }).done;
    await expect(waiting()).rejects.toEqual(code("TIMEOUT"));
    await expect(waiting("nobody")).rejects.toEqual(code("NO_LISTENER"));
    await expect(waiting("silent")).rejects.toEqual(code("TIMEOUT"));
    expect(a.frames.streams).toBe(0);
  });

  it("a long acceptance is waited for", async () => {
    const [a, b] = [await peer("a", { idleTimeoutMs: 800 }), await peer("b", { idleTimeoutMs: 800 })];
    const { stream, done } = b.frames.open({
      bytes: 3,
      target: new Uint8Array(3),
      accept: () => new Promise((resolve) => setTimeout(resolve, 2_000)),
    });
    await Promise.all([a.frames.send({ to: "b", stream, payload: random(3) }), done]);
  });

  it("refuses what cannot be", async () => {
    const a = await peer("a");
    expect(() => a.frames.open({ bytes: 10, target: new Uint8Array(9) })).toThrow(code("INVALID_ARGUMENT") as Error);
    expect(() => a.frames.open({ bytes: 0, target: new Uint8Array(0), stream: "no stream" })).toThrow(
      code("INVALID_ARGUMENT") as Error,
    );
    await expect(a.frames.send({ to: "b", stream: "", payload: new Uint8Array(0) })).rejects.toEqual(
      code("INVALID_ARGUMENT"),
    );
    expect(() => new FramePeer({ transport: a.transport, peer: "a.b" })).toThrow(code("INVALID_ARGUMENT") as Error);
    await a.frames.close();
    await a.frames.close();
    expect(() => a.frames.open({ bytes: 0, target: new Uint8Array(0) })).toThrow(code("CLOSED") as Error);
    await expect(a.frames.send({ to: "b", stream: "x", payload: new Uint8Array(0) })).rejects.toEqual(code("CLOSED"));
  });
});

describe("frame peer when the network fails", () => {
  it("ends every stream at once when the connection is lost, and works after", async () => {
    const network = new MemoryNetwork();
    const [ta, tb] = [network.connect("a"), network.connect("b")];
    const [a, b] = [new FramePeer({ transport: ta, peer: "a" }), new FramePeer({ transport: tb, peer: "b" })];
    const payload = new Uint8Array(4 * limits.windowBytes);
    const target = new Uint8Array(payload.byteLength);
    const { stream, done } = b.open({ bytes: payload.byteLength, target });
    const sending = a.send({ to: "b", stream, payload });
    sending.catch(() => undefined);
    network.setDown(true);
    await expect(done).rejects.toEqual(code("DISCONNECTED"));
    await expect(sending).rejects.toEqual(code("DISCONNECTED"));
    await expect(a.send({ to: "b", stream, payload })).rejects.toEqual(code("DISCONNECTED"));
    network.setDown(false);
    const again = b.open({ bytes: payload.byteLength, target });
    await Promise.all([a.send({ to: "b", stream: again.stream, payload }), again.done]);
    await a.close();
    await b.close();
  });

  it("hears within the probe's time that the other process was killed in the middle", async () => {
    const server: LocalNats = await startLocalNats();
    const transport = await connectNats({ url: server.url, name: "here" });
    const frames = new FramePeer({ transport, peer: "here", idleTimeoutMs: 5_000 });
    const child = fork(new URL("./testing/victim-child.js", import.meta.url), [server.url], { stdio: "ignore" });
    try {
      const outgoing = "aa";
      await new Promise((resolve) => child.once("message", resolve));
      const incoming = frames.open({
        bytes: 1_000_000,
        target: new Uint8Array(1_000_000),
        stream: "bb",
        from: "victim",
      });
      const sending = frames.send({ to: "victim", stream: outgoing, payload: new Uint8Array(64 * 1024 * 1024) });
      sending.catch(() => undefined);
      // The victim takes some frames, then dies by SIGKILL.
      await new Promise((resolve) => child.once("exit", resolve));
      await expect(sending).rejects.toEqual(code("NO_LISTENER"));
      await expect(incoming.done).rejects.toEqual(code("NO_LISTENER"));
    } finally {
      child.kill("SIGKILL");
      await frames.close();
      await transport.close();
      await server.stop();
    }
  });
});
