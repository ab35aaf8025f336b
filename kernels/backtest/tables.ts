/** A run as tables: orders, trades, positions, equity, statistics. Each is made only if it is asked for. */
import {
  Bool,
  type DataType,
  DateDay,
  Dictionary,
  Float64,
  Int8,
  Int32,
  makeData,
  Table,
  Utf8,
  Vector,
} from "apache-arrow";
import { float64Vector, int32Vector } from "../columns/building.js";
import { storedValues } from "../columns/reading.js";
import { accountCounts, accountStatistics, returnsOf, statisticsOf } from "./account-statistics.js";
import type { Output } from "./options.js";
import { causes, statuses } from "./order-log.js";
import type { Panel } from "./panel.js";
import type { Run } from "./plan.js";
import { type TradeList, tradesOf } from "./trades.js";

interface Asked {
  readonly outputs: readonly Output[];
  readonly cash: number;
  readonly periodsPerYear: number;
  readonly shared: boolean;
}

export type BacktestTables = Partial<Record<Output, Table>>;

export function tablesOf(panel: Panel, run: Run, asked: Asked): BacktestTables {
  const wants = (output: Output): boolean => asked.outputs.includes(output);
  const lastRow = (s: number): number => (panel.starts[s + 1] as number) - 1;
  const trades = wants("trades") || wants("statistics") ? tradesOf(run.log, lastRow, run.lastClose) : undefined;
  return {
    ...(wants("orders") ? { orders: ordersTable(panel, run) } : {}),
    ...(wants("trades") ? { trades: tradesTable(panel, trades as TradeList) } : {}),
    ...(wants("positions") ? { positions: positionsTable(panel, run) } : {}),
    ...(wants("equity") ? { equity: equityTable(panel, run, asked) } : {}),
    ...(wants("statistics") ? { statistics: statisticsTable(panel, run, trades as TradeList, asked) } : {}),
  };
}

// ------------------------------------------------------------------------------------------------ columns

/** Words of a fixed list, as a dictionary: an index each. */
function wordVector(words: readonly string[], index: Int8 | Int32, codes: Int8Array | Int32Array): Vector {
  const bytes = words.map((word) => new TextEncoder().encode(word));
  const valueOffsets = new Int32Array(words.length + 1);
  bytes.forEach((word, i) => {
    valueOffsets[i + 1] = (valueOffsets[i] as number) + word.length;
  });
  const data = new Uint8Array(valueOffsets[words.length] as number);
  bytes.forEach((word, i) => {
    data.set(word, valueOffsets[i] as number);
  });
  const dictionary = new Vector([
    makeData({ type: new Utf8(), length: words.length, nullCount: 0, valueOffsets, data }),
  ]);
  return new Vector([
    makeData({
      type: new Dictionary(new Utf8(), index),
      length: codes.length,
      nullCount: 0,
      data: codes as Int32Array,
      dictionary,
    }),
  ]);
}

/** Codes of a byte each, in place. */
const wordOf = (words: readonly string[], codes: Uint8Array, count: number): Vector =>
  wordVector(words, new Int8(), new Int8Array(codes.buffer, codes.byteOffset, count));

/** A loop: `Int32Array.from` with a function takes ten times as long. */
function integers(length: number, at: (i: number) => number): Int32Array {
  const values = new Int32Array(length);
  for (let i = 0; i < length; i++) values[i] = at(i);
  return values;
}

function flagsOf(flags: Uint8Array, count: number): Vector {
  const data = new Uint8Array((count + 7) >> 3);
  for (let i = 0; i < count; i++) data[i >> 3] = (data[i >> 3] as number) | ((flags[i] as number) << (i & 7));
  return new Vector([makeData({ type: new Bool(), length: count, nullCount: 0, data })]);
}

/** The dates of rows of the panel, of the type that the table has. */
function datesAt(panel: Panel, rows: ArrayLike<number>, count: number): Vector {
  const { dates, order } = panel;
  const stored = storedDates(dates, panel);
  const values = new (stored.values.constructor as new (length: number) => Int32Array)(count);
  for (let i = 0; i < count; i++) {
    const row = rows[i] as number;
    values[i] = stored.values[order && stored.ofTable ? (order[row] as number) : row] as number;
  }
  return new Vector([makeData({ type: stored.type as DateDay, length: count, nullCount: 0, data: values })]);
}

/** Timestamps keep their type; every other form of date is days. */
function storedDates(dates: Vector, panel: Panel): { type: DataType; values: Int32Array; ofTable: boolean } {
  if (panel.times instanceof Float64Array)
    return { type: dates.type, values: storedValues(dates) as Int32Array, ofTable: true };
  return { type: new DateDay(), values: panel.times, ofTable: false };
}

const symbolsAt = (panel: Panel, codes: Int32Array, count: number): Vector =>
  wordVector(panel.symbols, new Int32(), codes.subarray(0, count));

/** Signs as words: the first for -1, the second for 0, the third for 1. */
function signsOf(words: readonly [string, string, string], signs: Int8Array, count: number): Vector {
  const codes = new Int8Array(count);
  for (let i = 0; i < count; i++) codes[i] = (signs[i] as number) + 1;
  return wordVector(words, new Int8(), codes);
}

