/** The contract of durable.ts, for JetStream and for the model; then what only a real server can go through. */
import { randomBytes } from "node:crypto";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type LocalNats, startLocalNats } from "../../cluster/local/nats-server.js";
import { sha256Hex } from "../digest.js";
import { limits } from "../limits.js";
import { streams } from "../subjects.js";
import { connectNats, type NatsTransport } from "../transport/nats.js";
import type { Durable, Journal } from "./durable.js";
import { openDurable } from "./nats.js";
import { modelDurable } from "./testing/model.js";

const bytes = (word: string): Uint8Array => new Uint8Array(Buffer.from(word));
const text = (data: Uint8Array): string => Buffer.from(data).toString();

async function entries(journal: Journal, afterSeq: number): Promise<[number, string][]> {
  const all: [number, string][] = [];
  for await (const { seq, data } of journal.read(afterSeq)) all.push([seq, text(data)]);
  return all;
}

interface Store {
  durable: Durable;
  /** A second writer on the same store. */
  other: Durable;
  stop(): Promise<void>;
}

async function natsStore(): Promise<Store> {
  const server = await startLocalNats();
  const transports = await Promise.all([
    connectNats({ url: server.url, name: "one" }),
    connectNats({ url: server.url, name: "two" }),
  ]);
  const [durable, other] = await Promise.all(transports.map((transport) => openDurable(transport)));
  return {
    durable: durable as Durable,
    other: other as Durable,
    async stop() {
      await Promise.all(transports.map((transport) => transport.close()));
      await server.stop();
    },
  };
}

async function modelStore(): Promise<Store> {
  const durable = modelDurable();
  return { durable, other: durable, stop: async () => undefined };
}

