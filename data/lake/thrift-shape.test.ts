import { deserializeTCompactProtocol } from "hyparquet/src/thrift.js";
import { ByteWriter } from "hyparquet-writer";
import { serializeTCompactProtocol } from "hyparquet-writer/src/thrift.js";
import { describe, expect, it } from "vitest";
import { fc } from "../../proto/testing/drawn.js";
import { checkThriftShape } from "./thrift-shape.js";

const check = (...bytes: number[]): void => checkThriftShape(new DataView(Uint8Array.from(bytes).buffer), 0);

describe("the shape of a Thrift struct", () => {
  it("of everything hyparquet's writer writes is taken", () => {
    const writer = new ByteWriter();
    const leaf = {
      field_1: 1,
      field_2: "text",
      field_3: 5n,
      field_4: true,
      field_5: [1, 2, 3],
      field_9: ["a", "b"],
      field_20: 0.5,
    };
    serializeTCompactProtocol(writer, {
      field_1: 2,
      field_2: Array.from({ length: 40 }, () => leaf),
      field_7: { field_1: leaf, field_30: [] },
    });
    check(...writer.getBytes());
  });

  it.each([
    [
      "a list of 2^31 - 1 entries",
      [0x19, 0xf5, 0xff, 0xff, 0xff, 0xff, 0x07, 0],
      /a list of 2147483647 entries where 1 bytes/,
    ],
    ["a list longer than what is left", [0x19, 0x55, 1, 2, 3, 0], /a list of 5 entries where 4 bytes/],
    ["lists in lists in lists", [0x19, ...Array.from({ length: 60 }, () => 0x19), 0, 0], /33 deep/],
    ["structs in structs", Array.from({ length: 60 }, () => 0x1c), /33 deep/],
    ["more fields than any struct has", [...Array.from({ length: 2_000 }, () => 0x11), 0], /more than 1024 fields/],
    ["a text longer than what is left", [0x18, 9, 1, 2, 0], /a value of 9 bytes where 3/],
    ["a number without an end", [0x15, 0x80, 0x80], /without an end/],
    ["a number of 90 bits", [0x15, ...Array.from({ length: 12 }, () => 0x80), 1, 0], /more than 70 bits/],
    ["a type that is none", [0x1e, 0], /unknown type 14/],
    ["no end", [0x15, 2], /a struct without an end/],
    ["nothing", [], /a struct without an end/],
  ])("%s is refused", (_, bytes, message) => {
    expect(() => check(...bytes)).toThrow(message);
  });

  it("of any bytes it takes, hyparquet builds no list longer than the bytes", () => {
    const longest = (value: unknown): number => {
      if (value instanceof Uint8Array || typeof value !== "object" || value === null) return 0;
      const inner = Object.values(value).reduce((most: number, one) => Math.max(most, longest(one)), 0);
      return Array.isArray(value) ? Math.max(value.length, inner) : inner;
    };
    let taken = 0;
    const head = fc.constantFrom(0x11, 0x15, 0x18, 0x19, 0x1c, 0x25, 0x29, 0x1f, 0x95, 0x0, 0xf9, 0xfc, 0x28);
    fc.assert(
      fc.property(fc.array(fc.oneof(head, head, fc.nat(255), fc.constant(0)), { maxLength: 40 }), (given) => {
        const bytes = Uint8Array.from([...given, 0, 0, 0]);
        const view = new DataView(bytes.buffer);
        try {
          checkThriftShape(view, 0);
        } catch {
          return;
        }
        taken++;
        expect(longest(deserializeTCompactProtocol({ view, offset: 0 }))).toBeLessThanOrEqual(bytes.length);
      }),
      { numRuns: 20_000 },
    );
    expect(taken).toBeGreaterThan(1_000);
  });
});
