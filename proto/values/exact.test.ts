/**
 * A value comes back equal or is refused by path, and which of the two is foretold by how the value was made. The
 * comparison is this file's own: it knows nothing of how values are written.
 */
import { runInNewContext } from "node:vm";
import { tableFromArrays } from "apache-arrow";
import { describe, expect, it } from "vitest";
import { isVolleyError, VolleyError } from "../errors.js";
import { fc } from "../testing/drawn.js";
import { decodeValue, encodeValue } from "./value.js";

const roundTrip = (value: unknown): unknown => decodeValue(encodeValue(value));

/**
 * What is different, or undefined. Errors are compared by class, name and fields; everything by own enumerable
 * properties and prototype.
 */
function difference(a: unknown, b: unknown, path = "value"): string | undefined {
  if (typeof a !== "object" || a === null || typeof b !== "object" || b === null) {
    return Object.is(a, b) ? undefined : `${path}: ${String(a)} and ${String(b)}`;
  }
  const [protoA, protoB] = [Object.getPrototypeOf(a), Object.getPrototypeOf(b)] as unknown[];
  if (protoA !== protoB && !(Buffer.isBuffer(a) && b.constructor === Uint8Array)) return `${path}: other prototypes`;
  if (ArrayBuffer.isView(a) || a instanceof ArrayBuffer) {
    const bytes = (value: unknown): string =>
      ArrayBuffer.isView(value)
        ? Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("hex")
        : Buffer.from(value as ArrayBuffer).toString("hex");
    return bytes(a) === bytes(b) ? undefined : `${path}: other bytes`;
  }
  if (a instanceof Date && !Object.is(a.getTime(), (b as Date).getTime())) return `${path}: other times`;
  if (a instanceof RegExp && (String(a) !== String(b) || a.lastIndex !== (b as RegExp).lastIndex))
    return `${path}: other patterns`;
  if (a instanceof Map) return difference([...a].flat(1), [...(b as Map<unknown, unknown>)].flat(1), `${path} entries`);
  if (a instanceof Set) return difference([...a], [...(b as Set<unknown>)], `${path} members`);
  const keysOf = (value: object): string[] => {
    const keys = Object.keys(value).filter((key) => key !== "stack");
    return value instanceof Error ? [...new Set([...keys, "name", "message", "cause", "errors"])] : keys;
  };
  const keys = keysOf(a);
  if (keys.join("\0") !== keysOf(b).join("\0") || (Array.isArray(a) && a.length !== (b as unknown[]).length))
    return `${path}: other keys`;
  for (const key of keys) {
    const found = difference(
      (a as Record<string, unknown>)[key],
      (b as Record<string, unknown>)[key],
      `${path}.${key}`,
    );
    if (found !== undefined) return found;
  }
  return undefined;
}

class Portfolio {
  cash = 1;
}
class Prices extends Array<number> {}
class Book extends Map<unknown, unknown> {}
class Names extends Set<unknown> {}
class Day extends Date {}
class Ticks extends Float64Array {}
class Raw extends Uint8Array {}

type Made = { readonly value: unknown; readonly good: boolean };
const good = (value: unknown): Made => ({ value, good: true });
const bad = (value: unknown): Made => ({ value, good: false });

const anyText = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.string({ unit: "grapheme" }),
  fc.array(fc.integer({ min: 0, max: 0xffff })).map((codes) => String.fromCharCode(...codes)),
);
const anyKey = fc.oneof(
  { weight: 5, arbitrary: fc.string() },
  { weight: 1, arbitrary: anyText },
  { weight: 1, arbitrary: fc.constantFrom("__proto__", "constructor", "toJSON", "length", "10", "") },
);

