/**
 * Bars, signals or target weights → orders, and the account at every bar. One bar of one symbol goes, in this order:
 *
 *  1. a split turns the shares held into new ones;
 *  2. `next-open`: what was decided before fills at the open;
 *  3. stops look at the bar (the rule is in `guard`);
 *  4. `next-close`: what was decided before fills at the close;
 *  5. the close is heard: a signal or weight is decided, and with `same-close` filled at once (not on a bar that
 * stopped the position out); 6. a delisting closes what is held; 7. the account is marked to market at the close, or
 * the last one known.
 *
 * Accounts of their own run symbol by symbol; with shared cash all symbols take each step of a date together, sales
 * before purchases, each in the order of symbols. What is decided waits for a bar with a price, and a later decision
 * replaces it. What the volume limit leaves of an exit goes on waiting; what it leaves of anything else is cancelled.
 */
import { Book } from "./book.js";
import { Cause, OrderLog } from "./order-log.js";
import { isPlain, runPlain } from "./plain.js";
import { Flag, type Market, type Plan, type Run } from "./plan.js";

const Go = { nothing: 0, long: 1, short: 2, flat: 3 } as const;

/**
 * What flags mean in a position, [flags · 3 + sign + 1]. An entry and an exit of one side at once cancel each other, as
 * do entries of both sides. In a position an entry of the other side reverses it, an exit closes it, and another entry
 * is ignored.
 */
const actions = Uint8Array.from({ length: 48 }, (_, k) => {
  const sign = (k % 3) - 1;
  let flags = Math.floor(k / 3);
  const clash = (both: number): void => {
    if ((flags & both) === both) flags &= ~both;
  };
  clash(Flag.longEntry | Flag.longExit);
  clash(Flag.shortEntry | Flag.shortExit);
  clash(Flag.longEntry | Flag.shortEntry);
  if (sign <= 0 && flags & Flag.longEntry) return Go.long;
  if (sign >= 0 && flags & Flag.shortEntry) return Go.short;
  if ((sign > 0 && flags & Flag.longExit) || (sign < 0 && flags & Flag.shortExit)) return Go.flat;
  return Go.nothing;
});

const Pass = { all: 0, sales: 1, purchases: 2 } as const;

export function simulate(market: Market, plan: Plan): Run {
  const simulation = new Simulation(market, plan);
  return plan.shared ? simulation.runShared() : simulation.runAlone();
}

class Simulation {
  readonly #market: Market;
  readonly #plan: Plan;
  readonly #log: OrderLog;
  readonly #book: Book;
  readonly #position: Float64Array;
  readonly #cash: Float64Array;
  readonly #close: Float64Array;
  readonly #stopping: boolean;
  readonly #plain: boolean;
  /**
   * Per symbol: what is decided and not filled (flags, or NaN for no weight), the row that decided it, the last close.
   */
  readonly #flags: Uint8Array;
  readonly #weight: Float64Array;
  readonly #decided: Int32Array;
  readonly #lastClose: Float64Array;
  /** Per symbol: the price stops are counted from, the best since, and whether the bar at hand stopped it out. */
  readonly #entry: Float64Array;
  readonly #best: Float64Array;
  readonly #stopped: Uint8Array;
  /** With shared cash: the account's value at this date's prices, before its first fill. */
  #valueNow = 0;

  constructor(market: Market, plan: Plan) {
    const symbols = market.panel.symbols.length;
    this.#market = market;
    this.#plan = plan;
    const { orders, union } = decisionsIn(plan);
    this.#log = new OrderLog(orders);
    this.#plain = isPlain(market, plan, union);
    this.#book = new Book(symbols, plan.shared, plan.cash, plan.costs, market.volume, this.#log);
    this.#position = this.#book.position;
    this.#cash = this.#book.cash;
    this.#close = market.close;
    this.#stopping =
      plan.stops.stopLoss !== undefined || plan.stops.takeProfit !== undefined || plan.stops.trailing !== undefined;
    this.#flags = new Uint8Array(symbols);
    this.#weight = new Float64Array(symbols).fill(Number.NaN);
    this.#decided = new Int32Array(symbols);
    this.#lastClose = new Float64Array(symbols).fill(Number.NaN);
    this.#entry = new Float64Array(symbols);
    this.#best = new Float64Array(symbols);
    this.#stopped = new Uint8Array(symbols);
  }

