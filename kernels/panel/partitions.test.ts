/**
 * A panel cut between dates, wherever: every piece gives its rows of the whole, bit for bit, with as many dates around
 * it as the kernel says it reads. And the types of the axes change nothing. (Batches, which are no partitions:
 * kernels/every-kernel.test.ts.)
 */
import {
  DateDay,
  DateMillisecond,
  Dictionary,
  Int8,
  Int16,
  Int32,
  Int64,
  LargeUtf8,
  makeData,
  Table,
  Timestamp,
  TimeUnit,
  Uint32,
  Uint64,
  Utf8,
  Vector,
  vectorFromArray,
} from "apache-arrow";
import { describe, expect, it } from "vitest";
import { fc } from "../../proto/testing/drawn.js";
import { decodeValue, encodeValue } from "../../proto/values/value.js";
import { float64Vector } from "../columns/building.js";
import { requireKernel } from "../registry.js";
import { casesPerKernel } from "../testing/property-cases.js";
import { panelKernels } from "./index.js";
import { type PanelRow, panelSymbols, panels, tableOfRows } from "./testing/cases.js";

const cases = { numRuns: casesPerKernel };
const run = (kernel: string, ...args: unknown[]): Table => requireKernel(`panel.${kernel}`, 1).run(...args) as Table;
const day = (date: number): Date => new Date(date * 86_400_000);
const days = (dates: readonly (number | null)[]): Vector =>
  vectorFromArray(
    dates.map((date) => (date === null ? null : day(date))),
    new DateDay(),
  );
const texts = (values: readonly string[]): Vector => vectorFromArray(values, new Utf8());
const overTheWire = (value: Table): Table => {
  const { kind, data } = encodeValue(value);
  return decodeValue({ kind, data: data.slice() }) as Table;
};

/** All that tables say, but for some columns, behind one another. NaN does not come out of kernels; -0 is not 0. */
const contents = (tables: readonly Table[], without: readonly string[] = []): string => {
  const fields = (tables[0] as Table).schema.fields.filter(({ name }) => !without.includes(name));
  const columns = fields.map(({ name, type }) => {
    const said: unknown[] = [name, String(type)];
    for (const table of tables)
      for (const value of table.getChild(name) ?? []) said.push(Object.is(value, -0) ? "-0" : value);
    return said.join();
  });
  return columns.join("\n");
};

/** The matcher only writes the message. */
const same = (made: string, expected: string, kernel: string): void => {
  if (made !== expected) expect(made, kernel).toBe(expected);
};

const factorOptions = { factor: "x", buckets: 3, meaning: "count" };
const intervals = new Table({
  symbol: texts(["A", "A", "600519", "B"]),
  from: days([0, 9, null, 4]),
  to: days([6, null, 7, 12]),
});
const ended = new Table({ symbol: texts(["B"]), date: days([9]) });

interface Piecewise {
  readonly params: Record<string, unknown>;
  readonly beside?: readonly unknown[];
  /** How many dates it reads before and after its own. */
  readonly before?: number;
  readonly after?: number;
}

const piecewise: Readonly<Record<string, Piecewise>> = {
  rank: { params: { columns: ["x", "y"], group: "sector" } },
  quantile: { params: { columns: ["x"], buckets: 3, meaning: "qcut", duplicates: "drop", mask: "use" } },
  select: { params: { columns: ["x"], side: "top", fraction: 0.3, meaning: "numpy-linear" } },
  zscore: { params: { columns: ["x", "y"], mask: "use" } },
  demean: { params: { columns: ["x"], group: "sector", keep: ["price"] } },
  winsorize: { params: { columns: ["x"], method: "mad" } },
  neutralise: { params: { columns: ["x"], method: "regress", exposures: ["y"], group: "sector" } },
  universe: { params: { bounds: "closed", output: "rows" }, beside: [intervals, ended] },
  pivot: { params: { columns: ["x", "y"], symbols: ["A", "600519", "nobody"] } },
  forward_returns: { params: { price: "price", horizons: [2], keep: ["x"] }, after: 2 },
  ic: { params: { factor: "x", returns: ["y", "z"] } },
  quantile_returns: { params: { ...factorOptions, returns: ["y"], weight: "price" } },
  turnover: { params: { ...factorOptions, lag: 2 }, before: 2 },
  rank_autocorrelation: { params: { factor: "x", lag: 1 }, before: 1 },
};
/**
 * Of the whole panel; and what has no panel. Their pieces are columns and horizons, in every-kernel.test.ts; unpivot's
 * are below.
 */
