import { describe, expect, it } from "vitest";
import { decodeMessage, encodeMessage } from "./codec.js";
import {
  errorCatalogue,
  fromWireError,
  InvariantViolation,
  invariant,
  isErrorCode,
  isVolleyError,
  toWireError,
  VolleyError,
} from "./errors.js";
import { wireError } from "./messages/results.js";

describe("errors", () => {
  it("every code has a status that fits its retry class, and words that end in a full stop", () => {
    for (const [code, { http, retry, doc }] of Object.entries(errorCatalogue)) {
      expect(code).toMatch(/^[A-Z][A-Z_]*[A-Z]$/);
      expect(http).toBeGreaterThanOrEqual(400);
      expect(http).toBeLessThan(600);
      expect(doc).toMatch(/^[A-Z].*\.$/);
      expect(new VolleyError(code as "TIMEOUT", "x").retry).toBe(retry);
    }
  });

  it("cross the wire with code, words, particulars and the user's stack", () => {
    const error = new VolleyError("TASK_FAILED", "it threw", {
      details: { task: 3 },
      remoteStack: "Error: it threw\n    at user.ts:1",
    });
    const back = fromWireError(decodeMessage(wireError, encodeMessage(toWireError(error))));
    expect(back).toMatchObject({
      code: "TASK_FAILED",
      message: "it threw",
      details: { task: 3 },
      remoteStack: error.remoteStack,
      retry: "never",
    });
    expect(isVolleyError(back)).toBe(true);
  });

  it("of others become INTERNAL, or what the caller says, with name and message but no stack", () => {
    expect(toWireError(new TypeError("no"))).toEqual({ code: "INTERNAL", message: "TypeError: no" });
    expect(toWireError("text", "TASK_FAILED")).toEqual({ code: "TASK_FAILED", message: "text" });
    expect(fromWireError({ code: "FROM_THE_FUTURE" as "TIMEOUT", message: "x" }).code).toBe("INTERNAL");
  });

  it("are known by brand, also from another copy of this module", async () => {
    const copy = (await import(`${new URL("./errors.js", import.meta.url).href}?copy`)) as {
      VolleyError: typeof VolleyError;
    };
    const foreign = new copy.VolleyError("TIMEOUT", "late");
    expect(foreign instanceof VolleyError).toBe(false);
    expect(isVolleyError(foreign)).toBe(true);
    for (const other of [new Error("x"), null, undefined, "TIMEOUT", { code: "TIMEOUT" }])
      expect(isVolleyError(other)).toBe(false);
  });

  it("codes are those of the catalogue, not what every object has", () => {
    expect(isErrorCode("TIMEOUT")).toBe(true);
    for (const other of ["toString", "constructor", "", 5, undefined]) expect(isErrorCode(other)).toBe(false);
  });

  it("a broken invariant is no ordinary error", () => {
    invariant(true, "fine");
    expect(() => invariant(false, "I1 broken")).toThrow(InvariantViolation);
    expect(isVolleyError(new InvariantViolation("x"))).toBe(false);
  });
});
