/**
 * Wrong parameters of every kernel of the registry, by the JSON Schema of its arguments: one of another type, one below
 * its range or beyond its choices, and one that there is not, are each refused by kernel, path and value before
 * anything is read.
 */
import { Table } from "apache-arrow";
import { describe, expect, it } from "vitest";
import { isVolleyError } from "../proto/errors.js";
import type { Kernel } from "./kernel.js";
import { listKernels } from "./registry.js";
import type { DrawnKernel } from "./testing/calls/call.js";
import { Draw } from "./testing/calls/draw.js";
import { drawnCalls } from "./testing/calls/index.js";

interface Schema {
  readonly type?: string;
  readonly enum?: readonly unknown[];
  readonly minimum?: number;
  readonly exclusiveMinimum?: number;
  readonly maximum?: number;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: unknown;
}

/**
 * Which of an argument's values are wrong: of another type than any parameter has, or beyond what its own schema
 * allows.
 */
function wrongValues({ type, enum: choices, minimum, exclusiveMinimum, maximum }: Schema): unknown[] {
  const bounded = (limit: number | undefined): limit is number =>
    limit !== undefined && Math.abs(limit) < Number.MAX_SAFE_INTEGER;
  return [
    type === "object" ? 17 : { wrong: 1 },
    ...(choices ? ["no-such-choice"] : []),
    ...(bounded(minimum) ? [minimum - 1] : []),
    ...(bounded(exclusiveMinimum) ? [exclusiveMinimum] : []),
    ...(bounded(maximum) ? [maximum + 1] : []),
    ...(type === "integer" ? [1.5] : []),
  ];
}

function refusalOf(kernel: Kernel, args: readonly unknown[]): { code: string; message: string } | undefined {
  try {
    kernel.run(...args);
  } catch (error) {
    if (isVolleyError(error)) return { code: error.code, message: error.message };
    throw error;
  }
  return undefined;
}

interface Parameters {
  readonly kernel: Kernel;
  readonly args: readonly unknown[];
  /** Which argument holds them, by place and name. */
  readonly at: number;
  readonly arg: string;
  readonly schema: Schema;
}

/** Arguments that are records of parameters, of a call that is right. */
const found = listKernels().flatMap((kernel): Parameters[] => {
  const drawn = drawnCalls[kernel.name] as DrawnKernel;
  const call = drawn.draw(new Draw(7), (drawn.rows ?? [0, 24])[1]);
  const args = call.adapt?.(call.args) ?? call.args;
  return kernel.args.flatMap((arg, at) => {
    const schema = kernel.argSchema(arg) as Schema;
    const isRecord =
      schema.type === "object" &&
      Object.keys(schema.properties ?? {}).length > 0 &&
      !(args[at] instanceof Table) &&
      arg !== "carry";
    return isRecord ? [{ kernel, args, at, arg, schema }] : [];
  });
});

describe.each(found.map((one) => [`${one.kernel.name}, ${one.arg}`, one] as const))(
  "%s",
  (_name, { kernel, args, at, arg, schema }) => {
    const refused = (parameter: string, value: unknown): { code: string; message: string } | undefined =>
      refusalOf(
        kernel,
        args.map((given, i) => (i === at ? { ...(given as object), [parameter]: value } : given)),
      );

    it.each(Object.entries(schema.properties ?? {}))("refuses wrong values of %s", (parameter, property) => {
      for (const value of wrongValues(property)) {
        const { code, message } = refused(parameter, value) ?? {
          code: "nothing",
          message: `${JSON.stringify(value)} was taken`,
        };
        expect(code, message).toBe("INVALID_ARGUMENT");
        expect(message.startsWith(`${kernel.name}: ${arg}.${parameter}`), message).toBe(true);
        // A refusal of part of a value shows that part.
        const shown = typeof value === "object" ? "" : JSON.stringify(value);
        expect(message).toContain(shown);
      }
    });

    it("refuses a parameter that there is not", () => {
      const { code, message } = refused("colour", "red") ?? { code: "nothing", message: "it was taken" };
      expect(code, message).toBe("INVALID_ARGUMENT");
      expect(message).toContain(`${kernel.name}: ${arg}`);
      expect(message).toContain("colour");
    });
  },
);

describe("the list", () => {
  it("has every kernel that takes parameters", () => {
    const without = listKernels().filter(
      ({ args }) => args.includes("params") && !found.some(({ kernel }) => args === kernel.args),
    );
    expect(without.map(({ name }) => name)).toEqual([]);
    expect(found.length).toBeGreaterThan(60);
  });
});
