/** Wall-clock milliseconds that never run backwards, whatever is done to the machine's clock while the process lives. */
export class MonotonicClock {
  readonly #read: () => number;
  #last = 0;

  constructor(read: () => number = () => performance.timeOrigin + performance.now()) {
    this.#read = read;
  }

  /** Whole milliseconds since 1970. */
  nowMs(): number {
    const now = Math.floor(this.#read());
    if (now > this.#last) this.#last = now;
    return this.#last;
  }

  /** Never answer less than this: a time that the journal has already seen. */
  atLeast(ms: number): void {
    if (ms > this.#last) this.#last = ms;
  }
}