/** The symbol of every row. */
function codesByRow(panel: Panel): Int32Array {
  const codes = new Int32Array(panel.rows);
  for (let s = 0; s < panel.symbols.length; s++) codes.fill(s, panel.starts[s], panel.starts[s + 1]);
  return codes;
}

const allRows = (panel: Panel): Int32Array => integers(panel.rows, (i) => i);

// ------------------------------------------------------------------------------------------------ tables

const sideWords = ["sell", "split", "buy"] as const;

function ordersTable(panel: Panel, { log }: Run): Table {
  const { count } = log;
  // In place: only a price may be missing.
  const floats = (data: Float64Array): Vector =>
    new Vector([makeData({ type: new Float64(), length: count, nullCount: 0, data: data.subarray(0, count) })]);
  return new Table({
    symbol: symbolsAt(panel, log.symbol, count),
    decided: datesAt(panel, log.decided, count),
    date: datesAt(panel, log.row, count),
    side: signsOf(sideWords, log.side, count),
    cause: wordOf(causes, log.cause, count),
    status: wordOf(statuses, log.status, count),
    asked: floats(log.asked),
    size: floats(log.size),
    price: log.unpriced > 0 ? float64Vector(log.price.subarray(0, count)) : floats(log.price),
    fees: floats(log.fees),
  });
}

const tradeSides = ["short", "", "long"] as const;

function tradesTable(panel: Panel, trades: TradeList): Table {
  const { count } = trades;
  const floats = (values: Float64Array): Vector => float64Vector(values.subarray(0, count));
  const returns = new Float64Array(count);
  for (let i = 0; i < count; i++)
    returns[i] = (trades.pnl[i] as number) / ((trades.size[i] as number) * (trades.entryPrice[i] as number));
  return new Table({
    symbol: symbolsAt(panel, trades.symbol, count),
    side: signsOf(tradeSides, trades.side, count),
    entryDate: datesAt(panel, trades.entryRow, count),
    exitDate: datesAt(panel, trades.exitRow, count),
    bars: int32Vector(integers(count, (i) => (trades.exitRow[i] as number) - (trades.entryRow[i] as number))),
    closed: flagsOf(trades.closed, count),
    cause: wordOf(causes, trades.cause, count),
    size: floats(trades.size),
    entryPrice: floats(trades.entryPrice),
    exitPrice: floats(trades.exitPrice),
    entryFees: floats(trades.entryFees),
    exitFees: floats(trades.exitFees),
    pnl: floats(trades.pnl),
    return: float64Vector(returns),
  });
}

function positionsTable(panel: Panel, run: Run): Table {
  return new Table({
    symbol: symbolsAt(panel, codesByRow(panel), panel.rows),
    date: datesAt(panel, allRows(panel), panel.rows),
    size: float64Vector(run.position),
    value: float64Vector(run.marked),
  });
}

function equityTable(panel: Panel, run: Run, { cash, shared }: Asked): Table {
  const { value } = run;
  const returns = new Float64Array(value.length);
  const spans = shared
    ? [[0, value.length]]
    : Array.from(panel.symbols, (_, s) => [panel.starts[s] as number, panel.starts[s + 1] as number]);
  for (const [from, to] of spans) returns.set(returnsOf(value.subarray(from, to), cash), from);
  return new Table({
    ...(shared ? {} : { symbol: symbolsAt(panel, codesByRow(panel), panel.rows) }),
    date: datesAt(panel, shared ? firstRows(panel, run.dates as Float64Array) : allRows(panel), value.length),
    cash: float64Vector(run.cash),
    value: float64Vector(value),
    return: float64Vector(returns),
  });
}

/** A row of each date. */
function firstRows(panel: Panel, dates: Float64Array): Int32Array {
  const rowOf = new Map<number, number>();
  for (let row = panel.rows - 1; row >= 0; row--) rowOf.set(panel.times[row] as number, row);
  return Int32Array.from(dates, (date) => rowOf.get(date) as number);
}

function statisticsTable(panel: Panel, run: Run, trades: TradeList, { cash, periodsPerYear, shared }: Asked): Table {
  const accounts = shared ? 1 : panel.symbols.length;
  const values = (a: number): Float64Array =>
    shared ? run.value : run.value.subarray(panel.starts[a], panel.starts[a + 1]);
  const columns = statisticsOf(accounts, values, cash, periodsPerYear, {
    log: run.log,
    trades,
    accountOf: shared ? () => 0 : (symbol) => symbol,
  });
  return new Table({
    ...(shared
      ? {}
      : {
          symbol: symbolsAt(
            panel,
            integers(accounts, (a) => a),
            accounts,
          ),
        }),
    ...Object.fromEntries(accountCounts.map((name) => [name, int32Vector(Int32Array.from(columns[name]))])),
    ...Object.fromEntries(accountStatistics.map((name) => [name, float64Vector(columns[name])])),
  });
}