const goodLeaf = fc
  .oneof(
    fc.constantFrom(
      undefined,
      null,
      true,
      false,
      -0,
      0,
      Number.NaN,
      Number.POSITIVE_INFINITY,
      2 ** 32,
      2 ** 53,
      -1,
      -32,
      -33,
      -(2 ** 31),
    ),
    fc.double(),
    fc.integer(),
    fc.bigInt(),
    fc.bigInt({ min: -(2n ** 64n), max: 2n ** 65n }),
    anyText,
    fc.date({ noInvalidDate: false }),
    fc.constantFrom(/a(b)?/giu, /\//, Object.assign(/x/y, { lastIndex: 3 })),
    fc.uint8Array(),
    fc.oneof(
      fc.int8Array(),
      fc.uint8ClampedArray(),
      fc.int16Array(),
      fc.uint16Array(),
      fc.int32Array(),
      fc.uint32Array(),
      fc.float32Array(),
      fc.float64Array(),
    ),
    fc.oneof(fc.bigInt64Array(), fc.bigUint64Array()),
    fc.float64Array({ minLength: 3 }).map((whole) => whole.subarray(1, -1)),
    fc.uint8Array().map((bytes) => bytes.buffer),
    fc.uint8Array({ minLength: 2 }).map((bytes) => new DataView(bytes.buffer, 1)),
    fc.uint8Array().map((bytes) => Buffer.from(bytes)),
  )
  .map(good);

const badLeaf = fc
  .constantFrom<() => unknown>(
    () => () => 1,
    () => Symbol("x"),
    () => new Portfolio(),
    () => Prices.from([1, 2]),
    () => new Book([[1, 2]]),
    () => new Names([1]),
    () => new Day(0),
    () => Ticks.of(1),
    () => Raw.of(1),
    () => Object.assign([1, 2, 3], { length: 5 }),
    () => new Array(100),
    () => /b(.)/.exec("abc"),
    () => Object.assign([1, 2], { unit: "USD" }),
    () =>
      Object.assign(
        Array.from({ length: 200 }, () => 1),
        { unit: "USD" },
      ),
    () => Object.assign(new Array(3).fill(1, 1), { unit: "USD" }),
    () => Object.assign(Float64Array.of(1), { unit: "USD" }),
    () => Object.assign(new Float64Array(500), { unit: "USD" }),
    () => Object.assign(new Map(), { unit: "USD" }),
    () => ({ a: 1, [Symbol("tag")]: 2 }),
    () => Object.assign([1], { [Symbol("tag")]: 2 }),
    () => new URL("http://localhost/"),
    () => Object(5) as unknown,
    () => Promise.resolve(1),
    () => new WeakMap(),
    () => new SharedArrayBuffer(8),
    () => Object.create({ inherited: 1 }) as unknown,
    () => ({
      get broken(): number {
        throw new RangeError("no price");
      },
    }),
    () => {
      const { proxy, revoke } = Proxy.revocable({}, {});
      revoke();
      return proxy;
    },
    () => {
      const cycle: unknown[] = [1];
      cycle.push({ cycle });
      return cycle;
    },
  )
  .map((make) => bad(make()));

const together = (parts: readonly Made[], build: (values: unknown[]) => unknown): Made => ({
  value: build(parts.map(({ value }) => value)),
  good: parts.every((part) => part.good),
});

function errorOf(Class: new (message?: string) => Error, message: string, [cause, ...fields]: unknown[]): Error {
  const error = new Class(message);
  Object.defineProperty(error, "cause", { value: cause, writable: true, configurable: true });
  fields.forEach((value, i) => Object.assign(error, { [`field${i}`]: value }));
  return error;
}

const anyValue = fc.letrec<{ value: Made; leaf: Made }>((tie) => ({
  leaf: fc.oneof({ weight: 40, arbitrary: goodLeaf }, { weight: 1, arbitrary: badLeaf }),
  value: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    tie("leaf"),
    fc.array(tie("value"), { maxLength: 5 }).map((parts) => together(parts, (values) => values)),
    fc.array(tie("leaf"), { minLength: 60, maxLength: 70 }).map((parts) => together(parts, (values) => values)),
    fc.tuple(fc.boolean(), fc.array(fc.tuple(anyKey, tie("value")), { maxLength: 5 })).map(([bare, entries]) =>
      together([...new Map(entries).values()], (values) => {
        const object = bare ? (Object.create(null) as object) : {};
        [...new Map(entries).keys()].forEach((key, i) =>
          Object.defineProperty(object, key, {
            value: values[i],
            enumerable: true,
            writable: true,
            configurable: true,
          }),
        );
        return object;
      }),
    ),
    fc.array(fc.tuple(tie("value"), tie("value")), { maxLength: 4 }).map((entries) =>
      together(
        // Of two values under one key the later stays, and only that is in the map.
        [...new Map(entries.map((entry) => [entry[0].value, entry])).values()].flat(1),
        (values) =>
          new Map(
            values.map((value, i) => [value, values[i ^ 1]]).filter((_, i) => i % 2 === 0) as [unknown, unknown][],
          ),
      ),
    ),
    fc.array(tie("value"), { maxLength: 4 }).map((parts) => together(parts, (values) => new Set(values))),
    fc
      .tuple(fc.constantFrom(Error, RangeError, TypeError), anyText, fc.array(tie("value"), { maxLength: 3 }))
      .map(([Class, message, parts]) => together(parts, (values) => errorOf(Class, message, values))),
    fc
      .array(tie("value"), { maxLength: 2 })
      .map((parts) => together(parts, (values) => new AggregateError(values, "several"))),
    tie("value").map((part) => together([part], ([value]) => new Proxy({ value }, {}))),
    tie("value").map((part) =>
      together([part], ([value]) => ({
        get late() {
          return value;
        },
      })),
    ),
  ),
})).value;

