import { describe, expect, it } from "vitest";
import { limits } from "../limits.js";
import { fc } from "../testing/drawn.js";
import {
  claimedStream,
  decodeFrame,
  encodeFrameHead,
  type Frame,
  frameBytesFor,
  frameHeaderBytesMax,
  frameType,
  isStream,
} from "./frame.js";

const whole = (frame: Frame): Buffer => Buffer.concat([encodeFrameHead(frame), frame.body]);

const anyFrame: fc.Arbitrary<Frame> = fc.record({
  type: fc.constantFrom(...Object.values(frameType)),
  stream: fc.stringMatching(/^[0-9a-f]{1,16}$/),
  from: fc.stringMatching(/^[A-Za-z0-9_-]{1,64}$/),
  offset: fc.nat(Number.MAX_SAFE_INTEGER),
  total: fc.nat(Number.MAX_SAFE_INTEGER),
  body: fc.uint8Array({ maxLength: 300 }),
});

describe("frames", () => {
  it("come back as they went", () => {
    fc.assert(
      fc.property(anyFrame, (frame) => {
        const decoded = decodeFrame(whole(frame));
        expect({ ...decoded, body: [...decoded.body] }).toEqual({ ...frame, body: [...frame.body] });
        expect(claimedStream(whole(frame))).toBe(frame.stream);
      }),
    );
  });

  it.each([
    new Uint8Array(0),
    Buffer.alloc(0),
    Buffer.from("xyz").subarray(3),
    new Uint8Array(new SharedArrayBuffer(0)),
  ])("come back without a body", (body) => {
    const frame: Frame = { type: frameType.data, stream: "a", from: "p", offset: 0, total: 0, body };
    expect(decodeFrame(whole(frame)).body.byteLength).toBe(0);
  });

  it("with any bit flipped, or cut short, are refused", () => {
    fc.assert(
      fc.property(anyFrame, fc.nat(), fc.nat(7), (frame, at, bit) => {
        const bytes = whole(frame);
        const flipped = Buffer.from(bytes);
        // The body of a digested stream is compared as a whole, by whoever opened it.
        const checked = frame.type === frameType.digested ? bytes.byteLength - frame.body.byteLength : bytes.byteLength;
        const index = at % checked;
        flipped[index] = (flipped[index] as number) ^ (1 << bit);
        expect(() => decodeFrame(flipped)).toThrow(expect.objectContaining({ code: "CORRUPT" }));
        expect(() => decodeFrame(bytes.subarray(0, index))).toThrow(expect.objectContaining({ code: "CORRUPT" }));
      }),
    );
  });

  it("fit into the transport's messages", () => {
    expect(frameBytesFor(1024 * 1024)).toBe(limits.frameBytes);
    expect(frameBytesFor(64 * 1024)).toBe(64 * 1024 - frameHeaderBytesMax);
    const head = encodeFrameHead({
      type: 1,
      stream: "f".repeat(16),
      from: "p".repeat(64),
      offset: 0,
      total: 0,
      body: new Uint8Array(0),
    });
    expect(head.byteLength).toBe(frameHeaderBytesMax);
  });

  it.each(["", "0123456789abcdef0", "a b", "a.b", "ü"])("%j is no stream", (text) => {
    expect(isStream(text)).toBe(false);
  });
});