const others = ["ic_decay", "ic_summary", "unpivot"];
const all = Object.entries(piecewise);
/** Kernels that see the same panels. */
const groups = [0, 4, 8, 12]
  .map((at) => all.slice(at, at + 4))
  .map((some) => [some.map(([kernel]) => kernel).join(", "), some] as const);

/** The rows of table whose date is one of [from, to) of `dates`. */
function between(table: Table, dates: readonly number[], from: number, to: number): Table {
  const places = [...(table.getChild("date") ?? [])].map((value) => dates.indexOf(Number(value) / 86_400_000));
  const first = places.findIndex((place) => place >= from);
  const last = places.findIndex((place) => place >= to);
  const start = first < 0 ? table.numRows : first;
  return table.slice(start, last < 0 ? table.numRows : Math.max(last, start));
}

/**
 * Pieces of a table of these dates, each made once. A slice shares the buffers of the whole, at an offset; over the
 * wire it has its own.
 */
function reader(whole: Table, dates: readonly number[]): (from: number, to: number) => Table {
  const known = new Map<string, Table>();
  return (from, to) => {
    const made = known.get(`${from} ${to}`) ?? between(whole, dates, from, to);
    const read = known.has(`${from} ${to}`) || from % 2 === 0 ? made : overTheWire(made);
    known.set(`${from} ${to}`, read);
    return read;
  };
}

function piece(
  kernel: string,
  { params, beside = [], before = 0, after = 0 }: Piecewise,
  read: ReturnType<typeof reader>,
  dates: readonly number[],
  [from, to]: Cut,
): Table {
  const made = run(kernel, read(Math.max(0, from - before), to + after), ...beside, params);
  return before + after === 0 ? made : between(made, dates, from, to);
}

type Cut = readonly [from: number, to: number];

/** Two pieces, of which either may be of no date. Pieces are panels, so what holds of two holds of any number. */
const cuts = fc.nat(7).map((at): Cut[] => [
  [0, at],
  [at, 100],
]);

describe("partitions between dates", () => {
  it("are those of every kernel that has a panel", () => {
    expect([...all.map(([kernel]) => kernel), ...others].map((kernel) => `panel.${kernel}`).sort()).toEqual(
      panelKernels.map(({ name }) => name).sort(),
    );
    for (const [kernel, { params, before = 0 }] of all) {
      const { lookback, causality } = requireKernel(`panel.${kernel}`, 1);
      if (causality === "causal") expect([kernel, lookback?.(params)]).toEqual([kernel, before]);
    }
  });

  it.each(groups)("of %s are the whole, bit for bit", (_, kernels) => {
    fc.assert(
      fc.property(panels, cuts, (rows, pieces) => {
        const whole = tableOfRows(rows);
        const dates = [...new Set(rows.map(({ date }) => date))];
        const read = reader(whole, dates);
        for (const [kernel, piecewise] of kernels) {
          const made = pieces.map((cut) => piece(kernel, piecewise, read, dates, cut));
          same(contents(made), contents([run(kernel, whole, ...(piecewise.beside ?? []), piecewise.params)]), kernel);
        }
      }),
      cases,
    );
  });

  it("of unpivot are the whole, bit for bit", () => {
    fc.assert(
      fc.property(panels, cuts, fc.constantFrom("drop", "keep"), (rows, pieces, missing) => {
        const whole = run("pivot", tableOfRows(rows), { columns: ["x"], symbols: panelSymbols });
        const dates = [...new Set(rows.map(({ date }) => date))];
        const made = pieces.map((cut) => piece("unpivot", { params: { missing } }, reader(whole, dates), dates, cut));
        same(contents(made), contents([run("unpivot", whole, { missing })]), "unpivot");
      }),
      cases,
    );
  });
});

// ------------------------------------------------------------------------------------------------ types of the axes

/** A dictionary that is in no order and has every value twice, of which either stands for it. */
function shuffledDictionary(names: readonly string[]): Vector {
  const distinct = [...new Set(names)].reverse();
  const codes = Int8Array.from(names, (name, i) => distinct.indexOf(name) + (i % 2) * distinct.length);
  const dictionary = texts([...distinct, ...distinct]);
  return new Vector([
    makeData({
      type: new Dictionary(new Utf8(), new Int8()),
      length: names.length,
      nullCount: 0,
      data: codes,
      dictionary,
    }),
  ]);
}

