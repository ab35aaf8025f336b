/** Fetch, offer and serve of objects, over both transports, with both sides failing. */
import { randomBytes } from "node:crypto";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type LocalNats, startLocalNats } from "../../cluster/local/nats-server.js";
import { putObjectId } from "../address.js";
import { digestOf } from "../digest.js";
import { VolleyError } from "../errors.js";
import type { ObjectId } from "../ids.js";
import { subjects } from "../subjects.js";
import { patienceMs } from "../testing/patience.js";
import { connectNats } from "../transport/nats.js";
import { MemoryNetwork } from "../transport/testing/memory.js";
import type { Transport } from "../transport/transport.js";
import type { ValueKind } from "../values/value.js";
import {
  type Acceptance,
  fetchObject,
  type Lookup,
  type Offered,
  offerObject,
  type PutRequest,
  serveData,
} from "./data-plane.js";
import { payloadOf } from "./payload.js";
import { FramePeer } from "./peer.js";

interface Network {
  connect(name: string): Promise<Transport>;
  bounce(): Promise<void>;
  stop(): Promise<void>;
}

async function natsNetwork(): Promise<Network> {
  let server: LocalNats = await startLocalNats();
  const { url, port, user, password, dataDir } = server;
  return {
    connect: (name) => connectNats({ url, name }),
    async bounce() {
      server.kill();
      await server.ended;
      server = await startLocalNats({ port, user, password, dataDir });
    },
    stop: () => server.stop(),
  };
}

async function memoryNetwork(): Promise<Network> {
  const network = new MemoryNetwork();
  return {
    connect: async (name) => network.connect(name),
    async bounce() {
      network.setDown(true);
      await new Promise((resolve) => setImmediate(resolve));
      network.setDown(false);
    },
    stop: async () => undefined,
  };
}

const idOf = (n: number): ObjectId => `c${n.toString(16).padStart(32, "0")}-0` as ObjectId;
const kind: ValueKind = 3;

/** A peer with a map for a store, which counts what is asked of it. */
class Holder {
  readonly objects = new Map<string, Uint8Array>();
  released = 0;
  aborted = 0;
  refuse: VolleyError | undefined;
  onCommit: (put: PutRequest) => void = () => undefined;

  lookup(id: ObjectId, _wanted: { suspect?: boolean | undefined }): Lookup | undefined {
    const data = this.objects.get(id);
    return data && { kind, digest: digestOf(kind, data), data, release: () => this.released++ };
  }

  accept(put: PutRequest): Acceptance | "have" {
    if (this.refuse) throw this.refuse;
    if (put.id && this.objects.has(put.id)) return "have";
    const target = new Uint8Array(new SharedArrayBuffer(put.bytes));
    return {
      target,
      commit: ({ id }) => {
        this.onCommit(put);
        this.objects.set(id, target);
      },
      abort: () => this.aborted++,
    };
  }
}

