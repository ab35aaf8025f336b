/**
 * Wall-clock milliseconds that pass as time does (Runtime.wallMs). A process that starts behind the times of the
 * journal (the clock was ahead when they were written) runs ahead of the wall clock by as much.
 */
export class MonotonicClock {
  readonly #read: () => number;
  #aheadMs = 0;
  #last = 0;

  constructor(read: () => number) {
    this.#read = read;
  }

  /** Whole milliseconds since 1970. */
  nowMs(): number {
    const now = Math.floor(this.#read() + this.#aheadMs);
    if (now > this.#last) this.#last = now;
    return this.#last;
  }

  /**
   * Never answer less than this, a time that the journal has already seen. Time passes from there: nothing waits until
   * the wall clock has caught up.
   */
  atLeast(ms: number): void {
    this.#aheadMs += Math.max(0, ms - this.nowMs());
  }
}