describe.each([
  { form: "model", start: modelStore },
  { form: "JetStream", start: natsStore },
])("durable store: $form", ({ start }) => {
  let store: Store;
  beforeAll(async () => {
    store = await start();
  });
  afterAll(() => store.stop());

  it("journal: appends in order, fences the second writer, reads, truncates, goes on", async () => {
    const { journal } = store.durable;
    expect(await journal.lastSeq()).toBe(0);
    expect(await entries(journal, 0)).toEqual([]);
    let seq = 0;
    for (const word of ["a", "b", "c", "d"]) seq = await journal.append(bytes(word), seq);
    expect(seq).toBe(4);
    await expect(store.other.journal.append(bytes("stale"), 2)).rejects.toMatchObject({ code: "FENCED" });
    await expect(store.other.journal.append(bytes("stale"), 0)).rejects.toMatchObject({ code: "FENCED" });
    expect(await entries(store.other.journal, 0)).toEqual([
      [1, "a"],
      [2, "b"],
      [3, "c"],
      [4, "d"],
    ]);
    expect(await entries(journal, 2)).toEqual([
      [3, "c"],
      [4, "d"],
    ]);
    expect(await entries(journal, 4)).toEqual([]);

    const taken = await store.other.journal.append(bytes("e"), 4);
    expect(taken).toBe(5);
    await expect(journal.append(bytes("deposed"), 4)).rejects.toMatchObject({ code: "FENCED" });

    await journal.truncate(4);
    expect(await entries(journal, 0)).toEqual([[5, "e"]]);
    await journal.truncate(5);
    expect(await entries(journal, 0)).toEqual([]);
    expect(await journal.lastSeq()).toBe(5);
    await expect(journal.append(bytes("reset"), 0)).rejects.toMatchObject({ code: "FENCED" });
    expect(await journal.append(bytes("f"), 5)).toBe(6);
    expect(await entries(journal, 5)).toEqual([[6, "f"]]);
  });

  it("journal: reads up to the end as it was at the call", async () => {
    const { journal } = store.durable;
    let seq = await journal.lastSeq();
    const before = seq;
    for (let i = 0; i < 100; i++) seq = await journal.append(bytes(`entry ${i}`), seq);
    const got: string[] = [];
    for await (const { data } of journal.read(before)) {
      if (got.length === 0) seq = await journal.append(bytes("late"), seq);
      got.push(text(data));
    }
    expect(got).toEqual(Array.from({ length: 100 }, (_, i) => `entry ${i}`));
  });

  it.each(["bundles", "objects", "snapshots"] as const)("%s: what is put is got, once and for all", async (bucket) => {
    const blobs = store.durable[bucket];
    expect(await blobs.get("none")).toBeUndefined();
    expect(await blobs.has("none")).toBe(false);
    await blobs.delete("none");
    const large = new Uint8Array(randomBytes(3 * 1024 * 1024 + 17));
    await blobs.put("empty", new Uint8Array(0));
    await blobs.put("small", bytes("one"));
    await Promise.all([
      blobs.put("large", large),
      store.other[bucket].put("large", large),
      blobs.put("name.with..dots", bytes("dots")),
    ]);
    expect(text((await store.other[bucket].get("name.with..dots")) as Uint8Array)).toBe("dots");
    expect(await store.other[bucket].names()).toEqual(
      expect.arrayContaining(["empty", "large", "name.with..dots", "small"]),
    );
    const other = store.other[bucket];
    // Put again it is the same; other bytes under the name are refused, not taken for kept.
    await other.put("small", bytes("one"), sha256Hex("one"));
    await expect(blobs.put("small", bytes("two"))).rejects.toMatchObject({ code: "CONFLICT" });
    await expect(
      other.put(
        "large",
        large.map((byte) => 255 - byte),
      ),
    ).rejects.toMatchObject({ code: "CONFLICT" });
    const race = await Promise.allSettled([blobs.put("race", large), other.put("race", large.slice(1))]);
    expect(race.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
    expect((await blobs.get("race"))?.byteLength).toBe(
      race[0]?.status === "fulfilled" ? large.byteLength : large.byteLength - 1,
    );
    expect(text((await other.get("small")) as Uint8Array)).toBe("one");
    expect((await other.get("empty"))?.byteLength).toBe(0);
    expect(Buffer.compare((await other.get("large")) as Uint8Array, large)).toBe(0);
    expect(await other.has("large")).toBe(true);
    expect(await other.read("none")).toBeUndefined();
    const inPieces = Buffer.alloc(large.byteLength);
    const content = await other.read("large");
    expect(content?.bytes).toBe(large.byteLength);
    let at = 0;
    for await (const piece of content?.pieces() ?? []) {
      inPieces.set(piece, at);
      at += piece.byteLength;
    }
    expect([at, Buffer.compare(inPieces, large)]).toEqual([large.byteLength, 0]);
    await blobs.delete("small");
    expect(await other.has("small")).toBe(false);
    expect(await other.names()).not.toContain("small");
    expect(await other.get("small")).toBeUndefined();
    await other.put("small", bytes("again"));
    expect(text((await blobs.get("small")) as Uint8Array)).toBe("again");
  });

  it("blobs: refuses names and sizes that cannot be", async () => {
    const { objects } = store.durable;
    await expect(objects.put("a b", bytes("x"))).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    const tooLarge = { byteLength: limits.durableObjectBytesMax + 1 } as Uint8Array;
    await expect(objects.put("big", tooLarge)).rejects.toMatchObject({ code: "TOO_LARGE" });
  });
});

describe("model", () => {
  it("fences and delays on demand", async () => {
    const { journal } = modelDurable();
    let open = (): void => undefined;
    journal.delayAppends(
      new Promise<void>((resolve) => {
        open = resolve;
      }),
    );
    let appended = false;
    const waiting = journal.append(bytes("a"), 0).then(() => {
      appended = true;
    });
    await Promise.resolve();
    expect(appended).toBe(false);
    open();
    await waiting;
    journal.fenceNext();
    await expect(journal.append(bytes("b"), 1)).rejects.toMatchObject({ code: "FENCED" });
    await expect(journal.append(bytes("b"), 1)).rejects.toMatchObject({ code: "FENCED" });
    expect(journal.entries.map(({ data }) => text(data))).toEqual(["a"]);
  });
});

describe("JetStream through crashes of nats-server", () => {
  let server: LocalNats;
  let transport: NatsTransport;
  let durable: Durable;
  const crash = async (): Promise<void> => {
    server.kill();
    await server.ended;
    const { port, user, password, dataDir } = server;
    server = await startLocalNats({ port, user, password, dataDir });
  };
  beforeAll(async () => {
    server = await startLocalNats();
    transport = await connectNats({ url: server.url, name: "one", onError: () => undefined });
    durable = await openDurable(transport);
  });
  afterAll(async () => {
    await transport.close();
    await server.stop();
  });

  it("every append is there exactly once, in order, whatever the moment of the crash", async () => {
    const { journal } = durable;
    const words = Array.from({ length: 300 }, (_, i) => `entry ${i}`);
    let seq = await journal.lastSeq();
    const crashes = new Map([
      [37, 0],
      [120, 1],
      [200, 2],
    ]);
    let crashing: Promise<void> | undefined;
    for (const [i, word] of words.entries()) {
      const delayMs = crashes.get(i);
      // Not awaited: the server dies while the following appends are on their way.
      if (delayMs !== undefined) {
        await crashing;
        crashing = new Promise((resolve) => setTimeout(resolve, delayMs)).then(crash);
      }
      seq = await journal.append(bytes(word), seq);
    }
    await crashing;
    expect((await entries(journal, 0)).map(([, word]) => word)).toEqual(words);
  });

  it("reads entries of all sizes, more than fit into one batch", async () => {
    const { journal } = durable;
    const before = await journal.lastSeq();
    let seq = before;
    const sizes = [0, 1, 5_000_000, 100, 1_000_000, 1_000_000, 1_000_000, 1_000_000, 6_000_000];
    for (const [i, size] of sizes.entries()) seq = await journal.append(new Uint8Array(size).fill(i), seq);
    const got: number[] = [];
    for await (const { data } of journal.read(before)) {
      expect(data.every((byte) => byte === got.length)).toBe(true);
      got.push(data.byteLength);
    }
    expect(got).toEqual(sizes);
    await journal.truncate(before);
    await journal.truncate(seq);
  });

  it("reads from servers that have no batches", async () => {
    const old = await connectNats({ url: server.url, name: "old" });
    const { info } = old.natsConnection;
    Object.defineProperty(old.natsConnection, "info", { value: { ...info, api_lvl: 0 } });
    const { journal } = await openDurable(old);
    let seq = await journal.lastSeq();
    const before = seq;
    for (let i = 0; i < 100; i++) seq = await journal.append(bytes(`entry ${i}`), seq);
    expect((await entries(journal, before)).map(([, word]) => word)).toEqual(
      Array.from({ length: 100 }, (_, i) => `entry ${i}`),
    );
    await old.close();
  });

  it("an append whose answer was lost is recognised", async () => {
    const { journal } = durable;
    const last = await journal.lastSeq();
    // The answer to the first attempt is lost with the connection: the library is made to forget it.
    const request = transport.natsConnection.request.bind(transport.natsConnection);
    let lost = 0;
    transport.natsConnection.request = async (subject, data, options) => {
      const answer = await request(subject, data, options);
      if (subject !== streams.journalSubject || lost > 0) return answer;
      lost++;
      throw new Error("the answer was lost");
    };
    try {
      expect(await journal.append(bytes("once"), last)).toBe(last + 1);
    } finally {
      transport.natsConnection.request = request;
    }
    expect(lost).toBe(1);
    expect(await entries(journal, last)).toEqual([[last + 1, "once"]]);
    expect(await journal.append(bytes("next"), last + 1)).toBe(last + 2);
  });

  it("reading goes on after a crash in the middle", async () => {
    const { journal } = durable;
    let seq = await journal.lastSeq();
    for (let i = 0; i < 1_500; i++) seq = await journal.append(bytes(`entry ${i}`), seq);
    const all = await entries(journal, 0);
    const got: string[] = [];
    let crashed: Promise<void> | undefined;
    for await (const { data } of journal.read(0)) {
      got.push(text(data));
      if (got.length === 50) crashed = crash();
    }
    await crashed;
    expect(got).toEqual(all.map(([, word]) => word));
  });

  it("put and get finish after a crash in the middle, and a half put is not seen", async () => {
    const { objects } = durable;
    const data = new Uint8Array(randomBytes(24 * 1024 * 1024));
    const put = objects.put("through", data);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(await objects.has("through")).toBe(false);
    await crash();
    await put;
    const get = objects.get("through");
    await new Promise((resolve) => setTimeout(resolve, 10));
    await crash();
    expect(Buffer.compare((await get) as Uint8Array, data)).toBe(0);
  });

  it("what a dead writer left of a blob is not seen, and goes with the next put", async () => {
    const { objects } = durable;
    const client = jetstream(transport.natsConnection);
    const token = Buffer.from("left").toString("base64url");
    const dead = `volley.blob.${streams.objects}.part.${token}.dead`;
    for (const n of [0, 1]) await client.publish(`${dead}.${n}`, new Uint8Array(randomBytes(1_000)));
    expect(await objects.has("left")).toBe(false);
    expect(await objects.get("left")).toBeUndefined();
    const data = new Uint8Array(randomBytes(2_500_000));
    await objects.put("left", data);
    expect(Buffer.compare((await objects.get("left")) as Uint8Array, data)).toBe(0);
    const manager = await jetstreamManager(transport.natsConnection);
    const subjectsOf = async (filter: string): Promise<number> =>
      Object.keys((await manager.streams.info(streams.objects, { subjects_filter: filter })).state.subjects ?? {})
        .length;
    expect(await subjectsOf(`${dead}.*`)).toBe(0);
    expect(await subjectsOf(`volley.blob.${streams.objects}.part.${token}.>`)).toBe(3);
    await objects.delete("left");
    expect(await subjectsOf(`volley.blob.${streams.objects}.*.${token}.>`)).toBe(0);
  });

  it("a blob that was changed or has lost a part is CORRUPT, not wrong", async () => {
    const { objects } = durable;
    const manager = await jetstreamManager(transport.natsConnection);
    const client = jetstream(transport.natsConnection);
    const partOf = async (name: string): Promise<string> => {
      const filter = `volley.blob.${streams.objects}.part.${Buffer.from(name).toString("base64url")}.>`;
      return Object.keys(
        (await manager.streams.info(streams.objects, { subjects_filter: filter })).state.subjects ?? {},
      )[0] as string;
    };
    const data = new Uint8Array(randomBytes(2_500_000));
    await objects.put("changed", data);
    await client.publish(await partOf("changed"), new Uint8Array(randomBytes(1_000)));
    await expect(objects.get("changed")).rejects.toMatchObject({ code: "CORRUPT" });
    // Whoever passes pieces on has not given the whole before it is known to be spoilt.
    let given = 0;
    await expect(
      (async () => {
        for await (const piece of (await objects.read("changed"))?.pieces() ?? []) given += piece.byteLength;
      })(),
    ).rejects.toMatchObject({ code: "CORRUPT" });
    expect(given).toBeLessThan(data.byteLength);
    await objects.put("cut", data);
    await manager.streams.purge(streams.objects, { filter: await partOf("cut") });
    await expect(objects.get("cut")).rejects.toMatchObject({ code: "CORRUPT" });
    await objects.put("deleted", data);
    const gone = await objects.read("deleted");
    await objects.delete("deleted");
    await expect(gone?.pieces()[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: "OBJECT_NOT_FOUND" });
  });

  it("of a large blob a few parts are fetched ahead of whoever reads it, and no more", async () => {
    const { objects } = durable;
    await objects.put("slow", new Uint8Array(20 * 1024 * 1024));
    const { natsConnection } = transport;
    const request = natsConnection.request.bind(natsConnection);
    let reads = 0;
    natsConnection.request = (subject, ...rest) => {
      if (subject.includes(".part.")) reads++;
      return request(subject, ...rest);
    };
    try {
      const pieces = (await objects.read("slow"))?.pieces()[Symbol.asyncIterator]();
      expect((await pieces?.next())?.done).toBe(false);
      await new Promise((resolve) => setTimeout(resolve, 50));
      expect(reads).toBeGreaterThan(1);
      expect(reads).toBeLessThan(6);
    } finally {
      natsConnection.request = request;
    }
  });

  it("an oversized append is refused, and nothing is written", async () => {
    const last = await durable.journal.lastSeq();
    await expect(durable.journal.append(new Uint8Array(transport.payloadBytesMax), last)).rejects.toMatchObject({
      code: "TOO_LARGE",
    });
    expect(await durable.journal.lastSeq()).toBe(last);
  });
});
