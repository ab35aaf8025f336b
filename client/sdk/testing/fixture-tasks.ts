/** For tests: functions that run on the cluster. */
import { Float64, type Table, tableFromArrays, vectorFromArray } from "apache-arrow";
import { taskContext, VolleyError } from "volley";

export const f = (x: number): number => x;
export const g = (x: number): number => x;
export const add = (a: number, b: number): number => a + b;
export const double = async (x: number): Promise<number> => 2 * x;
export const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
export const nothing = (): void => undefined;

export function inner(x: number): never {
  throw new RangeError(`x is ${x}`);
}
export const failing = (x: number): number => inner(x);

export function coded(): never {
  throw new VolleyError("INVALID_DATA", "not good");
}

export const where = (): { stage: number; task: number; attempt: number } => {
  const { stage, task, attempt } = taskContext();
  return { stage, task, attempt };
};

export const table = (rows: number, factor: number): Table =>
  tableFromArrays({ x: Float64Array.from({ length: rows }, (_, i) => i * factor) });
export const total = (t: Table): number => {
  let all = 0;
  for (const value of (t.getChild("x")?.toArray() ?? []) as Float64Array) all += value;
  return all;
};
export const totals = (tables: readonly Table[]): number => tables.reduce((all, t) => all + total(t), 0);
export const lengthOf = (bytes: Uint8Array): number => bytes.byteLength;
export const ofVector = (n: number): number => vectorFromArray([n], new Float64()).get(0) ?? 0;

export const sleep = (ms: number): Promise<string> => new Promise((resolve) => setTimeout(() => resolve("slept"), ms));

/** Fails in its first `times` attempts. */
export function flaky(times: number): number {
  const { attempt } = taskContext();
  if (attempt <= times) throw new Error(`attempt ${attempt}`);
  return attempt;
}
export const unserializable = (): unknown => ({ deep: [() => 1] });

export const draw = (..._args: readonly unknown[]): unknown => taskContext().seed;
export function drawFlaky(times: number): unknown {
  flaky(times);
  return taskContext().seed;
}

/** As libraries of vendors throw. */
export function rateLimited(): never {
  const limited = Object.assign(new Error("rate limited"), {
    name: "VendorError",
    status: 429,
    code: "E_VENDOR",
    at: new Date(5),
    retry: () => 1,
  });
  throw new AggregateError([limited, new RangeError("negative price")], "no venue", { cause: { symbol: "KO" } });
}

export const firstOf = (values: ArrayLike<number>): number => values[0] as number;
export const bytesOf = (n: number): Uint8Array => new Uint8Array(n).fill(1);
