/**
 * What every kernel of the registry refuses, by its drawn calls (testing/calls): tables without a column, or with
 * one of another type, are refused with a coded error that names kernel, column and type, or the kernel does not read
 * the column; an empty table gives a well-formed result or such an error; never a crash, never a number made of
 * nothing.
 */
import { Bool, DataType, Float64, Table, Utf8, type Vector, vectorFromArray } from "apache-arrow";
import { describe, expect, it } from "vitest";
import { isVolleyError, type VolleyError } from "../proto/errors.js";
import { decodeValue, encodeValue } from "../proto/values/value.js";
import type { Kernel } from "./kernel.js";
import { listKernels } from "./registry.js";
import type { DrawnKernel } from "./testing/calls/call.js";
import { Draw, joined } from "./testing/calls/draw.js";
import { drawnCalls } from "./testing/calls/index.js";

type Path = readonly (string | number)[];

/** Where tables are in the arguments, in lists and records of them too. */
function tablesIn(value: unknown, path: Path = []): { path: Path; table: Table }[] {
  if (value instanceof Table) return [{ path, table: value }];
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return [];
  return Object.entries(value).flatMap(([key, inner]) => tablesIn(inner, [...path, key]));
}

function withAt(value: unknown, [key, ...rest]: Path, put: unknown): unknown {
  if (key === undefined) return put;
  if (Array.isArray(value)) return value.map((inner, i) => (String(i) === key ? withAt(inner, rest, put) : inner));
  return { ...(value as object), [key]: withAt((value as Record<string, unknown>)[key], rest, put) };
}

const columnsOf = (table: Table): Record<string, Vector> =>
  Object.fromEntries(table.schema.fields.map(({ name }) => [name, table.getChild(name) as Vector]));

/** As many rows of a type that the column cannot stand for. */
function otherType({ type, length }: Vector): Vector {
  const fill = <T>(value: T): T[] => new Array<T>(length).fill(value);
  if (DataType.isFloat(type) || DataType.isInt(type) || DataType.isBool(type))
    return vectorFromArray(fill("text"), new Utf8());
  return DataType.isUtf8(type) || DataType.isDictionary(type)
    ? vectorFromArray(fill(0.5), new Float64())
    : vectorFromArray(fill(true), new Bool());
}

/** The refusal, or what it gave instead. Anything thrown without a code fails the test. */
function outcomeOf(kernel: Kernel, args: unknown): { refusal?: VolleyError; result?: unknown } {
  try {
    return { result: kernel.run(...(args as unknown[])) };
  } catch (error) {
    if (!isVolleyError(error)) throw error;
    return { refusal: error };
  }
}

function argsOf({ name }: Kernel): unknown[] {
  const drawn = drawnCalls[name] as DrawnKernel;
  // Enough rows for a kernel to have something to refuse.
  const call = drawn.draw(new Draw(7), (drawn.rows ?? [0, 24])[1]);
  return [...(call.adapt?.(call.args) ?? call.args)];
}

/**
 * Columns that may be absent, so that another one tells: rows without a symbol are those of one, whose dates come
 * twice.
 */
const emittedBy: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  "backtest.signals": { symbol: "date" },
  "backtest.weights": { symbol: "date" },
};

/** Where every column of numbers is read unless some are named, they are. */
const namingColumns = ({ name }: Kernel, args: readonly unknown[]): readonly unknown[] =>
  name === "validation.pbo"
    ? [args[0], { ...(args[1] as object), columns: Object.keys(columnsOf((args[0] as [Table])[0])) }]
    : args;

/** Take any table, and look at none of its columns. */
const blind = new Set([
  "volley.noop",
  "volley.echo",
  "volley.sleep",
  "volley.concat",
  "validation.walk_forward",
  "validation.purged_kfold",
  "validation.cpcv",
  "validation.choices",
]);

const withTables = listKernels()
  .filter((kernel) => tablesIn(argsOf(kernel)).length > 0)
  .map((kernel) => [kernel.name, kernel] as const);
const reading = withTables.filter(([name]) => !blind.has(name));

