import { once } from "node:events";
import { connect as connectSocket, type Socket } from "node:net";
import { tableFromArrays } from "apache-arrow";
import { afterEach, describe, expect, it } from "vitest";
import { fc } from "../../proto/testing/drawn.js";
import { patienceMs } from "../../proto/testing/patience.js";
import { encodeValue, valueKind } from "../../proto/values/value.js";
import type { App } from "./context.js";
import { buildGateway, type GatewayOptions } from "./gateway.js";
import { ByteBudget, bytesOf, decodedBytes, Hold } from "./held-bytes.js";
import { render } from "./result-rendering.js";
import { FakeCluster } from "./testing/fake-cluster.js";

const token = "a-token-of-some-length";
const mib = 1024 * 1024;
/** Long enough for anything here that is not refused. */

describe("the budget", () => {
  it("is never passed except by one who is alone, and whoever waits is served in turn", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 150 }), { minLength: 1, maxLength: 30 }),
        fc.infiniteStream(fc.nat()),
        async (sizes, dice) => {
          const budget = new ByteBudget(100);
          const held: number[] = [];
          const served: number[] = [];
          const all = sizes.map((bytes, i) =>
            budget.take(bytes, patienceMs).then(() => {
              held.push(bytes);
              served.push(i);
            }),
          );
          while (served.length < sizes.length || held.length > 0) {
            await Promise.resolve();
            const sum = held.reduce((a, b) => a + b, 0);
            if (sum > 100) expect(held.length).toBe(1);
            expect(budget.held).toBeGreaterThanOrEqual(sum);
            if (held.length > 0) budget.give(held.splice((dice.next().value as number) % held.length, 1)[0] as number);
          }
          await Promise.all(all);
          expect([budget.held, served]).toEqual([0, sizes.map((_, i) => i)]);
        },
      ),
      { numRuns: 100 },
    );
  });

  it("gives up with RATE_LIMITED, and one who gave up is in nobody's way", async () => {
    const budget = new ByteBudget(100);
    await budget.take(90, patienceMs);
    const large = budget.take(50, 1);
    const small = budget.take(10, patienceMs);
    await expect(large).rejects.toMatchObject({ code: "RATE_LIMITED" });
    await small;
    expect(budget.held).toBe(100);
  });
});

describe("a hold", () => {
  it("takes ahead only what fits beside others, then one at a time, and gives everything back", async () => {
    const budget = new ByteBudget(10 * mib);
    const hold = new Hold(budget, patienceMs);
    await hold.admit(4 * mib, valueKind.arrow);
    await hold.admit(4 * mib, valueKind.arrow);
    let third = false;
    const waiting = hold.admit(4 * mib, valueKind.arrow).then(() => {
      third = true;
    });
    await hold.full;
    hold.lookedAhead();
    hold.release();
    await Promise.resolve();
    expect([third, budget.held]).toEqual([false, 4 * mib]);
    hold.release();
    await waiting;
    expect(budget.held).toBe(4 * mib);
    const late = hold.admit(9 * mib, valueKind.arrow);
    hold.close();
    await expect(late).rejects.toMatchObject({ code: "CLOSED" });
    await expect(hold.admit(9 * mib, valueKind.arrow)).rejects.toMatchObject({ code: "CLOSED" });
    expect(budget.held).toBe(0);
  });
});

describe("sizes", () => {
  it("of values are at least what they hold", () => {
    expect(bytesOf(new Array(1_000_000).fill(0.5), Number.POSITIVE_INFINITY)).toBeGreaterThanOrEqual(8_000_000);
    expect(bytesOf(tableFromArrays({ x: new Float64Array(1_000) }), Number.POSITIVE_INFINITY)).toBeGreaterThanOrEqual(
      8_000,
    );
    expect(
      bytesOf({ a: ["x".repeat(1_000)], m: new Map([["k", new Float64Array(100)]]) }, Number.POSITIVE_INFINITY),
    ).toBeGreaterThanOrEqual(2_800);
    const short = new Array(10_000).fill(true);
    const { kind, data } = encodeValue(short);
    expect(decodedBytes(data.byteLength, kind)).toBeGreaterThanOrEqual(8 * short.length);
  });

  it("bound what is pulled before an answer begins, whatever the results are", async () => {
    let pulled = 0;
    const values = async function* (): AsyncGenerator<unknown> {
      for (; pulled < 150; pulled++) yield new Array(1_000_000).fill(pulled + 0.5);
    };
    const { body } = await render("json", values(), {});
    // 64 MiB of 8 MB each, and the one that passes it.
    expect(pulled).toBeLessThanOrEqual(9);
    body.destroy();
  });
});

