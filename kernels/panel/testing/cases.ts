/**
 * Panels for property tests: rows that are not there, missing values, ties, groups and masks; with the rows as plain
 * objects for the oracles.
 */
import { DateDay, Table, Utf8, vectorFromArray } from "apache-arrow";
import fc from "fast-check";
import { boolVector, float64Vector } from "../../columns/building.js";

export interface PanelRow {
  readonly date: number;
  readonly symbol: string;
  readonly x: number;
  readonly y: number;
  readonly z: number;
  readonly price: number;
  readonly sector: string | null;
  readonly use: boolean;
}

/** Not in the order in which they are written: code points, not the alphabet of a locale. */
export const panelSymbols = ["600519", "600520", "A", "AA", "B", "a", "é", "\u{ffee}", "\u{1f600}"];

/** Away from subnormal numbers, of which a square is 0. */
const rounded = (values: fc.Arbitrary<number>): fc.Arbitrary<number> => values.map((x) => Math.round(x * 1e6) / 1e6);
const tied = fc.integer({ min: -2, max: 3 });
const number = fc.oneof(
  { weight: 5, arbitrary: tied },
  { weight: 4, arbitrary: rounded(fc.double({ min: -1e3, max: 1e3, noNaN: true })) },
  { weight: 1, arbitrary: fc.constant(Number.NaN) },
);

const cell = fc.record({
  there: fc.integer({ min: 0, max: 9 }).map((x) => x > 0),
  x: number,
  y: number,
  z: number,
  price: fc.oneof(
    { weight: 9, arbitrary: fc.double({ min: 0.5, max: 200, noNaN: true }) },
    { weight: 1, arbitrary: fc.constant(Number.NaN) },
  ),
  sector: fc.constantFrom("tech", "bank", null, "bank", "tech"),
  use: fc.integer({ min: 0, max: 4 }).map((x) => x > 0),
});

export const panels: fc.Arbitrary<PanelRow[]> = fc
  .tuple(fc.integer({ min: 0, max: 6 }), fc.integer({ min: 1, max: panelSymbols.length }))
  .chain(([dates, width]) =>
    fc.array(cell, { minLength: dates * width, maxLength: dates * width }).map((cells) => ({ cells, width })),
  )
  .map(({ cells, width }) => {
    const rows = cells.map(({ there, ...values }, i) => ({
      there,
      row: { date: 3 * Math.floor(i / width), symbol: panelSymbols[i % width] as string, ...values },
    }));
    return rows.flatMap(({ there, row }) => (there ? [row] : []));
  });

export function tableOfRows(rows: readonly PanelRow[]): Table {
  const numbers = (of: (row: PanelRow) => number) => float64Vector(Float64Array.from(rows, of));
  return new Table({
    date: vectorFromArray(
      rows.map(({ date }) => new Date(date * 86_400_000)),
      new DateDay(),
    ),
    symbol: vectorFromArray(
      rows.map(({ symbol }) => symbol),
      new Utf8(),
    ),
    x: numbers(({ x }) => x),
    y: numbers(({ y }) => y),
    z: numbers(({ z }) => z),
    price: numbers(({ price }) => price),
    sector: vectorFromArray(
      rows.map(({ sector }) => sector),
      new Utf8(),
    ),
    use: boolVector(rows.map(({ use }) => use)),
  });
}

/** A column with null as NaN. */
export const valuesOf = (table: Table, name: string): number[] =>
  [...(table.getChild(name) ?? [])].map((value) => (value === null ? Number.NaN : Number(value)));

/** An oracle by section: `of` gets the values present of a date (and group), in the order of symbols. */
export function bySection(
  rows: readonly PanelRow[],
  rules: { readonly group?: boolean; readonly mask?: boolean },
  of: (values: number[]) => number[],
): number[] {
  const sections = new Map<string, number[]>();
  rows.forEach((row, i) => {
    if (Number.isNaN(row.x) || (rules.mask && !row.use) || (rules.group && row.sector === null)) return;
    const key = `${row.date} ${rules.group ? row.sector : ""}`;
    sections.set(key, [...(sections.get(key) ?? []), i]);
  });
  const out = rows.map(() => Number.NaN);
  for (const places of sections.values()) {
    const made = of(places.map((i) => (rows[i] as PanelRow).x));
    places.forEach((i, k) => {
      out[i] = made[k] as number;
    });
  }
  return out;
}

/** All that a table says. */
export const contents = (table: Table): unknown[] =>
  table.schema.fields.map(({ name }) => [name, String(table.getChild(name)?.type), [...(table.getChild(name) ?? [])]]);
