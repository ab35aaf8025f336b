/**
 * The look-ahead check over the registry, in process: every causal kernel passes it at every cut of drawn tables, taken
 * away and spoilt; every label is found out, and passes at the bars at which it is known; and no kernel escapes the
 * check when it is fed the future.
 */
import { DataType, Table, type Vector } from "apache-arrow";
import { describe, expect, test } from "vitest";
import { causalityWith } from "../catalog/causality.js";
import { boolVector, float64Vector } from "../columns/building.js";
import type { Kernel } from "../kernel.js";
import { listKernels, requireKernel } from "../registry.js";
import type { DrawnCall, DrawnKernel, Run } from "../testing/calls/call.js";
import { Draw } from "../testing/calls/draw.js";
import { drawnCalls } from "../testing/calls/index.js";
import { cutsOf, differenceAt, modes, rowsOf } from "../testing/calls/look-ahead.js";

const named = (kernels: readonly Kernel[]): (readonly [string, Kernel])[] =>
  kernels.map((kernel) => [kernel.name, kernel]);
const causal = named(listKernels().filter(({ causality }) => causality === "causal"));
const labels = named(listKernels().filter(({ causality }) => causality === "label"));

/** Calls with as many rows as the kernel's tables may have. */
function* callsOf(kernel: Kernel, count: number): Generator<DrawnCall> {
  const drawn = drawnCalls[kernel.name] as DrawnKernel;
  const [, rows] = drawn.rows ?? [0, 24];
  for (let seed = 1; seed <= count; seed++) yield drawn.draw(new Draw(seed), rows);
}

const wholeOf = (run: Run, call: DrawnCall): readonly Table[] =>
  rowsOf(call, run(...(call.adapt?.(call.args) ?? call.args)), call.args);

describe("every causal kernel", () => {
  test.each(causal)("%s shows nothing of the future at any cut", (_name, kernel) => {
    let cuts = 0;
    for (const call of callsOf(kernel, 3)) {
      expect(causalityWith(kernel, call.args)).toBe("causal");
      const whole = wholeOf(kernel.run, call);
      for (const at of cutsOf(call)) {
        cuts++;
        for (const mode of modes)
          expect(differenceAt(kernel.run, call, whole, at, mode), `${mode} at ${at}`).toBeUndefined();
      }
    }
    expect(cuts).toBeGreaterThan(8);
  });
});

// ------------------------------------------------------------------------------------------------ what must be found

/** Further ahead than any drawn lag takes back: a shift by one bar of what was shifted from the bar after is right. */
const barsAhead = 10;

/** The table with the numbers and flags of later rows in it. */
function fromAhead(table: Table, keep: string): Table {
  const rows = [...Array(table.numRows).keys()];
  const columns = table.schema.fields.map(({ name, type }): [string, Vector] => {
    const vector = table.getChild(name) as Vector;
    const ahead = rows.map((row): unknown => vector.get(Math.min(row + barsAhead, table.numRows - 1)));
    if (name !== keep && DataType.isFloat(type))
      return [name, float64Vector(Float64Array.from(ahead, (value) => (value as number | null) ?? Number.NaN))];
    if (DataType.isBool(type)) return [name, boolVector(ahead.map((value) => value === true))];
    return [name, vector];
  });
  return new Table(Object.fromEntries(columns));
}

/** The call with later numbers in its tables as today's, before anything is made of them. */
function leaking(call: DrawnCall): DrawnCall {
  const { adapt = (args: readonly unknown[]) => args, known = {} } = call;
  return {
    ...call,
    adapt: (args) => adapt(args.map((arg, k) => (known[k] === undefined ? arg : fromAhead(arg as Table, known[k])))),
  };
}

describe("a kernel that is fed the future", () => {
  test.each(causal)("%s is found out by either check", (_name, kernel) => {
    for (const mode of modes) {
      let found = false;
      for (const drawn of callsOf(kernel, 30)) {
        const call = leaking(drawn);
        const whole = wholeOf(kernel.run, call);
        found ||= cutsOf(call).some((at) => differenceAt(kernel.run, call, whole, at, mode));
        if (found) break;
      }
      expect(found, mode).toBe(true);
    }
  });
});

describe("labels", () => {
  test.each(labels)("%s is found out by either check, and passes at the bars at which it is known", (_name, kernel) => {
    const found = { truncate: 0, poison: 0 };
    for (const call of callsOf(kernel, 30)) {
      const known = wholeOf(kernel.run, call);
      // A trade is known at its exit, not at its entry; a return at its end, not at its beginning.
      const early: DrawnCall = {
        ...call,
        rows: (result) => [result as Table],
        time: kernel.name === "sweep.trades" ? "entryDate" : "date",
      };
      const whole = wholeOf(kernel.run, early);
      for (const mode of modes) {
        for (const at of cutsOf(call)) expect(differenceAt(kernel.run, call, known, at, mode)).toBeUndefined();
        if (cutsOf(call).some((at) => differenceAt(kernel.run, early, whole, at, mode))) found[mode]++;
      }
    }
    expect(Math.min(found.truncate, found.poison)).toBeGreaterThan(5);
  });

  test.each(["forward", "nearest"])("asof.join with direction %s is declared a label, and found out", (direction) => {
    const kernel = requireKernel("asof.join", 1);
    const found = { truncate: 0, poison: 0 };
    for (const call of callsOf(kernel, 30)) {
      const [left, right, params] = call.args;
      const ahead = { ...call, args: [left, right, { ...(params as object), direction }] };
      expect(causalityWith(kernel, ahead.args)).toBe("label");
      const whole = wholeOf(kernel.run, ahead);
      for (const mode of modes)
        if (cutsOf(ahead).some((at) => differenceAt(kernel.run, ahead, whole, at, mode))) found[mode]++;
    }
    expect(Math.min(found.truncate, found.poison)).toBeGreaterThan(5);
  });

  test("a forward return passes once it is lagged by its horizon, and not a bar sooner", () => {
    const [forward, shift] = [requireKernel("panel.forward_returns", 1), requireKernel("feature.shift", 1)];
    const composed =
      (horizon: number, periods: number): Run =>
      (bars) => {
        const made = forward.run(bars, { horizons: [horizon], price: "price", step: "row" });
        return shift.run(made, { periods, by: "symbol", columns: [`forward_${horizon}`], keep: ["date", "symbol"] });
      };
    for (const [horizon, periods] of [
      [1, 1],
      [2, 2],
      [2, 3],
      [2, 1],
      [3, 2],
    ] as const) {
      const run = composed(horizon, periods);
      let found = 0;
      for (const { args } of callsOf(forward, 20)) {
        const call: DrawnCall = { args: [args[0]], known: { 0: "date" }, time: "date" };
        const whole = wholeOf(run, call);
        for (const at of cutsOf(call)) for (const mode of modes) if (differenceAt(run, call, whole, at, mode)) found++;
      }
      expect(found > 0, `a return ${horizon} ahead, ${periods} later`).toBe(periods < horizon);
    }
  });
});