describe("answers of a gateway", () => {
  let app: App | undefined;
  let cluster: FakeCluster;
  let port: number;
  const sockets: Socket[] = [];
  const open = async (options: Partial<GatewayOptions>): Promise<void> => {
    cluster = new FakeCluster();
    app = await buildGateway({ cluster, token, ...options });
    port = Number(new URL(await app.listen({ host: "127.0.0.1", port: 0 })).port);
  };
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    await app?.close();
    app = undefined;
  });
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const finished = async (results: unknown[]): Promise<string> => {
    const graph = { name: "g", stages: [{ name: "one", fn: { kernel: "noop" } }] };
    const answer = await fetch(`http://127.0.0.1:${port}/v1/jobs`, {
      method: "POST",
      headers,
      body: JSON.stringify(graph),
    });
    const { job } = (await answer.json()) as { job: string };
    cluster.fake(job).succeed(results);
    return `/v1/jobs/${job}/result`;
  };
  /** Asks, reads the head, and then nothing. */
  const askWithoutReading = async (path: string): Promise<Socket> => {
    const socket = connectSocket(port, "127.0.0.1");
    sockets.push(socket);
    socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: ${headers.authorization}\r\n\r\n`);
    await once(socket, "data");
    socket.pause();
    return socket;
  };
  const held = async (): Promise<number> => {
    const text = await (await fetch(`http://127.0.0.1:${port}/metrics`, { headers })).text();
    return Number(/volley_gateway_held_bytes (\d+)/.exec(text)?.[1]);
  };

  it("are not fetched faster than they are read, and those of others wait or are told to come again", async () => {
    await open({ answerBytesMax: 64 * mib, requestTimeoutMs: 400 });
    // 4 MiB that are 32 MiB when they are decoded, by the gateway's reckoning.
    const path = await finished(Array.from({ length: 50 }, (_, i) => () => new Array(4 * mib).fill(i % 100)));
    const first = await askWithoutReading(path);
    expect(cluster.fetched).toBeLessThanOrEqual(4);
    expect(await held()).toBeLessThanOrEqual(64 * mib);
    await askWithoutReading(path);
    const third = await fetch(`http://127.0.0.1:${port}${path}`, { headers });
    expect(third.status).toBe(429);
    expect(await held()).toBeLessThanOrEqual(64 * mib);
    first.destroy();
    for (const socket of sockets.splice(0)) socket.destroy();
    await expect.poll(held).toBe(0);
    const fourth = await fetch(`http://127.0.0.1:${port}${path}`, { headers });
    expect(fourth.status).toBe(200);
    await fourth.body?.cancel();
  });

  it("are whole when they are read, larger than the budget or not, several at once", async () => {
    await open({ answerBytesMax: 1 * mib });
    const make = (i: number) => () => new Array(100_000).fill(i);
    const path = await finished(Array.from({ length: 6 }, (_, i) => make(i)));
    const bodies = await Promise.all(
      Array.from(
        { length: 4 },
        async () =>
          (await (await fetch(`http://127.0.0.1:${port}${path}`, { headers })).json()) as { values: number[][] },
      ),
    );
    for (const { values } of bodies)
      expect(values.map((list) => [list.length, list[0]])).toEqual([0, 1, 2, 3, 4, 5].map((i) => [100_000, i]));
    expect(await held()).toBe(0);
  });

  it("are so many at once", async () => {
    await open({ answersMax: 1 });
    const path = await finished([new Float64Array(4 * mib)]);
    await askWithoutReading(path);
    expect((await fetch(`http://127.0.0.1:${port}${path}`, { headers })).status).toBe(429);
  });
});
