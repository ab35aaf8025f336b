/** Every order of a run in the order of their making: columns that grow, no object per order. */

/** What made an order. */
export const causes = ["signal", "rebalance", "stop-loss", "take-profit", "trailing", "delisting", "split"] as const;
export const Cause = {
  signal: 0,
  rebalance: 1,
  stopLoss: 2,
  takeProfit: 3,
  trailing: 4,
  delisting: 5,
  split: 6,
} as const;

/**
 * What became of it. Whatever does not fill at its bar is cancelled, but see `Simulation` for exits that the volume
 * limits.
 */
export const statuses = ["filled", "partial", "no-cash", "no-volume", "fees-above-proceeds", "below-lot"] as const;
export const Status = { filled: 0, partial: 1, noCash: 2, noVolume: 3, feesAboveProceeds: 4, belowLot: 5 } as const;

/** 4 million orders are 150 MB: above it a caller asks for fewer symbols in a task. */
export class OrderLog {
  count = 0;
  /** How many have no price: refused orders and splits. */
  unpriced = 0;
  /** The row of the bar that filled it, and of the bar whose close decided it. */
  row: Int32Array;
  decided: Int32Array;
  symbol: Int32Array;
  /** 1 bought, -1 sold, 0 a split (size = new shares for one old). */
  side: Int8Array;
  cause: Uint8Array;
  status: Uint8Array;
  /** Shares asked for; Infinity where the order was for all that the cash pays. */
  asked: Float64Array;
  size: Float64Array;
  price: Float64Array;
  fees: Float64Array;

  constructor(capacity: number) {
    const length = Math.max(16, capacity);
    this.row = new Int32Array(length);
    this.decided = new Int32Array(length);
    this.symbol = new Int32Array(length);
    this.side = new Int8Array(length);
    this.cause = new Uint8Array(length);
    this.status = new Uint8Array(length);
    this.asked = new Float64Array(length);
    this.size = new Float64Array(length);
    this.price = new Float64Array(length);
    this.fees = new Float64Array(length);
  }

  add(
    symbol: number,
    row: number,
    decided: number,
    side: number,
    cause: number,
    status: number,
    asked: number,
    size: number,
    price: number,
    fees: number,
  ): void {
    const at = this.count++;
    if (at === this.row.length) this.#grow();
    this.row[at] = row;
    this.decided[at] = decided;
    this.symbol[at] = symbol;
    this.side[at] = side;
    this.cause[at] = cause;
    this.status[at] = status;
    this.asked[at] = asked;
    this.size[at] = size;
    this.price[at] = price;
    this.fees[at] = fees;
  }

  #grow(): void {
    const length = this.row.length * 2;
    const wider = <A extends Int32Array | Int8Array | Uint8Array | Float64Array>(old: A): A => {
      const all = new (old.constructor as new (length: number) => A)(length);
      all.set(old);
      return all;
    };
    this.row = wider(this.row);
    this.decided = wider(this.decided);
    this.symbol = wider(this.symbol);
    this.side = wider(this.side);
    this.cause = wider(this.cause);
    this.status = wider(this.status);
    this.asked = wider(this.asked);
    this.size = wider(this.size);
    this.price = wider(this.price);
    this.fees = wider(this.fees);
  }
}
