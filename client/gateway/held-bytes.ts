/**
 * What answers hold in memory at once, all of them together. Bytes are known before a value is fetched, so a value for
 * which there is no room waits, and one that is larger than everything waits until it is alone.
 */
import { Table } from "apache-arrow";
import { VolleyError } from "../../proto/errors.js";
import { Timer } from "../../proto/timer.js";
import { type ValueKind, valueKind } from "../../proto/values/kind.js";

interface Waiting {
  readonly bytes: number;
  readonly admitted: () => void;
}

export class ByteBudget {
  readonly #max: number;
  readonly #waiting: Waiting[] = [];
  #held = 0;

  constructor(max: number) {
    this.#max = max;
  }

  get held(): number {
    return this.#held;
  }

  /** True if the bytes are taken at once. */
  tryTake(bytes: number): boolean {
    if (this.#waiting.length > 0 || !this.#fits(bytes)) return false;
    this.#held += bytes;
    return true;
  }

  /**
   * In the order of asking. RATE_LIMITED after `patienceMs`. Whoever waits here must hold nothing, or two may wait for
   * each other.
   */
  async take(bytes: number, patienceMs: number): Promise<void> {
    if (this.tryTake(bytes)) return;
    let waiting: Waiting | undefined;
    let timer: Timer | undefined;
    try {
      await new Promise<void>((resolve, reject) => {
        waiting = { bytes, admitted: resolve };
        this.#waiting.push(waiting);
        const why = `results of ${this.#held} bytes are being given already, and the limit is ${this.#max}; try again in a second`;
        timer = new Timer(() => reject(new VolleyError("RATE_LIMITED", why)), patienceMs);
      });
    } finally {
      timer?.stop();
      const at = waiting ? this.#waiting.indexOf(waiting) : -1;
      if (at >= 0) this.#waiting.splice(at, 1);
      this.#admit();
    }
  }

  give(bytes: number): void {
    this.#held -= bytes;
    this.#admit();
  }

  #admit(): void {
    for (let first = this.#waiting[0]; first && this.#fits(first.bytes); first = this.#waiting[0]) {
      this.#waiting.shift();
      this.#held += first.bytes;
      first.admitted();
    }
  }

  #fits(bytes: number): boolean {
    return this.#held === 0 || this.#held + bytes <= this.#max;
  }
}

/**
 * Values of at most this many encoded bytes are not counted: a few of them may be under way at once, and nothing waits
 * for them.
 */
export const uncountedBytes = 32 * 1024;

/**
 * One answer's part of the budget. While it looks ahead it may hold several values, and takes what is there without
 * waiting; afterwards it holds one at a time, and waits for the next only when it holds nothing (so that no two answers
 * wait for each other).
 */
export class Hold {
  readonly #budget: ByteBudget;
  readonly #patienceMs: number;
  /** What the values cost that have been admitted and not released, in their order. */
  readonly #costs: number[] = [];
  #state: "looking" | "giving" | "closed" = "looking";
  #drained: (() => void) | undefined;
  #signalFull: () => void = () => undefined;
  /** Resolves when the next value does not fit beside those that are held. */
  readonly full = new Promise<"full">((resolve) => {
    this.#signalFull = () => resolve("full");
  });

  constructor(budget: ByteBudget, patienceMs: number) {
    this.#budget = budget;
    this.#patienceMs = patienceMs;
  }

  /** Before a value is fetched. RATE_LIMITED, CLOSED. */
  readonly admit = async (bytes: number, kind: ValueKind): Promise<void> => {
    const cost = bytes <= uncountedBytes ? 0 : decodedBytes(bytes, kind);
    if (cost > 0 && !(this.#state === "looking" && this.#costs.length > 0 && this.#budget.tryTake(cost))) {
      if (this.#costs.length > 0) {
        this.#signalFull();
        await new Promise<void>((resolve) => {
          this.#drained = resolve;
        });
      }
      this.#checkOpen();
      await this.#budget.take(cost, this.#patienceMs);
    }
    this.#costs.push(cost);
    // It may have ended while this one waited.
    if (this.#state === "closed") this.release();
    this.#checkOpen();
  };

  /** From here on one value at a time. */
  lookedAhead(): void {
    if (this.#state === "looking") this.#state = "giving";
  }

  /** The oldest value is no longer held. */
  release(): void {
    const cost = this.#costs.shift() ?? 0;
    if (cost > 0) this.#budget.give(cost);
    if (this.#costs.length === 0) this.#resume();
  }

  close(): void {
    this.#state = "closed";
    while (this.#costs.length > 0) this.release();
    this.#resume();
  }

  #resume(): void {
    this.#drained?.();
    this.#drained = undefined;
  }

  #checkOpen(): void {
    if (this.#state === "closed") throw new VolleyError("CLOSED", "the answer has ended");
  }
}

/** msgpack's shortest items (true, 0, []) are one byte, and eight or more in memory. */
const msgpackGrowth = 8;

/** What a value of so many encoded bytes takes when it is decoded, roughly. */
export const decodedBytes = (bytes: number, kind: ValueKind): number =>
  kind === valueKind.msgpack ? bytes * msgpackGrowth : bytes;

const itemBytes = 8;
const objectBytes = 56;

/** What a value takes in memory, roughly; stops counting at `enough`. */
export function bytesOf(value: unknown, enough: number): number {
  let bytes = 0;
  const stack: unknown[] = [value];
  while (stack.length > 0 && bytes < enough) {
    const item = stack.pop();
    if (typeof item === "string") bytes += 16 + 2 * item.length;
    else if (typeof item !== "object" || item === null) bytes += itemBytes;
    else if (item instanceof Table) bytes += objectBytes + item.data.reduce((sum, data) => sum + data.byteLength, 0);
    else if (ArrayBuffer.isView(item) || item instanceof ArrayBuffer) bytes += objectBytes + item.byteLength;
    else if (Array.isArray(item)) bytes += listBytes(item, stack, enough);
    else {
      bytes += objectBytes;
      const inner = item instanceof Map ? [...item].flat(1) : item instanceof Set ? [...item] : Object.values(item);
      bytes += listBytes(inner, stack, enough);
    }
  }
  return bytes;
}

/** Numbers are counted here; what has parts goes onto the stack. */
function listBytes(list: readonly unknown[], stack: unknown[], enough: number): number {
  const bytes = objectBytes + itemBytes * list.length;
  if (bytes >= enough) return bytes;
  for (const item of list)
    if (typeof item === "string" || (typeof item === "object" && item !== null)) stack.push(item);
  return bytes;
}
