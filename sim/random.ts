/**
 * The simulator's only source of chance: sfc32, seeded from a number. Two generators of one seed give the same draws.
 */
export class Random {
  #a = 0;
  #b = 0;
  #c = 0;
  #counter = 1;

  constructor(seed: number) {
    this.#a = seed >>> 0;
    this.#b = Math.floor(seed / 0x1_0000_0000) >>> 0;
    this.#c = 0x9e37_79b9;
    for (let i = 0; i < 15; i++) this.u32();
  }

  u32(): number {
    const t = (this.#a + this.#b + this.#counter) >>> 0;
    this.#counter = (this.#counter + 1) >>> 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) >>> 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) >>> 0;
    this.#c = (this.#c + t) >>> 0;
    return t;
  }

  /** In [0, 1). */
  unit(): number {
    return this.u32() / 0x1_0000_0000;
  }

  /** A whole number in [from, to]. */
  between(from: number, to: number): number {
    return from + Math.floor(this.unit() * (to - from + 1));
  }

  chance(probability: number): boolean {
    return this.unit() < probability;
  }

  pick<T>(items: readonly T[]): T {
    const item = items[this.between(0, items.length - 1)];
    if (item === undefined) throw new RangeError("nothing to pick from");
    return item;
  }

  /** Mostly near `typical`, now and then ten times as much: the shape of real delays. */
  delay(typical: number): number {
    const factor = this.chance(0.05) ? 10 * this.unit() : 0.2 + 1.6 * this.unit();
    return typical * factor;
  }

  /** A generator of its own, so that drawing more in one place does not change the draws of another. */
  fork(): Random {
    return new Random(this.u32() + this.u32() * 0x10_0000);
  }
}
