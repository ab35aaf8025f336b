/**
 * Trades: every order that reduces a position closes a trade of that size, entered at the average price of what is
 * held, with its share of the entries' fees (vectorbt's exit trades). What is held at the end is an open trade, valued
 * at the last close. So the profits and losses of all trades sum to the account's.
 */
import type { OrderLog } from "./order-log.js";

export class TradeList {
  count = 0;
  symbol: Int32Array;
  /**
   * Rows of the bar that opened the position and of the one that closed this part of it (open trades: the last row).
   */
  entryRow: Int32Array;
  exitRow: Int32Array;
  /** 1 long, -1 short. */
  side: Int8Array;
  closed: Uint8Array;
  cause: Uint8Array;
  size: Float64Array;
  entryPrice: Float64Array;
  exitPrice: Float64Array;
  entryFees: Float64Array;
  exitFees: Float64Array;
  pnl: Float64Array;

  constructor(length: number) {
    this.symbol = new Int32Array(length);
    this.entryRow = new Int32Array(length);
    this.exitRow = new Int32Array(length);
    this.side = new Int8Array(length);
    this.closed = new Uint8Array(length);
    this.cause = new Uint8Array(length);
    this.size = new Float64Array(length);
    this.entryPrice = new Float64Array(length);
    this.exitPrice = new Float64Array(length);
    this.entryFees = new Float64Array(length);
    this.exitFees = new Float64Array(length);
    this.pnl = new Float64Array(length);
  }

  put(
    held: Holdings,
    symbol: number,
    row: number,
    closed: boolean,
    cause: number,
    size: number,
    price: number,
    exitFees: number,
  ): void {
    const at = this.count++;
    const part = size / (held.size[symbol] as number);
    const entry = (held.gross[symbol] as number) * part;
    const entryFees = (held.fees[symbol] as number) * part;
    const side = held.side[symbol] as number;
    this.symbol[at] = symbol;
    this.entryRow[at] = held.since[symbol] as number;
    this.exitRow[at] = row;
    this.side[at] = side;
    this.closed[at] = closed ? 1 : 0;
    this.cause[at] = cause;
    this.size[at] = size;
    this.entryPrice[at] = entry / size;
    this.exitPrice[at] = price;
    this.entryFees[at] = entryFees;
    this.exitFees[at] = exitFees;
    this.pnl[at] = side * (size * price - entry) - entryFees - exitFees;
    const left = 1 - part;
    held.size[symbol] = (held.size[symbol] as number) * left;
    held.gross[symbol] = (held.gross[symbol] as number) - entry;
    held.fees[symbol] = (held.fees[symbol] as number) - entryFees;
  }
}

/** What is held per symbol while the log is read: shares, what they cost, the fees paid for them. */
interface Holdings {
  readonly size: Float64Array;
  readonly gross: Float64Array;
  readonly fees: Float64Array;
  readonly since: Int32Array;
  readonly side: Int8Array;
}

/** `lastRow` and `lastClose` of each symbol value what is still held. */
export function tradesOf(log: OrderLog, lastRow: (symbol: number) => number, lastClose: Float64Array): TradeList {
  const symbols = lastClose.length;
  const held: Holdings = {
    size: new Float64Array(symbols),
    gross: new Float64Array(symbols),
    fees: new Float64Array(symbols),
    since: new Int32Array(symbols),
    side: new Int8Array(symbols),
  };
  const trades = new TradeList(log.count + symbols);
  for (let i = 0; i < log.count; i++) take(log, i, held, trades);
  for (let s = 0; s < symbols; s++) {
    if ((held.size[s] as number) > 0)
      trades.put(held, s, lastRow(s), false, 0, held.size[s] as number, lastClose[s] as number, 0);
  }
  return trades;
}

/** Shares this far below a whole position are its rounding. */
const rounding = 1e-12;

function take(log: OrderLog, i: number, held: Holdings, trades: TradeList): void {
  const s = log.symbol[i] as number;
  const side = log.side[i] as number;
  if (side === 0) {
    held.size[s] = (held.size[s] as number) * (log.size[i] as number);
    return;
  }
  let size = log.size[i] as number;
  if (!(size > 0)) return;
  const row = log.row[i] as number;
  const price = log.price[i] as number;
  let fees = log.fees[i] as number;
  const have = held.size[s] as number;
  if (have > 0 && side !== held.side[s]) {
    const closes = size >= have * (1 - rounding) ? have : size;
    const whole = Math.abs(size - closes) <= rounding * size;
    const exitFees = whole ? fees : (fees * closes) / size;
    trades.put(held, s, row, true, log.cause[i] as number, closes, price, exitFees);
    if (closes === have) held.size[s] = 0;
    if (whole) return;
    size -= closes;
    fees -= exitFees;
  }
  if (held.size[s] === 0) {
    held.since[s] = row;
    held.side[s] = side;
    held.gross[s] = 0;
    held.fees[s] = 0;
  }
  held.size[s] = (held.size[s] as number) + size;
  held.gross[s] = (held.gross[s] as number) + size * price;
  held.fees[s] = (held.fees[s] as number) + fees;
}