describe.each(reading)("%s", (name, kernel) => {
  const args = namingColumns(kernel, argsOf(kernel));

  it("runs with the columns as they are", () => {
    expect(outcomeOf(kernel, args).refusal).toBeUndefined();
  });

  it.each([
    ["a column that is missing", () => undefined, /is missing/],
    [
      "a column of another type",
      otherType,
      /is .*; ?(expected|a )|expected|a (key|mask|time|symbol|flag) is|cast one of them/,
    ],
  ] as const)("refuses %s by its name, or does not read it", (_what, replace, why) => {
    let refused = 0;
    for (const { path, table } of tablesIn(args)) {
      for (const { name: column } of table.schema.fields) {
        const { [column]: given, ...others } = columnsOf(table);
        const put = replace(given as Vector);
        // A table without any column has no rows either.
        const left =
          Object.keys(others).length > 0
            ? others
            : {
                other: vectorFromArray(
                  Array.from({ length: table.numRows }, () => "text"),
                  new Utf8(),
                ),
              };
        const { refusal } = outcomeOf(
          kernel,
          withAt(args, path, new Table(put ? { ...columnsOf(table), [column]: put } : left)),
        );
        if (!refusal) continue;
        refused++;
        expect(refusal.code, refusal.message).toBe("INVALID_ARGUMENT");
        expect(refusal.message).toContain(`${name}: `);
        const other = put ? undefined : emittedBy[name]?.[column];
        expect(refusal.message).toContain(JSON.stringify(other ?? column));
        if (other === undefined) expect(refusal.message).toMatch(why);
        expect(refusal.details, refusal.message).toMatchObject({ kernel: name, column: other ?? column });
      }
    }
    expect(refused).toBeGreaterThan(0);
  });
});

/** Read their rows in the order of a column of times, and say so where they do not ascend. */
const inOrder = reading.filter(
  ([name]) =>
    /^(asof|panel|backtest)\.|^sweep\.(?!select|surface|verdict)|^validation\.sweep/.test(name) &&
    name !== "panel.ic_summary",
);

describe.each(inOrder)("%s", (name, kernel) => {
  it("refuses rows that are not in the order of their times, by column and row", () => {
    const args = argsOf(kernel);
    const [{ path, table }] = tablesIn(args) as [{ path: Path; table: Table }];
    const reversed = joined(
      Array.from({ length: table.numRows }, (_, i) => table.slice(table.numRows - 1 - i, table.numRows - i)),
    );
    const { refusal } = outcomeOf(kernel, withAt(args, path, reversed));
    expect(refusal?.code).toBe("INVALID_ARGUMENT");
    expect(refusal?.message).toMatch(/^[a-z_.-]+: column "(date|t)" .*(ascending|sorted).* row \d+/);
    expect(refusal?.details).toMatchObject({ kernel: name, column: expect.stringMatching(/^(date|t)$/) });
  });
});

describe.each(withTables)("%s", (name, kernel) => {
  const args = argsOf(kernel);

  it("of tables without rows gives the columns that it gives of others, or says that there are too few", () => {
    for (const { path, table } of tablesIn(args)) {
      for (const empty of [
        table.slice(0, 0),
        new Table(
          Object.fromEntries(
            Object.entries(columnsOf(table)).map(([column, { type }]) => [column, vectorFromArray([], type)]),
          ),
        ),
      ]) {
        const { refusal, result } = outcomeOf(kernel, withAt(args, path, empty));
        if (refusal) {
          expect([refusal.code, refusal.message.startsWith(`${name}: `)], refusal.message).toEqual([
            "INVALID_ARGUMENT",
            true,
          ]);
          continue;
        }
        // What a task returns goes over the wire.
        const { kind, data } = encodeValue(result);
        const names = (value: unknown): string[][] =>
          tablesIn(value).map((one) => one.table.schema.fields.map((field) => field.name));
        const decoded = decodeValue({ kind, data: data.slice() });
        expect(names(decoded)).toEqual(names(result));
        expect(names(decoded)).toEqual(names(outcomeOf(kernel, args).result));
      }
    }
  });

  it("refuses what is no table, by the argument's name and value", () => {
    for (const { path } of tablesIn(args)) {
      if (blind.has(name) && name !== "volley.concat" && name.startsWith("volley.")) continue;
      const { refusal } = outcomeOf(kernel, withAt(args, path, 17));
      expect(refusal?.code).toBe("INVALID_ARGUMENT");
      expect(refusal?.message).toContain(`${name}: ${kernel.args[Number(path[0])]}`);
      expect(refusal?.message).toContain("17");
    }
  });
});
