/**
 * Philox4x32-10: a counter-based generator. Word k of stream s is a function of key and counter alone, so a task that
 * makes replicates 700 to 799 draws what one task would have drawn for them, wherever it runs.
 * J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC11 (2011).
 */
const multiplier0 = 0xd2511f53;
const multiplier1 = 0xcd9e8d57;
const weyl0 = 0x9e3779b9;
const weyl1 = 0xbb67ae85;
const rounds = 10;

/** The upper half of the 64-bit product of two 32-bit words. */
function productHigh(a: number, b: number): number {
  const [aHigh, aLow, bHigh, bLow] = [a >>> 16, a & 0xffff, b >>> 16, b & 0xffff];
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16);
  const carry = (middle & 0xffff) + aLow * bHigh;
  return (aHigh * bHigh + Math.floor(middle / 65_536) + Math.floor(carry / 65_536)) >>> 0;
}

/** Four random words for a counter of four words and a key of two, into `out`. */
export function philox4x32(counter: Readonly<ArrayLike<number>>, key0: number, key1: number, out: Uint32Array): void {
  let [c0, c1, c2, c3] = [counter[0] as number, counter[1] as number, counter[2] as number, counter[3] as number];
  for (let round = 0; round < rounds; round++) {
    const k0 = (key0 + Math.imul(round, weyl0)) >>> 0;
    const k1 = (key1 + Math.imul(round, weyl1)) >>> 0;
    const high0 = productHigh(multiplier0, c0);
    const low0 = Math.imul(multiplier0, c0) >>> 0;
    const high1 = productHigh(multiplier1, c2);
    const low1 = Math.imul(multiplier1, c2) >>> 0;
    c0 = (high1 ^ c1 ^ k0) >>> 0;
    c1 = low1;
    c2 = (high0 ^ c3 ^ k1) >>> 0;
    c3 = low0;
  }
  out[0] = c0;
  out[1] = c1;
  out[2] = c2;
  out[3] = c3;
}

/** A uniform number in [0, 1) of 53 bits from two words. */
export const uniform53 = (high: number, low: number): number =>
  ((high >>> 5) * 67_108_864 + (low >>> 6)) / 9_007_199_254_740_992;

/** Draws pairs of uniform numbers: pair `step` of stream `stream` under `seed` (both non-negative safe integers). */
export class UniformPairs {
  readonly #counter = new Uint32Array(4);
  readonly #words = new Uint32Array(4);
  readonly #key0: number;
  readonly #key1: number;
  first = 0;
  second = 0;

  constructor(seed: number, stream: number) {
    this.#key0 = seed >>> 0;
    this.#key1 = Math.floor(seed / 4_294_967_296);
    this.#counter[2] = stream >>> 0;
    this.#counter[3] = Math.floor(stream / 4_294_967_296);
  }

  /** Sets `first` and `second`. */
  draw(step: number): void {
    this.#counter[0] = step;
    philox4x32(this.#counter, this.#key0, this.#key1, this.#words);
    this.first = uniform53(this.#words[0] as number, this.#words[1] as number);
    this.second = uniform53(this.#words[2] as number, this.#words[3] as number);
  }
}
