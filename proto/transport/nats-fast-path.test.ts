/**
 * Fails when an update of the client library closes a shortcut: then it is to be adapted or taken out, not silently
 * lost.
 */
import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type LocalNats, startLocalNats } from "../../cluster/local/nats-server.js";
import { connectNats, type NatsTransport } from "./nats.js";
import { canWriteParts, presizeBuffers, writeParts } from "./nats-fast-path.js";

describe("shortcuts for large messages", () => {
  let server: LocalNats;
  let transport: NatsTransport;
  beforeAll(async () => {
    server = await startLocalNats();
    transport = await connectNats({ url: server.url, name: "t" });
  });
  afterAll(async () => {
    await transport.close();
    await server.stop();
  });

  it("are open with the library that is installed", () => {
    expect(canWriteParts(transport.natsConnection)).toBe(true);
    expect(presizeBuffers(transport.natsConnection, false)).toBe(true);
  });

  it("are closed, not broken, with another library", () => {
    const other = { protocol: {} } as unknown as NatsTransport["natsConnection"];
    expect(canWriteParts(other)).toBe(false);
    expect(presizeBuffers(other, true)).toBe(false);
    expect(writeParts(other, "x", new Uint8Array(1), new Uint8Array(1))).toBe(false);
  });

  it.each([false, true])(
    "parts arrive joined, in order, from shared memory too; memory reused: %s",
    async (reuseMemory) => {
      const receiver = await connectNats({ url: server.url, name: "receiver", reuseMemory });
      const body = new Uint8Array(new SharedArrayBuffer(901_000), 1_000, 900_000);
      body.set(randomBytes(body.byteLength));
      const got: Buffer[] = [];
      const all = new Promise<void>((resolve) => {
        receiver.subscribe(
          "parts",
          (message) => {
            got.push(Buffer.from(message.data));
            if (got.length === 61) resolve();
          },
          { borrow: true },
        );
      });
      await receiver.flush();
      for (let i = 0; i < 20; i++) {
        transport.publish("parts", Buffer.from(`before ${i}`));
        transport.publishParts("parts", Buffer.from(`head ${i} `), body);
        transport.publishParts("parts", Buffer.from(`only head ${i}`), new Uint8Array(0));
      }
      transport.publish("parts", Buffer.from("end"));
      await all;
      for (let i = 0; i < 20; i++) {
        expect(got[3 * i]?.toString()).toBe(`before ${i}`);
        const head = Buffer.from(`head ${i} `);
        expect(Buffer.compare(got[3 * i + 1] as Buffer, Buffer.concat([head, body]))).toBe(0);
        expect(got[3 * i + 2]?.toString()).toBe(`only head ${i}`);
      }
      expect(got[60]?.toString()).toBe("end");
      await receiver.close();
    },
  );

  it("large messages land in the same memory where it is reused, and whoever does not borrow has a copy", async () => {
    const receiver = await connectNats({ url: server.url, name: "receiver", reuseMemory: true });
    const borrowed = new Set<ArrayBufferLike>();
    const kept: Uint8Array[] = [];
    const all = new Promise<void>((resolve) => {
      receiver.subscribe("large", ({ data }) => borrowed.add(data.buffer), { borrow: true });
      receiver.subscribe("large", ({ data }) => {
        kept.push(data);
        if (kept.length === 10) resolve();
      });
    });
    await receiver.flush();
    for (let i = 0; i < 10; i++) transport.publish("large", new Uint8Array(500_000).fill(i));
    await all;
    expect(borrowed.size).toBeLessThan(10);
    expect(kept.map((data) => [data.byteLength, data[0], data.at(-1)])).toEqual(
      Array.from({ length: 10 }, (_, i) => [500_000, i, i]),
    );
    await receiver.close();
  });

  it("refuse what is over the limit", () => {
    expect(() => transport.publishParts("x", new Uint8Array(100), new Uint8Array(transport.payloadBytesMax))).toThrow(
      expect.objectContaining({ code: "TOO_LARGE" }),
    );
  });
});