describe.each([
  { form: "memory", start: memoryNetwork },
  { form: "nats", start: natsNetwork },
])("data plane over $form", ({ start }) => {
  let network: Network;
  let cleanups: (() => Promise<void>)[] = [];
  const peer = async (name: string): Promise<{ transport: Transport; frames: FramePeer }> => {
    const transport = await network.connect(name);
    const frames = new FramePeer({ transport, peer: name, idleTimeoutMs: 10_000 });
    cleanups.push(async () => {
      await frames.close();
      await transport.close();
    });
    return { transport, frames };
  };
  const setup = async (): Promise<{
    here: Awaited<ReturnType<typeof peer>>;
    there: Awaited<ReturnType<typeof peer>>;
    holder: Holder;
  }> => {
    const [here, there] = [await peer("here"), await peer("there")];
    const holder = new Holder();
    serveData({ ...there, lookup: (id, wanted) => holder.lookup(id, wanted), accept: (put) => holder.accept(put) });
    await Promise.all([here.transport.flush(), there.transport.flush()]);
    return { here, there, holder };
  };
  const allocate = (meta: { bytes: number }): Uint8Array => new Uint8Array(new SharedArrayBuffer(meta.bytes));

  beforeAll(async () => {
    network = await start();
  });
  afterAll(() => network.stop());
  afterEach(async () => {
    await Promise.all(cleanups.map((cleanup) => cleanup()));
    cleanups = [];
  });

  it("fetches objects of all sizes, many at once, and releases each", async () => {
    const { here, holder } = await setup();
    const sizes = [0, 1, 5_000, 262_144, 262_145, 1_000_000, 2_500_000];
    const ids = Array.from({ length: 60 }, (_, i) => idOf(i));
    for (const [i, id] of ids.entries())
      holder.objects.set(id, new Uint8Array(randomBytes(sizes[i % sizes.length] as number)));
    const got = await Promise.all(
      ids.map((id) => fetchObject({ ...here, from: "there", id, allocate, timeoutMs: patienceMs })),
    );
    for (const [i, { data, digest, bytes }] of got.entries()) {
      const source = holder.objects.get(ids[i] as string) as Uint8Array;
      expect(bytes).toBe(source.byteLength);
      expect(Buffer.compare(data, source)).toBe(0);
      expect(Buffer.compare(digest, digestOf(kind, source))).toBe(0);
    }
    // The holder hears of the end a moment after the fetcher.
    await expect.poll(() => holder.released).toBe(ids.length);
  });

  it("fetch says what is wrong: no object, no peer, no memory, no time", async () => {
    const { here, there, holder } = await setup();
    const fetchOf = (id: ObjectId, from = "there", change: object = {}): Promise<unknown> =>
      fetchObject({ ...here, from, id, allocate, timeoutMs: patienceMs, ...change });
    await expect(fetchOf(idOf(1))).rejects.toMatchObject({ code: "OBJECT_NOT_FOUND" });
    await expect(fetchOf(idOf(1), "nobody")).rejects.toMatchObject({ code: "NO_LISTENER" });
    holder.objects.set(idOf(1), new Uint8Array(2_000_000));
    const full = (): never => {
      throw new VolleyError("OUT_OF_MEMORY", "full");
    };
    await expect(fetchOf(idOf(1), "there", { allocate: full })).rejects.toMatchObject({ code: "OUT_OF_MEMORY" });
    there.transport.subscribe(subjects.data("mute"), () => undefined);
    await there.transport.flush();
    await expect(fetchOf(idOf(1), "mute", { timeoutMs: 50 })).rejects.toMatchObject({ code: "TIMEOUT" });
    expect(here.frames.streams).toBe(0);
  });

  it("offers: sent, then have; a refusal and a failed commit reach the offerer", async () => {
    const { here, holder } = await setup();
    const payload = new Uint8Array(randomBytes(3_000_000));
    const digest = digestOf(kind, payload);
    const offer = (id: ObjectId): Promise<Offered> =>
      offerObject({ ...here, to: "there", name: { id, digest }, kind, payload });
    expect(await offer(idOf(7))).toEqual({ had: false, digest });
    expect(Buffer.compare(holder.objects.get(idOf(7)) as Uint8Array, payload)).toBe(0);
    expect(await offer(idOf(7))).toEqual({ had: true, digest });
    holder.refuse = new VolleyError("OUT_OF_MEMORY", "full");
    await expect(offer(idOf(8))).rejects.toMatchObject({ code: "OUT_OF_MEMORY", message: "full" });
    holder.refuse = undefined;
    holder.onCommit = () => {
      throw new VolleyError("INVALID_DATA", "not what it says");
    };
    await expect(offer(idOf(9))).rejects.toMatchObject({ code: "INVALID_DATA" });
    expect(holder.objects.has(idOf(9))).toBe(false);
    expect(holder.aborted).toBe(1);
    await expect(
      offerObject({ ...here, to: "nobody", name: { id: idOf(1), digest }, kind, payload }),
    ).rejects.toMatchObject({
      code: "NO_LISTENER",
    });
  });

  it("what is offered without a name, in pieces, is named by what lands", async () => {
    const { here, holder } = await setup();
    const whole = new Uint8Array(randomBytes(3_000_000));
    const payload = payloadOf([whole.subarray(0, 7), whole.subarray(7, 2_000_000), whole.subarray(2_000_000)]);
    const { digest } = await offerObject({ ...here, to: "there", kind, payload });
    expect(Buffer.compare(digest, digestOf(kind, whole))).toBe(0);
    expect(Buffer.compare(holder.objects.get(putObjectId(kind, whole)) as Uint8Array, whole)).toBe(0);
  });

  it("a fetch does not take other bytes than those that were announced", async () => {
    const { here, holder } = await setup();
    const data = new Uint8Array(randomBytes(3_000_000));
    const digest = digestOf(kind, data);
    const suspects: unknown[] = [];
    holder.lookup = (_id, wanted) => {
      suspects.push(wanted.suspect);
      // Somebody has written into the object's memory; asked once more, the holder has it right.
      const held = suspects.length === 1 ? data.map((byte, i) => (i === 1_000_000 ? byte ^ 1 : byte)) : data;
      return { kind, digest, data: held, release: () => undefined };
    };
    const fetched = await fetchObject({ ...here, from: "there", id: idOf(1), allocate, timeoutMs: patienceMs });
    expect([suspects, Buffer.compare(fetched.data, data)]).toEqual([[undefined, true], 0]);
  });

  it("a transfer cut by the network is begun again and ends whole", async () => {
    const { here, holder } = await setup();
    const source = new Uint8Array(randomBytes(12_000_000));
    holder.objects.set(idOf(1), source);
    let allocations = 0;
    let cut: Promise<void> | undefined;
    const fetching = fetchObject({
      ...here,
      from: "there",
      id: idOf(1),
      timeoutMs: patienceMs,
      allocate(meta) {
        allocations++;
        cut = network.bounce();
        return allocate(meta);
      },
    });
    expect(Buffer.compare((await fetching).data, source)).toBe(0);
    await cut;
    expect(allocations).toBe(1);

    const offering = offerObject({
      ...here,
      to: "there",
      name: { id: idOf(2), digest: digestOf(kind, source) },
      kind,
      payload: source,
    });
    await new Promise((resolve) => setImmediate(resolve));
    await network.bounce();
    expect((await offering).digest).toEqual(digestOf(kind, source));
    expect(Buffer.compare(holder.objects.get(idOf(2)) as Uint8Array, source)).toBe(0);
  });

  it("the server's end in the middle of a transfer ends the fetch with an error and the put with an abort", async () => {
    const { here, there, holder } = await setup();
    holder.objects.set(idOf(1), new Uint8Array(12_000_000));
    const fetching = fetchObject({
      ...here,
      from: "there",
      id: idOf(1),
      timeoutMs: patienceMs,
      allocate(meta) {
        void there.frames.close().then(() => there.transport.close());
        return allocate(meta);
      },
    });
    await expect(fetching).rejects.toMatchObject({ code: expect.stringMatching(/CLOSED|NO_LISTENER|CANCELLED/) });
    await expect.poll(() => holder.released).toBe(1);
  });

  it("the offerer's end in the middle of a put is an abort", async () => {
    const { here, holder } = await setup();
    const payload = new Uint8Array(12_000_000);
    const aborted = new Promise<void>((resolve) => {
      const accept = holder.accept.bind(holder);
      holder.accept = (put) => {
        const accepted = accept(put);
        if (accepted === "have") return accepted;
        setImmediate(() => void here.frames.close());
        return { ...accepted, abort: resolve };
      };
    });
    await expect(
      offerObject({
        ...here,
        to: "there",
        name: { id: idOf(3), digest: digestOf(kind, payload) },
        kind,
        payload,
        timeoutMs: patienceMs,
      }),
    ).rejects.toMatchObject({
      code: "CLOSED",
    });
    await aborted;
    expect(holder.objects.has(idOf(3))).toBe(false);
  });

  it("answers what it cannot read with an error", async () => {
    const { here } = await setup();
    const reply = Buffer.from(
      await here.transport.request(subjects.data("there"), Buffer.from("nonsense"), { timeoutMs: patienceMs }),
    );
    expect(reply.toString("latin1")).toContain("INVALID_ARGUMENT");
  });
});
