import { expect, it } from "vitest";
import { fc } from "../testing/drawn.js";
import { payloadOf } from "./payload.js";

const pieces = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 12 });

it("pieces are sent as if they stood one behind the other, whatever the cuts", () => {
  fc.assert(
    fc.property(pieces, fc.integer({ min: 1, max: 50 }), (given, step) => {
      const whole = Buffer.concat(given);
      for (const payload of [payloadOf(given), payloadOf(new Uint8Array(whole))]) {
        expect(payload.byteLength).toBe(whole.byteLength);
        const parts: Uint8Array[] = [];
        for (let at = 0; at < whole.byteLength; at += step)
          parts.push(payload.part(at, Math.min(step, whole.byteLength - at)));
        expect(Buffer.concat(parts)).toEqual(whole);
      }
    }),
  );
});

it("what lies in one piece is a view on it", () => {
  const large = new Uint8Array(100);
  const payload = payloadOf([Uint8Array.of(1, 2, 3), large, Uint8Array.of(4)]);
  expect(payload.part(10, 50).buffer).toBe(large.buffer);
  expect(payload.part(0, 10).buffer).not.toBe(large.buffer);
});
