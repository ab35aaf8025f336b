/** A market as Arrow tables. */
import {
  DateDay,
  Dictionary,
  Float64,
  Int8,
  Int32,
  makeData,
  Table,
  TimestampMillisecond,
  Utf8,
  Vector,
  vectorFromArray,
} from "apache-arrow";
import type { Market, SymbolHistory } from "./market.js";

/** After the close, 20:00, comes the publication, 22:00, in UTC. */
export const closeMs = 20 * 3_600_000;
const publicationMs = 22 * 3_600_000;

const dates = (days: Int32Array): Vector =>
  new Vector([makeData({ type: new DateDay(), length: days.length, nullCount: 0, data: days })]);
const floats = (values: Float64Array): Vector =>
  new Vector([makeData({ type: new Float64(), length: values.length, nullCount: 0, data: values })]);
const instants = (values: BigInt64Array): Vector =>
  new Vector([makeData({ type: new TimestampMillisecond("UTC"), length: values.length, nullCount: 0, data: values })]);

function words(indices: Int32Array, texts: readonly string[]): Vector {
  const dictionary = vectorFromArray(texts, new Utf8());
  return new Vector([
    makeData({
      type: new Dictionary(new Utf8(), new Int32(), 0),
      length: indices.length,
      nullCount: 0,
      data: indices,
      dictionary,
    }),
  ]);
}

interface Row {
  readonly history: SymbolHistory;
  readonly symbol: number;
  readonly i: number;
}

/**
 * date, symbol, close, volume, shares (outstanding), factor (of all splits up to the day: close x factor is comparable
 * over time).
 */
function pricesTable({ calendar }: Market, histories: readonly SymbolHistory[], rows: readonly Row[]): Table {
  const n = rows.length;
  const [day, symbol] = [new Int32Array(n), new Int32Array(n)];
  const [close, volume, shares, factor] = [
    new Float64Array(n),
    new Float64Array(n),
    new Float64Array(n),
    new Float64Array(n),
  ];
  rows.forEach(({ history, symbol: number, i }, row) => {
    const today = calendar.days[history.listed + i] as number;
    day[row] = today;
    symbol[row] = number;
    close[row] = history.close[i] as number;
    volume[row] = history.volume[i] as number;
    shares[row] = history.shares[i] as number;
    factor[row] = history.splits.reduce((product, split) => (split.day <= today ? product * split.ratio : product), 1);
  });
  const names = histories.map((history) => history.symbol);
  return new Table({
    date: dates(day),
    symbol: words(symbol, names),
    close: floats(close),
    volume: floats(volume),
    shares: floats(shares),
    factor: floats(factor),
  });
}

/** Prices of one symbol, ascending by date. */
export const pricesOfSymbol = (market: Market, history: SymbolHistory): Table =>
  pricesTable(
    market,
    [history],
    Array.from({ length: history.end - history.listed }, (_, i) => ({ history, symbol: 0, i })),
  );

/** Prices of the trading days [from, to), by date, then symbol. */
export function pricesOfDays(market: Market, from: number, to: number): Table {
  const histories = market.symbols.filter(({ listed, end }) => listed < to && end > from);
  const rows: Row[] = [];
  for (let d = from; d < to; d++)
    histories.forEach(
      (history, symbol) =>
        d >= history.listed && d < history.end && rows.push({ history, symbol, i: d - history.listed }),
    );
  return pricesTable(market, histories, rows);
}

/** symbol, event (quarter's end), known (publication), book, earnings, version; by symbol, then known. */
export function statementsTable({ symbols }: Market): Table {
  const rows = symbols.flatMap(({ statements }, symbol) => statements.map((statement) => ({ symbol, statement })));
  return new Table({
    symbol: words(
      Int32Array.from(rows, (row) => row.symbol),
      symbols.map(({ symbol }) => symbol),
    ),
    event: dates(Int32Array.from(rows, ({ statement }) => statement.event)),
    known: instants(BigInt64Array.from(rows, ({ statement }) => BigInt(statement.known * 86_400_000 + publicationMs))),
    book: floats(Float64Array.from(rows, ({ statement }) => statement.book)),
    earnings: floats(Float64Array.from(rows, ({ statement }) => statement.earnings)),
    version: new Vector([
      makeData({
        type: new Int8(),
        length: rows.length,
        nullCount: 0,
        data: Int8Array.from(rows, ({ statement }) => statement.version),
      }),
    ]),
  });
}

/**
 * symbol, listed (first day), delisted (last day of those that failed, else null), proceeds (the last close x factor of
 * those that failed).
 */
export function symbolsTable({ symbols, calendar }: Market): Table {
  const day = (index: number): number => calendar.days[index] as number;
  const factor = ({ splits }: SymbolHistory): number => splits.reduce((product, { ratio }) => product * ratio, 1);
  return new Table({
    symbol: vectorFromArray(
      symbols.map(({ symbol }) => symbol),
      new Utf8(),
    ),
    listed: dates(Int32Array.from(symbols, ({ listed }) => day(listed))),
    delisted: vectorFromArray(
      symbols.map(({ failed, end }) => (failed ? new Date(day(end - 1) * 86_400_000) : null)),
      new DateDay(),
    ),
    proceeds: vectorFromArray(
      symbols.map((history) => (history.failed ? (history.close.at(-1) as number) * factor(history) : null)),
      new Float64(),
    ),
  });
}

/** symbol, date, ratio: new shares for one old, effective at that day's open. */
export function splitsTable({ symbols }: Market): Table {
  const rows = symbols.flatMap(({ splits }, symbol) => splits.map((split) => ({ symbol, ...split })));
  return new Table({
    symbol: words(
      Int32Array.from(rows, (row) => row.symbol),
      symbols.map(({ symbol }) => symbol),
    ),
    date: dates(Int32Array.from(rows, ({ day }) => day)),
    ratio: floats(Float64Array.from(rows, ({ ratio }) => ratio)),
  });
}