  runAlone(): Run {
    const { panel, open, delisted, split } = this.#market;
    const { fill, track } = this.#plan;
    const run = this.#newRun(track ? panel.rows : 0, track ? panel.rows : 0, undefined);
    if (this.#plain) return runPlain(this.#market, this.#plan, run);
    const atOpen = fill === "next-open" ? (open as Float64Array) : undefined;
    const stopping = this.#stopping;
    const close = this.#close;
    for (let s = 0; s < panel.symbols.length; s++) {
      const end = panel.starts[s + 1] as number;
      for (let row = panel.starts[s] as number; row < end; row++) {
        if (split) this.#splitAt(s, row);
        if (atOpen) this.#settle(s, row, atOpen, Pass.all);
        if (stopping) this.#guard(s, row);
        if (fill === "next-close") this.#settle(s, row, close, Pass.all);
        this.#receive(s, row);
        if (fill === "same-close") this.#settle(s, row, close, Pass.all);
        if (delisted) this.#delist(s, row);
        const price = close[row] as number;
        if (price > 0) this.#lastClose[s] = price;
        if (track) this.#keep(run, s, row, row);
      }
    }
    return run;
  }

  #keep(run: Run, s: number, row: number, point: number): void {
    const held = this.#position[s] as number;
    const marked = held === 0 ? 0 : held * (this.#lastClose[s] as number);
    run.position[row] = held;
    run.marked[row] = marked;
    run.cash[point] = this.#cash[s] as number;
    run.value[point] = (this.#cash[s] as number) + marked;
  }

  runShared(): Run {
    const { panel, open, split, delisted } = this.#market;
    const { fill } = this.#plan;
    const dates = Float64Array.from(new Set(panel.times)).sort();
    const run = this.#newRun(panel.rows, dates.length, dates);
    const next = panel.starts.slice(0, -1);
    const active = new Int32Array(panel.symbols.length);
    for (let d = 0; d < dates.length; d++) {
      let count = 0;
      for (let s = 0; s < active.length; s++) {
        const row = next[s] as number;
        if (row < (panel.starts[s + 1] as number) && panel.times[row] === dates[d]) active[count++] = s;
      }
      const each = (act: (s: number, row: number) => void): void => {
        for (let k = 0; k < count; k++) act(active[k] as number, next[active[k] as number] as number);
      };
      const settleAll = (prices: Float64Array): void => {
        this.#valueNow = this.#sharedValue(prices, active, count, next);
        each((s, row) => this.#settle(s, row, prices, Pass.sales));
        each((s, row) => this.#settle(s, row, prices, Pass.purchases));
      };
      if (split) each((s, row) => this.#splitAt(s, row));
      if (fill === "next-open") settleAll(open as Float64Array);
      if (this.#stopping) each((s, row) => this.#guard(s, row));
      if (fill === "next-close") settleAll(this.#close);
      each((s, row) => this.#receive(s, row));
      if (fill === "same-close") settleAll(this.#close);
      if (delisted) each((s, row) => this.#delist(s, row));
      this.#markShared(run, d, active, count, next);
    }
    return run;
  }

  #markShared(run: Run, date: number, active: Int32Array, count: number, next: Int32Array): void {
    for (let k = 0; k < count; k++) {
      const s = active[k] as number;
      const row = next[s] as number;
      const price = this.#close[row] as number;
      if (price > 0) this.#lastClose[s] = price;
      run.position[row] = this.#position[s] as number;
      run.marked[row] = this.#position[s] === 0 ? 0 : (this.#position[s] as number) * (this.#lastClose[s] as number);
      next[s] = row + 1;
    }
    let value = this.#cash[0] as number;
    run.cash[date] = value;
    for (let s = 0; s < this.#position.length; s++)
      if (this.#position[s] !== 0) value += (this.#position[s] as number) * (this.#lastClose[s] as number);
    run.value[date] = value;
  }

  #sharedValue(prices: Float64Array, active: Int32Array, count: number, next: Int32Array): number {
    let value = this.#cash[0] as number;
    let k = 0;
    for (let s = 0; s < this.#position.length; s++) {
      const isActive = k < count && active[k] === s;
      if (isActive) k++;
      const held = this.#position[s] as number;
      if (held === 0) continue;
      const price = isActive ? (prices[next[s] as number] as number) : Number.NaN;
      value += held * (price > 0 ? price : (this.#lastClose[s] as number));
    }
    return value;
  }

  #newRun(rows: number, points: number, dates: Float64Array | undefined): Run {
    const zeros = (length: number): Float64Array => new Float64Array(length);
    return {
      log: this.#log,
      position: zeros(rows),
      marked: zeros(rows),
      cash: zeros(points),
      value: zeros(points),
      dates,
      lastClose: this.#lastClose,
    };
  }

  #splitAt(s: number, row: number): void {
    const ratio = (this.#market.split as Float64Array)[row] as number;
    if (!(ratio > 0) || ratio === 1) return;
    if (this.#position[s] !== 0) {
      this.#log.unpriced++;
      this.#log.add(s, row, row, 0, Cause.split, 0, ratio, ratio, Number.NaN, 0);
    }
    this.#position[s] = (this.#position[s] as number) * ratio;
    this.#entry[s] = (this.#entry[s] as number) / ratio;
    this.#best[s] = (this.#best[s] as number) / ratio;
    this.#lastClose[s] = (this.#lastClose[s] as number) / ratio;
  }

  /** A decision replaces the one before it. A bar without a close decides nothing. */
  #receive(s: number, row: number): void {
    const { flags, weights } = this.#plan;
    if (flags) {
      const received = flags[row] as number;
      if (received === 0 || !((this.#close[row] as number) > 0)) return;
      if (this.#stopped[s] === 1 && this.#plan.fill === "same-close") return;
      this.#flags[s] = received;
      this.#decided[s] = row;
    } else {
      const weight = (weights as Float64Array)[row] as number;
      if (Number.isNaN(weight) || !((this.#close[row] as number) > 0)) return;
      if (this.#stopped[s] === 1 && this.#plan.fill === "same-close") return;
      this.#weight[s] = weight;
      this.#decided[s] = row;
    }
  }

  #settle(s: number, row: number, prices: Float64Array, pass: number): void {
    if (this.#plan.flags) {
      const received = this.#flags[s] as number;
      if (received === 0) return;
      const price = prices[row] as number;
      if (price > 0) this.#act(s, row, received, price, pass);
    } else if (!Number.isNaN(this.#weight[s] as number)) {
      const price = prices[row] as number;
      if (price > 0) this.#rebalance(s, row, price, pass);
    }
  }

  #act(s: number, row: number, received: number, price: number, pass: number): void {
    const held = this.#position[s] as number;
    const action = actions[received * 3 + (held > 0 ? 2 : held < 0 ? 0 : 1)] as number;
    const buys = action === Go.long || (action === Go.flat && held < 0);
    if (pass !== Pass.all && action !== Go.nothing && buys !== (pass === Pass.purchases)) return;
    this.#flags[s] = 0;
    if (action === Go.nothing) return;
    if (action === Go.flat) {
      this.#exit(s, row, this.#decided[s] as number, Cause.signal, price);
      if (this.#book.volumeShort && this.#position[s] !== 0) this.#flags[s] = received;
    } else this.#enter(s, row, price, action === Go.long, held);
  }

  /** All of a position. */
  #exit(s: number, row: number, decided: number, cause: number, price: number, forced = false): void {
    const held = this.#position[s] as number;
    if (held > 0) this.#book.sell(s, row, decided, cause, held, price, 1, forced);
    else this.#book.buy(s, row, decided, cause, -held, price, 1, forced);
  }

  /** Opens a position, from the other side in the same order: what is held and the new size together. */
  #enter(s: number, row: number, price: number, long: boolean, held: number): void {
    const { by, size } = this.#plan.sizing;
    const decided = this.#decided[s] as number;
    let percent = 1;
    let asked: number;
    if (by === "percent") {
      percent = size;
      asked = Number.POSITIVE_INFINITY;
      // A part of the cash is known once the other side is closed: two orders then.
      if (held !== 0 && percent < 1) this.#exit(s, row, decided, Cause.signal, price);
    } else {
      const fresh = by === "amount" ? size : by === "value" ? size / price : (size * this.#valueOf(s, price)) / price;
      asked = Math.max(0, fresh) + Math.abs(held);
    }
    const before = this.#position[s] as number;
    const filled = long
      ? this.#book.buy(s, row, decided, Cause.signal, asked, price, percent)
      : this.#book.sell(s, row, decided, Cause.signal, asked, price, percent);
    if (filled && this.#stopping) this.#entered(s, before);
  }

  /**
   * After a fill: the price that stops are counted from. What opens a position sets it, what adds to one averages it by
   * shares, what reduces one leaves it.
   */
  #entered(s: number, before: number): void {
    const now = this.#position[s] as number;
    const price = this.#book.filledPrice;
    const had = Math.abs(before);
    const has = Math.abs(now);
    if (before * now <= 0) this.#entry[s] = this.#best[s] = price;
    else if (has > had) {
      this.#entry[s] = (had * (this.#entry[s] as number) + (has - had) * price) / has;
      const best = this.#best[s] as number;
      this.#best[s] = now > 0 ? Math.max(best, price) : Math.min(best, price);
    }
  }

  #valueOf(s: number, price: number): number {
    return this.#plan.shared ? this.#valueNow : (this.#cash[s] as number) + (this.#position[s] as number) * price;
  }

  #rebalance(s: number, row: number, price: number, pass: number): void {
    const held = this.#position[s] as number;
    const weight = this.#weight[s] as number;
    const value = Math.max(0, this.#valueOf(s, price));
    const target = (weight * value) / price;
    const asked = weight === 0 ? -held : target - held;
    if (pass !== Pass.all && asked > 0 !== (pass === Pass.purchases)) return;
    this.#weight[s] = Number.NaN;
    if (Math.abs(asked) * price <= 1e-12 * value) return;
    const decided = this.#decided[s] as number;
    const filled =
      asked > 0
        ? this.#book.buy(s, row, decided, Cause.rebalance, asked, price)
        : this.#book.sell(s, row, decided, Cause.rebalance, -asked, price);
    if (filled && this.#stopping) this.#entered(s, held);
    if (weight === 0 && this.#book.volumeShort && this.#position[s] !== 0) this.#weight[s] = 0;
  }

  /**
   * A long position: the level is the higher of the stop-loss and the trailing stop. An open at or beyond a level fills
   * at the open; else a low at or below the level fills there, and only then does a high at or above the take-profit
   * fill at that. A bar that stops nothing out raises the trailing level by its high, for the bars to come. A short
   * position mirrored. Missing: open is the close, high and low the greater and the smaller of the two.
   */
  #guard(s: number, row: number): void {
    this.#stopped[s] = 0;
    const held = this.#position[s] as number;
    const close = this.#close[row] as number;
    if (held === 0 || !(close > 0)) return;
    const { stopLoss, takeProfit, trailing } = this.#plan.stops;
    const { open: opens, high: highs, low: lows } = this.#market;
    const open = present(opens?.[row], close);
    const high = present(highs?.[row], Math.max(open, close));
    const low = present(lows?.[row], Math.min(open, close));
    // Mirrored about zero, a short position's levels compare as a long one's.
    const side = held > 0 ? 1 : -1;
    const entry = this.#entry[s] as number;
    const first = side * open;
    const worst = held > 0 ? low : -high;
    const best = held > 0 ? high : -low;
    const lossLevel = stopLoss === undefined ? Number.NEGATIVE_INFINITY : side * entry * (1 - side * stopLoss);
    const trailLevel =
      trailing === undefined ? Number.NEGATIVE_INFINITY : side * (this.#best[s] as number) * (1 - side * trailing);
    const level = Math.max(lossLevel, trailLevel);
    const profitLevel = takeProfit === undefined ? Number.POSITIVE_INFINITY : side * entry * (1 + side * takeProfit);
    let out = Number.NaN;
    let cause: number = trailLevel > lossLevel ? Cause.trailing : Cause.stopLoss;
    if (first <= level) out = open;
    else if (worst <= level && first < profitLevel) out = side * level;
    else if (best >= profitLevel) {
      out = first >= profitLevel ? open : side * profitLevel;
      cause = Cause.takeProfit;
    }
    if (out > 0) {
      this.#stopped[s] = 1;
      this.#exit(s, row, row, cause, out);
      if (this.#position[s] === 0) return;
    }
    if (best > side * (this.#best[s] as number)) this.#best[s] = side * best;
  }

  #delist(s: number, row: number): void {
    if ((this.#market.delisted as Uint8Array)[row] !== 1) return;
    this.#flags[s] = 0;
    this.#weight[s] = Number.NaN;
    const close = this.#close[row] as number;
    const price = close > 0 ? close : (this.#lastClose[s] as number);
    if (this.#position[s] !== 0) this.#exit(s, row, row, Cause.delisting, price, true);
  }
}

const present = (value: number | undefined, otherwise: number): number =>
  value !== undefined && value > 0 ? value : otherwise;

/** How many orders there are without stops (the log grows where those add to them), and every flag that any bar has. */
function decisionsIn({ flags, weights }: Plan): { orders: number; union: number } {
  let orders = 0;
  let union = 0;
  if (flags)
    for (let i = 0; i < flags.length; i++) {
      const flag = flags[i] as number;
      union |= flag;
      if (flag !== 0) orders++;
    }
  if (weights) for (let i = 0; i < weights.length; i++) if (!Number.isNaN(weights[i] as number)) orders++;
  return { orders, union };
}
