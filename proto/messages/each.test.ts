import { describe, expect, test } from "vitest";
import { z } from "zod";
import { decodeMessage, encodeMessage } from "../codec.js";
import { each } from "./each.js";

const item = z.object({ n: z.number().int() });
const message = z.object({ list: each(item, { min: 1, max: 3 }) });

describe("a list that is validated item by item", () => {
  test("gives what z.array gives, in the list that was given", () => {
    const raw = { list: [{ n: 1, more: true }, { n: 2 }] };
    const { list } = message.parse(raw);
    expect(list).toEqual(z.array(item).parse([{ n: 1 }, { n: 2 }]));
    expect(list).toBe(raw.list);
  });

  test("a fault is named by its path in the message", () => {
    const broken = encodeMessage({ list: [{ n: 1 }, { n: 0.5 }] });
    expect(() => decodeMessage(message, broken)).toThrow(/message field list\.1\.n: /);
  });

  test("too many, too few, and what is no list are refused with the bounds", () => {
    for (const list of [[], Array.from({ length: 4 }, () => ({ n: 1 }))])
      expect(() => message.parse({ list })).toThrow(`expected 1 to 3 items, got ${list.length}`);
    expect(() => message.parse({ list: "abc" })).toThrow("expected a list");
  });
});
