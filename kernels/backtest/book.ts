/**
 * Cash and positions, and how an order changes them.
 *
 * A purchase: p' = p (1 + slip), fees = size p' fraction + fixed, and if the cash is short size = (cash - fixed) / (1 +
 * fraction) / p'. A sale: p' = p (1 - slip), and it is refused if its fees are above its proceeds. Short sales put
 * their proceeds into the cash and are fully secured: the free cash falls by the value sold, so that "all of it" sold
 * short is as much as the free cash could buy. Purchases are bounded by the cash, those that cover a short position as
 * well: without short positions cash is never negative, and with them only a delisting, which closes whatever there is,
 * can make it so.
 */
import type { Fees, Slippage } from "./options.js";
import { type OrderLog, Status } from "./order-log.js";

export interface Costs {
  readonly fees: Fees;
  readonly slippage: Slippage;
  readonly lot?: number | undefined;
}

/** Below this an amount of shares or money is rounding, not a quantity. */
const dust = 1e-12;

export class Book {
  /** Per account. `free` is the cash that secures no short position. */
  readonly cash: Float64Array;
  readonly free: Float64Array;
  /** Per symbol: shares held (negative: short), and what the short ones were sold for. */
  readonly position: Float64Array;
  readonly debt: Float64Array;
  /** The last fill: its price, and whether the volume of the bar kept it from being whole. */
  filledPrice = Number.NaN;
  volumeShort = false;
  readonly #log: OrderLog;
  readonly #volume: Float64Array | undefined;
  readonly #shared: boolean;
  readonly #fraction: number;
  readonly #fixed: number;
  readonly #perShare: number;
  readonly #minimum: number;
  readonly #slip: number;
  readonly #limit: number;
  readonly #squareRoot: boolean;
  readonly #byVolume: boolean;
  readonly #lot: number;

  constructor(
    symbols: number,
    shared: boolean,
    cash: number,
    costs: Costs,
    volume: Float64Array | undefined,
    log: OrderLog,
  ) {
    this.cash = new Float64Array(shared ? 1 : symbols).fill(cash);
    this.free = this.cash.slice();
    this.position = new Float64Array(symbols);
    this.debt = new Float64Array(symbols);
    this.#log = log;
    this.#volume = volume;
    this.#shared = shared;
    const { fees, slippage } = costs;
    this.#fraction = fees.fraction;
    this.#fixed = fees.fixed;
    this.#perShare = fees.perShare;
    this.#minimum = fees.minimum;
    this.#byVolume = slippage.model !== "fraction";
    this.#squareRoot = slippage.model === "square-root";
    this.#slip =
      slippage.model === "fraction"
        ? slippage.fraction
        : slippage.model === "square-root"
          ? slippage.coefficient
          : slippage.impact;
    this.#limit = slippage.model === "fraction" ? 1 : slippage.limit;
    this.#lot = costs.lot ?? 0;
  }

  #feesOf(size: number, value: number): number {
    return Math.max(this.#minimum, value * this.#fraction + this.#fixed + size * this.#perShare);
  }

