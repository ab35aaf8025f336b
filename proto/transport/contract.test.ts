/** T1..T7 of transport.ts, for every form of Transport. */
import { randomBytes } from "node:crypto";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type LocalNats, startLocalNats } from "../../cluster/local/nats-server.js";
import { isVolleyError } from "../errors.js";
import { patienceMs } from "../testing/patience.js";
import { connectNats, redactUrl } from "./nats.js";
import { MemoryNetwork } from "./testing/memory.js";
import type { Transport, TransportStatus } from "./transport.js";

interface Network {
  connect(name: string, onError: (error: unknown, where: string) => void): Promise<Transport>;
  down(): Promise<void>;
  up(): Promise<void>;
  stop(): Promise<void>;
}

async function natsNetwork(): Promise<Network> {
  let server: LocalNats = await startLocalNats();
  const { url, port, user, password, dataDir } = server;
  return {
    connect: (name, onError) => connectNats({ url, name, onError }),
    async down() {
      server.kill();
      await server.ended;
    },
    async up() {
      server = await startLocalNats({ port, user, password, dataDir });
    },
    stop: () => server.stop(),
  };
}

async function memoryNetwork(): Promise<Network> {
  const network = new MemoryNetwork();
  return {
    connect: async (name, onError) => network.connect(name, { onError }),
    down: async () => network.setDown(true),
    up: async () => network.setDown(false),
    stop: async () => undefined,
  };
}

const text = (data: Uint8Array): string => Buffer.from(data).toString();
const bytes = (word: string): Uint8Array => new Uint8Array(Buffer.from(word));
const codeOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => "fulfilled",
    (error) => (isVolleyError(error) ? error.code : error),
  );
const statusReached = (transport: Transport, wanted: TransportStatus): Promise<void> =>
  new Promise((resolve) => {
    if (transport.status === wanted) resolve();
    const stop = transport.onStatus((status) => {
      if (status !== wanted) return;
      stop();
      resolve();
    });
  });

/** Collects what arrives, and resolves when there are `count` of it. */
function collect(transport: Transport, subject: string, count: number): { got: Uint8Array[]; all: Promise<void> } {
  const got: Uint8Array[] = [];
  const all = new Promise<void>((resolve) => {
    transport.subscribe(subject, (message) => {
      got.push(message.data);
      if (got.length === count) resolve();
    });
  });
  return { got, all };
}