describe("a value", () => {
  it("comes back equal, or is refused by path: as foretold", () => {
    fc.assert(
      fc.property(anyValue, ({ value, good }) => {
        let back: unknown;
        try {
          back = roundTrip(value);
        } catch (error) {
          if (!isVolleyError(error) || error.code !== "TASK_UNSERIALIZABLE" || good) throw error;
          expect(error.message).toContain(error.details?.path);
          return;
        }
        if (!good) throw new Error("what cannot come back was sent");
        expect(difference(value, back)).toBeUndefined();
        expect(Buffer.from(encodeValue(back).data)).toEqual(Buffer.from(encodeValue(value).data));
      }),
      { numRuns: 3_000 },
    );
  });

  it("with half of a surrogate pair stays as it is, as text, in a long text and as a key", () => {
    const values = [
      "\ud800",
      "hi 😀".slice(0, 4),
      `${"x".repeat(5_000)}\udfff`,
      { "\ud800": 1, ok: { "a\udc00": "\udbff" } },
      new Map([["\ud800", "\ud801"]]),
    ];
    for (const value of values) expect(difference(value, roundTrip(value))).toBeUndefined();
    expect(encodeValue("\ud800").data).not.toEqual(encodeValue("\ud801").data);
    expect(encodeValue({ a: "\ud800" }).data).not.toEqual(encodeValue({ a: "\ufffd" }).data);
  });

  it("that answers differently the second time is read once", () => {
    const answers = [1.5, -0, () => "a function"];
    let asked = 0;
    const shifty = {
      get value() {
        return answers[asked++ % answers.length];
      },
    };
    expect(roundTrip(shifty)).toStrictEqual({ value: 1.5 });
    expect(asked).toBe(1);
    const encodesAnother = {
      before: "x",
      get inner() {
        return Buffer.from(encodeValue({ deep: ["y".repeat(100_000)] }).data).byteLength;
      },
      after: [1, 2],
    };
    expect(roundTrip(encodesAnother)).toStrictEqual({ before: "x", inner: 100_012, after: [1, 2] });
  });

  it("that is an error keeps what programs look at: code, cause, errors, name", () => {
    class VendorError extends RangeError {
      override name = "VendorError";
      status = 429;
      body = { retryAfter: 5 };
    }
    const file = Object.assign(new Error("ENOENT: no such file"), { code: "ENOENT", errno: -2 });
    const sent = new AggregateError([file, new VendorError("slow down", { cause: { venue: "A" } })], "both failed", {
      cause: "the market",
    });
    const back = roundTrip({ sent }) as { sent: AggregateError };
    expect(back.sent).toBeInstanceOf(AggregateError);
    expect(back.sent).toMatchObject({ message: "both failed", cause: "the market" });
    const [first, second] = back.sent.errors as [Error, Error];
    expect({ ...first }).toEqual({ code: "ENOENT", errno: -2 });
    expect(first.message).toBe("ENOENT: no such file");
    expect(second).toBeInstanceOf(RangeError);
    expect(second).toMatchObject({
      name: "VendorError",
      message: "slow down",
      status: 429,
      body: { retryAfter: 5 },
      cause: { venue: "A" },
    });
    const own = roundTrip([new VolleyError("TIMEOUT", "too late", { details: { ms: 5 } })]) as [VolleyError];
    expect([isVolleyError(own[0]), own[0] instanceof VolleyError, own[0].code, own[0].details, own[0].retry]).toEqual([
      true,
      true,
      "TIMEOUT",
      { ms: 5 },
      "unknown-outcome",
    ]);
    const aborted = roundTrip(AbortSignal.abort().reason) as Error;
    expect([aborted.name, aborted.message]).toEqual(["AbortError", "This operation was aborted"]);
    expect(() => encodeValue({ e: Object.assign(new Error("x"), { response: { send() {} } }) })).toThrow(
      "value.e.response.send is a function",
    );
  });

  it("of another realm comes back as one of this", () => {
    const there = runInNewContext(
      "({ list: [1, [2]], map: new Map([[1, new Set([2])]]), at: new Date(5), re: /x/g, e: new TypeError('t'), xs: Float64Array.of(1) })",
    ) as object;
    const here = {
      list: [1, [2]],
      map: new Map([[1, new Set([2])]]),
      at: new Date(5),
      re: /x/g,
      e: new TypeError("t"),
      xs: Float64Array.of(1),
    };
    expect(difference(here, roundTrip(there))).toBeUndefined();
  });

  it("that is large or long comes back", () => {
    const values = [
      Array.from({ length: 100_000 }, (_, i) => (i % 3 ? i / 7 : i % 2 ? null : `s${i}`)),
      "é".repeat(500_000),
      Object.fromEntries(Array.from({ length: 70_000 }, (_, i) => [`k${i}`, i])),
      new Map(Array.from({ length: 40_000 }, (_, i) => [i, { i }])),
      { bytes: new Uint8Array(300_000).fill(7), text: "x".repeat(70_000) },
      -(2n ** 5_000n),
    ];
    for (const value of values) expect(difference(value, roundTrip(value))).toBeUndefined();
  });

  it("that is bytes with more than their items is refused, however many they are", () => {
    const words = "a Uint8Array with properties of its own";
    for (const length of [10, 65, 30_000, 65_536, 300_000]) {
      expect(() => encodeValue(Object.assign(new Uint8Array(length), { unit: "USD" }))).toThrow(words);
      expect(() => encodeValue([Object.assign(new Uint8Array(length), { [Symbol("unit")]: "USD" })])).toThrow(words);
      expect(encodeValue(new Uint8Array(length + 3).subarray(3)).data.byteLength).toBe(length);
    }
  });

  it("whose buffer was transferred away is refused, not taken for an empty one", () => {
    const gone = <T extends Uint8Array | Float64Array>(view: T): T => {
      structuredClone(view.buffer, { transfer: [view.buffer as ArrayBuffer] });
      return view;
    };
    const words = "whose buffer was transferred away";
    expect(() => encodeValue(gone(new Uint8Array(4)))).toThrow(words);
    expect(() => encodeValue({ a: [gone(new Float64Array(4))] })).toThrow(`value.a[0] is a Float64Array ${words}`);
    expect(encodeValue(new Uint8Array(0)).data.byteLength).toBe(0);
  });

  it("once encoded does not change when others are encoded", () => {
    const encoded = Array.from({ length: 5_000 }, (_, i) => ({
      i,
      of: encodeValue({ i, text: `text ${i}`, big: i % 100 === 0 ? "z".repeat(40_000) : "" }),
    }));
    for (const { i, of } of encoded)
      expect(decodeValue(of)).toEqual({ i, text: `text ${i}`, big: i % 100 === 0 ? "z".repeat(40_000) : "" });
  });

  it("with a table inside names the table's path when it is refused", () => {
    const vector = tableFromArrays({ x: [1] }).getChildAt(0);
    expect(() => encodeValue({ a: [vector] })).toThrow("value.a[0] is an Arrow vector");
  });
});
