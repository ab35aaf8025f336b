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
    expect(presizeBuffers(transport.natsConnection)).toBe(true);
  });

  it("are closed, not broken, with another library", () => {
    const other = { protocol: {} } as unknown as NatsTransport["natsConnection"];
    expect(canWriteParts(other)).toBe(false);
    expect(presizeBuffers(other)).toBe(false);
    expect(writeParts(other, "x", new Uint8Array(1), new Uint8Array(1))).toBe(false);
  });

  it("parts arrive joined, in order with everything else, from shared memory too", async () => {
    const body = new Uint8Array(new SharedArrayBuffer(901_000), 1_000, 900_000);
    body.set(randomBytes(body.byteLength));
    const got: Buffer[] = [];
    const all = new Promise<void>((resolve) => {
      transport.subscribe(
        "parts",
        (message) => {
          got.push(Buffer.from(message.data));
          if (got.length === 61) resolve();
        },
        { borrow: true },
      );
    });
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
  });

  it("refuse what is over the limit", () => {
    expect(() => transport.publishParts("x", new Uint8Array(100), new Uint8Array(transport.payloadBytesMax))).toThrow(
      expect.objectContaining({ code: "TOO_LARGE" }),
    );
  });
});
