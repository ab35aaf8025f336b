/**
 * Six ways to look ahead, each beside the right way, as functions of tables. The look-ahead check must find the first
 * and pass the second. bars: date, symbol, close. filings: symbol, period (the quarter's end), filed (when it was
 * published), value.
 */
import { type Table, tableFromArrays } from "apache-arrow";

const numbers = (table: Table, name: string): number[] => Array.from(table.getChild(name) ?? [], Number);
const texts = (table: Table, name: string): string[] => Array.from(table.getChild(name) ?? [], String);
const out = (values: readonly number[]): Table => tableFromArrays({ value: Float64Array.from(values) });

/** 1: tomorrow's return as today's feature. */
export const shiftWrong = (bars: Table): Table => {
  const close = numbers(bars, "close");
  return out(close.map((price, i) => (close[i + 1] ?? Number.NaN) / price - 1));
};
export const shiftRight = (bars: Table): Table => {
  const close = numbers(bars, "close");
  return out(close.map((price, i) => price / (close[i - 1] ?? Number.NaN) - 1));
};

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

/** 2: a window centred on today. */
export const centredWrong = (bars: Table): Table => {
  const close = numbers(bars, "close");
  return out(close.map((_, i) => mean(close.slice(Math.max(0, i - 2), i + 3))));
};
export const centredRight = (bars: Table): Table => {
  const close = numbers(bars, "close");
  return out(close.map((_, i) => mean(close.slice(Math.max(0, i - 4), i + 1))));
};

const zscore = (value: number, of: readonly number[]): number => {
  const centre = mean(of);
  return (value - centre) / Math.sqrt(mean(of.map((v) => (v - centre) ** 2)));
};

/** 3: mean and deviation of the whole sample. */
export const zscoreWrong = (bars: Table): Table => {
  const close = numbers(bars, "close");
  return out(close.map((value) => zscore(value, close)));
};
export const zscoreRight = (bars: Table): Table => {
  const close = numbers(bars, "close");
  return out(close.map((value, i) => zscore(value, close.slice(0, i + 1))));
};

interface Filing {
  symbol: string;
  period: number;
  filed: number;
  value: number;
}

function filingsOf(table: Table): Filing[] {
  const [symbol, period, filed, value] = [
    texts(table, "symbol"),
    numbers(table, "period"),
    numbers(table, "filed"),
    numbers(table, "value"),
  ];
  return symbol.map((name, i) => ({
    symbol: name,
    period: period[i] ?? 0,
    filed: filed[i] ?? 0,
    value: value[i] ?? 0,
  }));
}

/** Beside every bar, the filing that `choose` takes of those it sees. */
function beside(
  bars: Table,
  filings: Table,
  sees: (filing: Filing, date: number) => boolean,
  order: (filing: Filing) => number,
): Table {
  const all = filingsOf(filings);
  const symbol = texts(bars, "symbol");
  return out(
    numbers(bars, "date").map((date, i) => {
      const seen = all.filter((filing) => filing.symbol === symbol[i] && sees(filing, date));
      return seen.sort((a, b) => a.period - b.period || order(a) - order(b)).at(-1)?.value ?? Number.NaN;
    }),
  );
}

const day = 86_400_000;

/** 4: a filing of this evening used at today's bar (compared by date, not by time). */
export const sameDayWrong = (bars: Table, filings: Table): Table =>
  beside(
    bars,
    filings,
    (filing, date) => Math.floor(filing.filed / day) * day <= date,
    (filing) => filing.filed,
  );
export const sameDayRight = (bars: Table, filings: Table): Table =>
  beside(
    bars,
    filings,
    (filing, date) => filing.filed <= date,
    (filing) => filing.filed,
  );

/** 5: the restated value, for bars before the restatement. */
export const restatedWrong = (bars: Table, filings: Table): Table => {
  const firstFiled = new Map<string, number>();
  for (const { symbol, period, filed } of filingsOf(filings))
    firstFiled.set(`${symbol}/${period}`, Math.min(filed, firstFiled.get(`${symbol}/${period}`) ?? filed));
  return beside(
    bars,
    filings,
    (filing, date) => (firstFiled.get(`${filing.symbol}/${filing.period}`) ?? 0) <= date,
    (filing) => filing.filed,
  );
};
export const restatedRight = sameDayRight;

/** 6: only symbols that are still there at the end. */
export const survivorsWrong = (bars: Table): Table => {
  const [date, symbol, close] = [numbers(bars, "date"), texts(bars, "symbol"), numbers(bars, "close")];
  const last = Math.max(...date);
  const alive = new Set(symbol.filter((_, i) => date[i] === last));
  return averageByDate(date, (i) => alive.has(symbol[i] ?? ""), close);
};
export const survivorsRight = (bars: Table): Table =>
  averageByDate(numbers(bars, "date"), () => true, numbers(bars, "close"));

function averageByDate(date: readonly number[], takes: (row: number) => boolean, close: readonly number[]): Table {
  const dates = [...new Set(date)].sort((a, b) => a - b);
  const value = dates.map((at) => mean(close.filter((_, i) => date[i] === at && takes(i))));
  return tableFromArrays({ date: Float64Array.from(dates), value: Float64Array.from(value) });
}

/**
 * The full-sample z-score again, by a function that wants every row: with rows taken away it refuses, and only a future
 * that is spoilt tells.
 */
const daysExpected = 24;
export const wholeYearWrong = (bars: Table): Table => {
  const days = new Set(numbers(bars, "date")).size;
  if (days < daysExpected) throw new Error(`${days} days of ${daysExpected}: the year is not complete`);
  return zscoreWrong(bars);
};

/** A label made of tomorrow's close, and the same where it is known: a day later. */
export const labelled = (bars: Table): Table => shiftWrong(bars);
export const labelledLater = (bars: Table): Table => {
  const label = numbers(shiftWrong(bars), "value");
  return out(label.map((_, i) => label[i - 1] ?? Number.NaN));
};
