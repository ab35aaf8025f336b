import { expect, test } from "vitest";
import type { WireError } from "../errors.js";
import { carryThrown, errorOfTask } from "./thrown.js";

class VendorError extends Error {
  override name = "VendorError";
  status: number;
  body: unknown;
  code = "E_VENDOR";
  constructor(message: string, status: number, body: unknown) {
    super(message);
    this.status = status;
    this.body = body;
  }
}

/** There and back, as a task's failure goes. */
function across(thrown: unknown): unknown {
  const carried = carryThrown(thrown);
  expect(carried?.length ?? 0, "bytes that every failure costs").toBeLessThan(20_000);
  const wire: WireError = { code: "TASK_FAILED", message: "…", ...(carried === undefined ? {} : { thrown: carried }) };
  return errorOfTask(JSON.parse(JSON.stringify(wire)) as WireError).cause;
}

test("class, name, text, code and fields of an error arrive, whatever values carry", () => {
  const at = new Date(5);
  const error = across(
    new VendorError("rate limited", 429, { retryAfter: 30, at, ids: new Map([[1n, Float64Array.of(1)]]) }),
  ) as VendorError;
  expect(error).toBeInstanceOf(Error);
  expect([error.name, error.message, error.status, error.code]).toEqual([
    "VendorError",
    "rate limited",
    429,
    "E_VENDOR",
  ]);
  expect(error.body).toEqual({ retryAfter: 30, at, ids: new Map([[1n, Float64Array.of(1)]]) });
});

test("the chain of causes arrives to its end, a cause that is no error, and what an AggregateError holds", () => {
  const chain = across(
    new Error("sweep failed", {
      cause: new TypeError("row 7", { cause: new RangeError("negative price", { cause: { symbol: "KO", qty: -5 } }) }),
    }),
  );
  const second = (chain as Error).cause as Error;
  const third = second.cause as Error;
  expect([second, third]).toEqual([expect.any(TypeError), expect.any(RangeError)]);
  expect([second.message, third.message, third.cause]).toEqual(["row 7", "negative price", { symbol: "KO", qty: -5 }]);
  expect((second as unknown as { remoteStack: string }).remoteStack).toContain("thrown.test");
  const aggregate = across(
    new AggregateError([new Error("venue A"), new VendorError("venue B", 503, null), "venue C"], "all failed"),
  ) as AggregateError;
  expect(aggregate).toBeInstanceOf(AggregateError);
  expect(aggregate.errors.map((one) => (one instanceof Error ? one.message : one))).toEqual([
    "venue A",
    "venue B",
    "venue C",
  ]);
  expect((aggregate.errors[1] as VendorError).status).toBe(503);
});

test("values that are no errors arrive as they are", () => {
  for (const thrown of [{ code: 7, why: "not an Error" }, "text", 42, null, [1, new Date(3)]])
    expect(across(thrown) ?? null).toEqual(thrown);
});

test("what cannot be carried is left out and named; the rest arrives", () => {
  const error = Object.assign(new Error("mixed"), {
    retry: () => 1,
    huge: "x".repeat(50_000),
    big: new Float64Array(1_000),
    kept: 1,
    socket: new (class Socket {})(),
  });
  const found = across(error) as typeof error & { notCarried: string[] };
  expect([found.message, found.kept, found.huge.length]).toEqual(["mixed", 1, 1_024]);
  expect(found.notCarried).toEqual([
    expect.stringMatching(/^retry: .*function/),
    expect.stringMatching(/^big: \d+ bytes/),
    expect.stringMatching(/^socket: .*Socket/),
  ]);
  expect("retry" in found || "big" in found || "socket" in found).toBe(false);
});

test("errors made to do harm: cycles, endless chains, crowds, accessors and proxies that throw", () => {
  const cycle = new Error("a");
  cycle.cause = new Error("b", { cause: cycle });
  expect((across(cycle) as Error & { cause: { notCarried: string[] } }).cause.notCarried).toEqual(["cause: a cycle"]);
  let chain = new Error("end");
  for (let i = 0; i < 500; i++) chain = new Error(`link ${i}`, { cause: chain });
  expect(across(chain)).toMatchObject({ message: "link 499", cause: { message: "link 498" } });
  const crowd = across(
    new AggregateError(
      Array.from({ length: 5_000 }, (_, i) => new VendorError("v".repeat(900), i, "b".repeat(2_000))),
      "crowd",
    ),
  ) as AggregateError;
  expect(crowd.message).toBe("crowd");
  expect((crowd as unknown as { notCarried: string[] }).notCarried[0]).toBe("4984 more errors");
  expect(
    carryThrown(
      Object.defineProperty(new Error("x"), "bad", {
        enumerable: true,
        get: () => {
          throw new Error("gotcha");
        },
      }),
    ),
  ).toBeUndefined();
  expect(
    carryThrown(
      new Proxy(
        {},
        {
          get: () => {
            throw 1;
          },
          getPrototypeOf: () => {
            throw 2;
          },
        },
      ),
    ),
  ).toBeUndefined();
  expect(errorOfTask({ code: "TASK_FAILED", message: "m", thrown: "not of this version" })).toMatchObject({
    message: "m",
  });
});