const dateTypes: readonly ((dates: readonly number[]) => Vector)[] = [
  days,
  (dates) => texts(dates.map((date) => day(date).toISOString().slice(0, 10))),
  (dates) => vectorFromArray(dates.map(day), new DateMillisecond()),
  ...[TimeUnit.SECOND, TimeUnit.MILLISECOND, TimeUnit.NANOSECOND].map(
    (unit) =>
      (dates: readonly number[]): Vector =>
        vectorFromArray(
          dates.map((date) => date * 86_400_000),
          new Timestamp(unit),
        ),
  ),
  (dates) => float64Vector(Float64Array.from(dates, (date) => date / 7)),
  (dates) => vectorFromArray(dates, new Int16()),
  (dates) =>
    vectorFromArray(
      dates.map((date) => BigInt(date) - 5n),
      new Int64(),
    ),
];

/** Of names that are whole numbers of three digits, which are in the same order as text. */
const symbolTypes: readonly ((names: readonly string[]) => Vector)[] = [
  texts,
  (names) => vectorFromArray(names, new LargeUtf8()),
  (names) => vectorFromArray(names, new Dictionary(new Utf8(), new Int32())),
  shuffledDictionary,
  (names) => vectorFromArray(names.map(Number), new Int16()),
  (names) => vectorFromArray(names.map(Number), new Uint32()),
  (names) => vectorFromArray(names.map(BigInt), new Int64()),
  (names) => vectorFromArray(names.map(BigInt), new Uint64()),
];

const named = (rows: readonly PanelRow[]): string[] =>
  rows.map(({ symbol }) => String(100 + panelSymbols.indexOf(symbol)));
const axes = fc.record({ date: fc.nat(dateTypes.length - 1), symbol: fc.nat(symbolTypes.length - 1) });

function withAxes(table: Table, rows: readonly PanelRow[], types: { date: number; symbol: number }): Table {
  const columns = Object.fromEntries(table.schema.fields.map(({ name }) => [name, table.getChild(name) as Vector]));
  const date = dateTypes[types.date]?.(rows.map(({ date }) => date)) as Vector;
  return new Table({ ...columns, date, symbol: symbolTypes[types.symbol]?.(named(rows)) as Vector });
}

describe("dates and symbols of any type", () => {
  const params = { ...piecewise.pivot?.params, symbols: ["100", "101", "999"] };
  const kernels = all
    .filter(([kernel]) => kernel !== "universe")
    .map(([kernel, one]) => [kernel, kernel === "pivot" ? params : one.params] as const);

  it("make the same cross-sections and histories, for every kernel", () => {
    fc.assert(
      fc.property(panels, axes, (rows, types) => {
        const table = tableOfRows(rows);
        const [expected, given] = [withAxes(table, rows, { date: 0, symbol: 0 }), withAxes(table, rows, types)];
        for (const [kernel, params] of kernels)
          same(
            contents([run(kernel, given, params)], ["date", "symbol"]),
            contents([run(kernel, expected, params)], ["date", "symbol"]),
            kernel,
          );
      }),
      cases,
    );
  });

  it("are refused where two rows change places, at the first row that is wrong", () => {
    let refused = 0;
    fc.assert(
      fc.property(panels, axes, fc.nat(60), fc.constantFrom("exchanged", "doubled"), (sorted, types, at, how) => {
        const place = sorted.length > 1 ? at % (sorted.length - 1) : 0;
        const [one, two] = sorted.slice(place, place + 2) as [PanelRow | undefined, PanelRow | undefined];
        if (!one || !two) return;
        const rows = sorted.with(place + 1, one).with(place, how === "exchanged" ? two : one);
        const key = ({ date, symbol }: PanelRow): number => 100 * date + panelSymbols.indexOf(symbol);
        const wrong = rows.findIndex((row, i) => i > 0 && row.date < (rows[i - 1] as PanelRow).date);
        const row = wrong >= 0 ? wrong : rows.findIndex((row, i) => i > 0 && key(row) <= key(rows[i - 1] as PanelRow));
        refused++;
        const message = new RegExp(
          `^panel\\.rank: column "${wrong >= 0 ? "date" : "symbol"}" of the panel table .*\\brow(s \\d+ and)? ${row}\\b`,
        );
        expect(() => run("rank", withAxes(tableOfRows(rows), rows, types), { columns: ["x"] })).toThrow(message);
      }),
      cases,
    );
    expect(refused).toBeGreaterThan(casesPerKernel / 2);
  });
});
