/**
 * What founding-strategy.ts runs on the cluster beside the kernels: market value, price-to-book, and what a year of
 * holding brought.
 */
import { Float64, makeVector, Table, type Vector, vectorFromArray } from "apache-arrow";

const floats = (table: Table, name: string): number[] =>
  Array.from(table.getChild(name) as Vector<Float64>, (value) => value ?? Number.NaN);
const texts = (table: Table, name: string): string[] => Array.from(table.getChild(name) as Vector, String);
const times = (table: Table, name: string): number[] => Array.from(table.getChild(name) as Vector, Number);

/**
 * Prices on the days of rebalancing, with market value, value of a share held since it was listed, and the next such
 * day.
 */
export function measure(prices: Table): Table {
  const [close, shares, factor, dates] = [
    floats(prices, "close"),
    floats(prices, "shares"),
    floats(prices, "factor"),
    times(prices, "date"),
  ];
  const days = [...new Set(dates)];
  const next = new Map(days.map((day, i) => [day, days[i + 1] ?? day]));
  return new Table({
    date: prices.getChild("date") as Vector,
    symbol: prices.getChild("symbol") as Vector,
    cap: makeVector(Float64Array.from(close, (price, i) => price * (shares[i] as number))),
    value: makeVector(Float64Array.from(close, (price, i) => price * (factor[i] as number))),
    next: vectorFromArray(
      dates.map((day) => new Date(next.get(day) as number)),
      (prices.getChild("date") as Vector).type,
    ),
  });
}

/** Price-to-book; missing where no statement is known. */
export function priceToBook(panel: Table): Table {
  const [cap, book] = [floats(panel, "cap"), floats(panel, "book")];
  const pb = cap.map((value, i) => ((book[i] as number) > 0 ? value / (book[i] as number) : null));
  return panel.assign(new Table({ pb: vectorFromArray(pb, new Float64()) }));
}

/** A mistake: every statement says from its first day what it was corrected to later. */
export function correctedFromTheStart(statements: Table): Table {
  const [symbol, event, version, book] = [
    texts(statements, "symbol"),
    times(statements, "event"),
    times(statements, "version"),
    floats(statements, "book"),
  ];
  const corrected = new Map<string, number>();
  const last = new Map<string, number>();
  symbol.forEach((name, i) => {
    const key = `${name} ${event[i]}`;
    if ((version[i] as number) < (last.get(key) ?? 0)) return;
    last.set(key, version[i] as number);
    corrected.set(key, book[i] as number);
  });
  const final = Float64Array.from(symbol, (name, i) => corrected.get(`${name} ${event[i]}`) as number);
  return new Table({ ...columnsOf(statements), book: makeVector(final) });
}

const columnsOf = (table: Table): Record<string, Vector> =>
  Object.fromEntries(table.schema.fields.map(({ name }) => [name, table.getChild(name) as Vector]));

export interface Holding {
  /** Mean return of a year of cheap small caps, equal weights. */
  readonly cheap: number;
  /** Of the other small caps. */
  readonly others: number;
  readonly years: number;
  /** Symbols held, over all years. */
  readonly held: number;
}

/**
 * Buys at one rebalance and sells at the next. What fails in between is sold for what it brought on its last day, and
 * the money waits. `survivorsOnly` is a mistake: it leaves out what will fail.
 */
export function hold(panel: Table, symbols: Table, survivorsOnly: boolean): Holding {
  const proceeds = new Map(
    texts(symbols, "symbol").map((name, i) => [name, symbols.getChild("proceeds")?.get(i) as number | null]),
  );
  const [dates, names, values] = [times(panel, "date"), texts(panel, "symbol"), floats(panel, "value")];
  const [small, cheap] = [panel.getChild("small") as Vector, panel.getChild("cheap") as Vector];
  const days = [...new Set(dates)];
  const valueAt = new Map(names.map((name, i) => [`${name} ${dates[i]}`, values[i] as number]));
  const yearly: { cheap: number; others: number }[] = [];
  let held = 0;
  for (const [y, day] of days.slice(0, -1).entries()) {
    const returns = { cheap: [] as number[], others: [] as number[] };
    names.forEach((name, i) => {
      if (dates[i] !== day || small.get(i) !== true) return;
      const sold = valueAt.get(`${name} ${days[y + 1]}`);
      if (sold === undefined && survivorsOnly) return;
      returns[cheap.get(i) === true ? "cheap" : "others"].push(
        (sold ?? proceeds.get(name) ?? 0) / (values[i] as number) - 1,
      );
    });
    held += returns.cheap.length;
    yearly.push({ cheap: mean(returns.cheap), others: mean(returns.others) });
  }
  return {
    cheap: mean(yearly.map((year) => year.cheap)),
    others: mean(yearly.map((year) => year.others)),
    years: yearly.length,
    held,
  };
}

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
