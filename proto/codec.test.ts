import { describe, expect, it } from "vitest";
import { z } from "zod";
import { decodeMessage, encodeMessage } from "./codec.js";
import { clientRequest } from "./messages/client.js";
import { dataRequest } from "./messages/data.js";
import { schedulerCommands } from "./messages/worker.js";
import { fc } from "./testing/drawn.js";

const schema = z.object({
  t: z.literal("x"),
  n: z.number().int(),
  list: z.array(z.object({ name: z.string() })),
  bytes: z.custom<Uint8Array>((v) => v instanceof Uint8Array),
});

describe("messages", () => {
  it("come back as they went", () => {
    fc.assert(
      fc.property(
        fc.record({
          n: fc.maxSafeInteger(),
          list: fc.array(fc.record({ name: fc.string({ unit: "grapheme" }) })),
          bytes: fc.uint8Array(),
        }),
        (fields) => {
          const message = { t: "x" as const, ...fields };
          const back = decodeMessage(schema, encodeMessage(message));
          expect({ ...back, bytes: [...back.bytes] }).toEqual({ ...message, bytes: [...message.bytes] });
        },
      ),
    );
  });

  it("keep integers of every size that a count may have", () => {
    for (const n of [0, 127, 128, 65_535, 2 ** 31, 2 ** 32 - 1, 2 ** 32, Number.MAX_SAFE_INTEGER, -1]) {
      expect(decodeMessage(z.number(), encodeMessage(n))).toBe(n);
    }
  });

  it("name the path of the first fault", () => {
    const bad = encodeMessage({ t: "x", n: 1, list: [{ name: "a" }, { name: 2 }], bytes: new Uint8Array(1) });
    expect(() => decodeMessage(schema, bad)).toThrow(
      expect.objectContaining({ code: "INVALID_ARGUMENT", details: { path: "list.1.name" } }),
    );
    expect(() => decodeMessage(schema, encodeMessage(5))).toThrow(/\(root\)/);
  });

  it("that are no messages are refused, whatever the bytes", () => {
    for (const some of [clientRequest, schedulerCommands, dataRequest]) {
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
          expect(() => decodeMessage(some, bytes)).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
        }),
        { numRuns: 300 },
      );
    }
  });

  it("over the cap are refused before they are decoded", () => {
    expect(() => decodeMessage(z.unknown(), { byteLength: 64 * 1024 * 1024 + 1 } as Uint8Array)).toThrow(
      expect.objectContaining({ code: "TOO_LARGE" }),
    );
  });
});