  #impact(size: number, volume: number): number {
    const share = size / volume;
    return this.#slip * (this.#squareRoot ? Math.sqrt(share) : share * share);
  }

  /** Rounding to whole lots leaves alone what closes a position. */
  #lots(size: number, closes: number): number {
    return this.#lot === 0 || size === closes ? size : Math.floor(size / this.#lot + 1e-9) * this.#lot;
  }

  /** How much the volume of the bar lets through; NaN if it lets nothing through. */
  #allowed(size: number, row: number): number {
    const cap = this.#limit * ((this.#volume as Float64Array)[row] as number);
    this.volumeShort = !(size <= cap);
    return cap > 0 ? Math.min(size, cap) : Number.NaN;
  }

  /**
   * Buys `asked` shares (Infinity: all that the cash pays) of a symbol at `price` before slippage, with at most
   * `percent` of the cash. `forced`: whatever the cash and the volume, without slippage. False if nothing was bought.
   */
  buy(
    symbol: number,
    row: number,
    decided: number,
    cause: number,
    asked: number,
    price: number,
    percent = 1,
    forced = false,
  ): boolean {
    const account = this.#shared ? 0 : symbol;
    const cash = this.cash[account] as number;
    const limit = forced ? Number.POSITIVE_INFINITY : percent < 1 ? percent * cash : cash;
    const held = this.position[symbol] as number;
    let size = asked;
    let paid = price * (1 + this.#slip);
    this.volumeShort = false;
    if (forced) paid = price;
    else if (this.#byVolume) {
      size = this.#allowed(asked, row);
      if (!(size > 0)) return this.#refuse(symbol, row, decided, 1, cause, Status.noVolume, asked);
      // The price is that of the size before the cash cuts it once more: one pass, no fixed point.
      paid = price * (1 + this.#impact(Math.min(size, limit / price), (this.#volume as Float64Array)[row] as number));
    }
    if (this.#lot > 0 && size < Number.POSITIVE_INFINITY) size = this.#lots(size, -held);
    let fees = this.#feesOf(size, size * paid);
    let spent = size * paid + fees;
    if (!(spent <= limit)) {
      size = this.#affordable(limit, paid);
      if (!(size > dust)) return this.#refuse(symbol, row, decided, 1, cause, Status.noCash, asked);
      if (this.#lot > 0) size = this.#lots(size, -held);
      fees = this.#lot > 0 ? this.#feesOf(size, size * paid) : limit - size * paid;
      spent = this.#lot > 0 ? size * paid + fees : limit;
    }
    if (!(size > dust))
      return this.#refuse(symbol, row, decided, 1, cause, this.#lot > 0 ? Status.belowLot : Status.noCash, asked);
    this.#bought(symbol, account, held, size, spent);
    this.filledPrice = paid;
    this.#log.add(
      symbol,
      row,
      decided,
      1,
      cause,
      size < asked && asked < Number.POSITIVE_INFINITY ? Status.partial : Status.filled,
      asked,
      size,
      paid,
      fees,
    );
    return true;
  }

  #affordable(limit: number, paid: number): number {
    const size =
      this.#perShare === 0
        ? (limit - this.#fixed) / (1 + this.#fraction) / paid
        : (limit - this.#fixed) / ((1 + this.#fraction) * paid + this.#perShare);
    return this.#minimum > 0 && size * (paid * this.#fraction + this.#perShare) + this.#fixed < this.#minimum
      ? (limit - this.#minimum) / paid
      : size;
  }

  #bought(symbol: number, account: number, held: number, size: number, spent: number): void {
    let free = (this.free[account] as number) - spent;
    let now = held + size;
    if (held < 0) {
      if (Math.abs(now) < dust * size) now = 0;
      const debt = this.debt[symbol] as number;
      const covered = now < 0 ? (size / -held) * debt : debt;
      this.debt[symbol] = now < 0 ? debt - covered : 0;
      free += 2 * covered;
    }
    const cash = (this.cash[account] as number) - spent;
    this.cash[account] = Math.abs(cash) < dust * spent ? 0 : cash;
    this.free[account] = Math.abs(free) < dust * spent ? 0 : free;
    this.position[symbol] = now;
  }

  /**
   * Sells `asked` shares at `price` before slippage; Infinity: all that is held, and `percent` of what the free cash
   * secures sold short. `forced` as in `buy`. False if nothing was sold.
   */
  sell(
    symbol: number,
    row: number,
    decided: number,
    cause: number,
    asked: number,
    price: number,
    percent = 1,
    forced = false,
  ): boolean {
    const account = this.#shared ? 0 : symbol;
    const held = this.position[symbol] as number;
    let size = asked;
    let paid = forced ? price : price * (1 - this.#slip);
    this.volumeShort = false;
    if (this.#byVolume && !forced) {
      size = this.#allowed(
        asked === Number.POSITIVE_INFINITY ? this.#sellable(account, held, price) * percent : asked,
        row,
      );
      if (!(size > 0)) return this.#refuse(symbol, row, decided, -1, cause, Status.noVolume, asked);
      paid = price * (1 - Math.min(1, this.#impact(size, (this.#volume as Float64Array)[row] as number)));
    }
    if (asked === Number.POSITIVE_INFINITY) size = Math.min(size, this.#sellable(account, held, paid) * percent);
    if (this.#lot > 0) size = this.#lots(size, held);
    if (!(size > dust))
      return this.#refuse(symbol, row, decided, -1, cause, this.#lot > 0 ? Status.belowLot : Status.noCash, asked);
    const value = size * paid;
    let fees = this.#feesOf(size, value);
    if (fees > value) {
      if (!forced) return this.#refuse(symbol, row, decided, -1, cause, Status.feesAboveProceeds, asked);
      fees = value;
    }
    let now = held - size;
    if (Math.abs(now) < dust * size) now = 0;
    let free = (this.free[account] as number) + (value - fees);
    if (now < 0) {
      const short = (held < 0 ? size : -now) * paid;
      this.debt[symbol] = (this.debt[symbol] as number) + short;
      free -= 2 * short;
    }
    this.cash[account] = (this.cash[account] as number) + (value - fees);
    this.free[account] = Math.abs(free) < dust * value ? 0 : free;
    this.position[symbol] = now;
    this.filledPrice = paid;
    this.#log.add(
      symbol,
      row,
      decided,
      -1,
      cause,
      size < asked && asked < Number.POSITIVE_INFINITY ? Status.partial : Status.filled,
      asked,
      size,
      paid,
      fees,
    );
    return true;
  }

  /** What is held, and what the free cash and the proceeds secure sold short. */
  #sellable(account: number, held: number, paid: number): number {
    const long = Math.max(held, 0);
    const free = (this.free[account] as number) + long * paid * (1 - this.#fraction);
    if (free <= 0) return long;
    return long + (free - Math.max(this.#fixed, this.#minimum)) / (paid * (1 + this.#fraction) + this.#perShare);
  }

  #refuse(
    symbol: number,
    row: number,
    decided: number,
    side: number,
    cause: number,
    status: number,
    asked: number,
  ): false {
    this.#log.unpriced++;
    this.#log.add(symbol, row, decided, side, cause, status, asked, 0, Number.NaN, 0);
    return false;
  }
}
