/** What a run is given, and what it gives. */
import type { Costs } from "./book.js";
import type { Fill, Sizing, Stops } from "./options.js";
import type { OrderLog } from "./order-log.js";
import type { Panel } from "./panel.js";

/** Flags of a bar as the table has them. */
export const Flag = { longEntry: 1, longExit: 2, shortEntry: 4, shortExit: 8 } as const;

export interface Market {
  readonly panel: Panel;
  readonly close: Float64Array;
  readonly open?: Float64Array | undefined;
  readonly high?: Float64Array | undefined;
  readonly low?: Float64Array | undefined;
  readonly volume?: Float64Array | undefined;
  readonly split?: Float64Array | undefined;
  /** 1 on a symbol's last bar. */
  readonly delisted?: Uint8Array | undefined;
}

export interface Plan {
  /** One of them: flags of signals, or target weights (NaN: none). */
  readonly flags?: Uint8Array | undefined;
  readonly weights?: Float64Array | undefined;
  readonly fill: Fill;
  readonly cash: number;
  readonly shared: boolean;
  readonly costs: Costs;
  readonly sizing: Sizing;
  readonly stops: Stops;
  /** Whether positions and values of every bar are kept. */
  readonly track: boolean;
}

export interface Run {
  readonly log: OrderLog;
  /** Per row: shares held and their value at the close. Empty unless tracked. */
  readonly position: Float64Array;
  readonly marked: Float64Array;
  /** Per point of the accounts' axis: a row, or with shared cash a date. */
  readonly cash: Float64Array;
  readonly value: Float64Array;
  /** With shared cash: the dates. */
  readonly dates: Float64Array | undefined;
  /** Last close known of each symbol. */
  readonly lastClose: Float64Array;
}