describe.each([
  { form: "memory", start: memoryNetwork },
  { form: "nats", start: natsNetwork },
])("transport: $form", ({ start }) => {
  let network: Network;
  let opened: Transport[] = [];
  let received: { error: unknown; where: string }[] = [];
  const open = async (name: string): Promise<Transport> => {
    const transport = await network.connect(name, (error, where) => received.push({ error, where }));
    opened.push(transport);
    return transport;
  };

  beforeAll(async () => {
    network = await start();
  });
  afterAll(() => network.stop());
  afterEach(async () => {
    await Promise.all(opened.map((transport) => transport.close()));
    opened = [];
    received = [];
  });

  it("T1 delivers to every subscriber in the publisher's order", async () => {
    const [a, b, c] = [await open("a"), await open("b"), await open("c")];
    const atB = collect(b, "command", 5_000);
    const atC = collect(c, "command", 5_000);
    await Promise.all([b.flush(), c.flush()]);
    for (let i = 0; i < 5_000; i++) a.publish("command", bytes(String(i)));
    await Promise.all([atB.all, atC.all]);
    expect(atB.got.map(text)).toEqual(Array.from({ length: 5_000 }, (_, i) => String(i)));
    expect(atC.got.map(text)).toEqual(atB.got.map(text));
  });

  it("delivers nothing more after unsubscribe", async () => {
    const [a, b] = [await open("a"), await open("b")];
    let count = 0;
    const subscription = b.subscribe("once", () => {
      count++;
      subscription.unsubscribe();
    });
    const end = collect(b, "end", 1);
    await b.flush();
    for (let i = 0; i < 10; i++) a.publish("once", bytes("x"));
    a.publish("end", bytes("x"));
    await end.all;
    expect(count).toBe(1);
  });

  it("answers requests, in and out of order, many at once", async () => {
    const [a, b] = [await open("a"), await open("b")];
    const held: (() => void)[] = [];
    b.subscribe("double", (message) => {
      expect(message.wantsReply).toBe(true);
      held.push(() => message.respond(bytes(text(message.data).repeat(2))));
      if (held.length === 500) for (const answer of held.reverse()) answer();
    });
    await b.flush();
    const answers = await Promise.all(
      Array.from({ length: 500 }, (_, i) => a.request("double", bytes(`${i},`), { timeoutMs: patienceMs })),
    );
    expect(answers.map(text)).toEqual(Array.from({ length: 500 }, (_, i) => `${i},${i},`));
  });

  it("ignores an answer to a message that asked for none", async () => {
    const [a, b] = [await open("a"), await open("b")];
    const asked = new Promise<boolean>((resolve) => {
      b.subscribe("tell", (message) => {
        message.respond(bytes("unheard"));
        resolve(message.wantsReply);
      });
    });
    await b.flush();
    a.publish("tell", bytes("x"));
    expect(await asked).toBe(false);
  });

  it("T2 says at once that nobody listens", async () => {
    const a = await open("a");
    const before = performance.now();
    expect(await codeOf(a.request("nobody.there", bytes("x"), { timeoutMs: patienceMs }))).toBe("NO_LISTENER");
    expect(performance.now() - before).toBeLessThan(patienceMs / 2);
  });

  it("takes an empty answer for an answer", async () => {
    const [a, b] = [await open("a"), await open("b")];
    b.subscribe("empty", (message) => message.respond(new Uint8Array(0)));
    await b.flush();
    expect((await a.request("empty", new Uint8Array(0), { timeoutMs: patienceMs })).byteLength).toBe(0);
  });

  it("times out a request that is not answered", async () => {
    const [a, b] = [await open("a"), await open("b")];
    b.subscribe("mute", () => undefined);
    await b.flush();
    expect(await codeOf(a.request("mute", bytes("x"), { timeoutMs: 50 }))).toBe("TIMEOUT");
  });

  it("T3 refuses an oversized payload synchronously, and carries one of just the limit", async () => {
    const [a, b] = [await open("a"), await open("b")];
    const big = collect(b, "big", 1);
    b.subscribe("ask", (message) => {
      expect(() => message.respond(new Uint8Array(b.payloadBytesMax + 1))).toThrow(/over the server's limit/);
      message.respond(bytes("refused"));
    });
    await b.flush();
    expect(() => a.publish("big", new Uint8Array(a.payloadBytesMax + 1))).toThrow(
      expect.objectContaining({ code: "TOO_LARGE" }),
    );
    expect(await codeOf(a.request("big", new Uint8Array(a.payloadBytesMax + 1), { timeoutMs: patienceMs }))).toBe(
      "TOO_LARGE",
    );
    const payload = new Uint8Array(randomBytes(a.payloadBytesMax));
    a.publish("big", payload);
    await big.all;
    expect(Buffer.compare(big.got[0] as Uint8Array, payload)).toBe(0);
    expect(text(await a.request("ask", bytes("x"), { timeoutMs: patienceMs }))).toBe("refused");
  });

  it("T4 reports what a handler throws and goes on", async () => {
    const [a, b] = [await open("a"), await open("b")];
    const got: string[] = [];
    const done = new Promise<void>((resolve) => {
      b.subscribe("throwing", (message) => {
        got.push(text(message.data));
        if (got.length === 3) resolve();
        throw new Error(`on ${text(message.data)}`);
      });
    });
    await b.flush();
    for (const word of ["1", "2", "3"]) a.publish("throwing", bytes(word));
    await done;
    await b.flush();
    expect(got).toEqual(["1", "2", "3"]);
    expect(received.map(({ error, where }) => `${where}: ${(error as Error).message}`)).toEqual([
      "throwing: on 1",
      "throwing: on 2",
      "throwing: on 3",
    ]);
  });

  it("T5 T6 gives bytes that stay as they were sent", async () => {
    const [a, b] = [await open("a"), await open("b")];
    const { got, all } = collect(b, "own", 2_000);
    await b.flush();
    const scratch = new Uint8Array(300);
    for (let i = 0; i < 2_000; i++) {
      scratch.fill(i % 251);
      a.publish("own", scratch);
      // T6: what was published is the transport's own once microtasks have run.
      await Promise.resolve();
      await Promise.resolve();
    }
    await all;
    expect(got.every((data, i) => data.byteLength === 300 && data.every((byte) => byte === i % 251))).toBe(true);
    const owners = new Set(got.map((data) => data.buffer));
    expect(owners.size).toBe(got.length);
  });

  it("keeps a slow receiver's bytes intact and in order", async () => {
    const [a, b] = [await open("a"), await open("b")];
    const payloads = Array.from({ length: 200 }, (_, i) => new Uint8Array(randomBytes(i % 3 === 0 ? 100_000 : 1_000)));
    const got: Uint8Array[] = [];
    const done = new Promise<void>((resolve) => {
      b.subscribe("slow", (message) => {
        const until = performance.now() + 2;
        while (performance.now() < until);
        got.push(message.data);
        if (got.length === payloads.length) resolve();
      });
    });
    await b.flush();
    for (const payload of payloads) a.publish("slow", payload);
    await done;
    expect(got.every((data, i) => Buffer.compare(data, payloads[i] as Uint8Array) === 0)).toBe(true);
  });

  it("loses what is published while disconnected, tells of it, and works again after", async () => {
    const [a, b] = [await open("a"), await open("b")];
    const seen: TransportStatus[] = [];
    a.onStatus((status) => seen.push(status));
    const { got } = collect(b, "news", 3);
    b.subscribe("mute", () => undefined);
    await b.flush();
    a.publish("news", bytes("before"));
    await a.flush();
    await b.flush();
    const inFlight = codeOf(a.request("mute", bytes("x"), { timeoutMs: patienceMs }));
    await a.flush();
    await network.down();
    await Promise.all([statusReached(a, "disconnected"), statusReached(b, "disconnected")]);
    expect(await inFlight).toBe("DISCONNECTED");
    a.publish("news", bytes("lost"));
    expect(await codeOf(a.request("news", bytes("x"), { timeoutMs: patienceMs }))).toBe("DISCONNECTED");
    expect(await codeOf(a.flush())).toBe("DISCONNECTED");
    await network.up();
    await Promise.all([statusReached(a, "connected"), statusReached(b, "connected")]);
    await Promise.all([a.flush(), b.flush()]);
    a.publish("news", bytes("after"));
    await a.flush();
    await b.flush();
    expect(got.map(text)).toEqual(["before", "after"]);
    expect(seen).toEqual(["disconnected", "connected"]);
  });

  it("closes while the server is away", async () => {
    const a = await open("a");
    await network.down();
    await statusReached(a, "disconnected");
    await a.close();
    expect(a.status).toBe("closed");
    await network.up();
  });

  it("delivers what was published before close, closes twice, and refuses after", async () => {
    const [a, b] = [await open("a"), await open("b")];
    const { all } = collect(b, "last", 100);
    b.subscribe("mute", () => undefined);
    await b.flush();
    const inFlight = codeOf(a.request("mute", bytes("x"), { timeoutMs: patienceMs }));
    const seen: TransportStatus[] = [];
    a.onStatus((status) => seen.push(status));
    for (let i = 0; i < 100; i++) a.publish("last", bytes("x"));
    await Promise.all([a.close(), a.close()]);
    await a.close();
    await all;
    expect(await inFlight).toBe("CLOSED");
    expect(seen).toEqual(["closed"]);
    a.publish("last", bytes("nowhere"));
    expect(await codeOf(a.request("last", bytes("x"), { timeoutMs: patienceMs }))).toBe("CLOSED");
    expect(await codeOf(a.flush())).toBe("CLOSED");
    expect(() => a.subscribe("last", () => undefined)).toThrow(expect.objectContaining({ code: "CLOSED" }));
  });
});

describe("connectNats", () => {
  it("names the url without its password when nobody is there", async () => {
    const failure = connectNats({ url: "nats://quant:secret@127.0.0.1:1", name: "t", connectTimeoutMs: 300 });
    await expect(failure).rejects.toMatchObject({
      code: "NATS_UNAVAILABLE",
      message: expect.stringContaining("nats://quant:***@127.0.0.1:1"),
    });
    await expect(failure).rejects.not.toMatchObject({ message: expect.stringContaining("secret") });
  });

  it("tells refused credentials from a server that is away", async () => {
    const server = await startLocalNats();
    try {
      const wrong = server.url.replace(server.password, "wrong-one");
      await expect(connectNats({ url: wrong, name: "t" })).rejects.toMatchObject({
        code: "UNAUTHENTICATED",
        message: expect.not.stringContaining("wrong-one"),
      });
    } finally {
      await server.stop();
    }
  });

  it.each(["http://127.0.0.1:4222", "nats://", "nats://host:99999999"])("refuses %s as a url", async (url) => {
    await expect(connectNats({ url, name: "t" })).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  });

  it("redacts passwords and tokens", () => {
    expect(redactUrl("nats://a:b@x:1,tls://tok@y:2,nats://z:3")).toBe("nats://a:***@x:1,tls://***@y:2,nats://z:3");
  });
});
