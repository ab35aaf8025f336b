/**
 * Random numbers by counter: a number is a pure function of seed, stream and position, so it does not matter in which
 * order, or how many, are drawn. Only sums, products and 32-bit integer operations, which every machine does alike;
 * normals are sums of uniforms for that reason.
 */

/** One stream of numbers; streams of different names or numbers have nothing to do with each other. */
export class Stream {
  readonly #key: number;
  readonly #second: number;

  constructor(seed: number, purpose: string, index = 0) {
    let key = mix(seed >>> 0, 0x9e3779b9);
    key = mix(key, Math.floor(seed / 4_294_967_296) >>> 0);
    for (let i = 0; i < purpose.length; i++) key = mix(key, purpose.charCodeAt(i));
    this.#key = mix(key, index);
    this.#second = mix(this.#key, 0x85ebca6b);
  }

  /** In [0, 1), with 53 bits. */
  uniform(position: number): number {
    const high = mix(this.#key, position);
    const low = mix(this.#second, position);
    return (high * 2_097_152 + (low >>> 11)) / 9_007_199_254_740_992;
  }

  /** Mean 0, deviation 1, within ±6: the sum of twelve uniforms. */
  normal(position: number): number {
    let sum = -6;
    for (let i = 0; i < 12; i++) sum += mix(this.#key, position * 12 + i) / 4_294_967_296;
    return sum;
  }

  /** A whole number in [from, to]. */
  whole(position: number, from: number, to: number): number {
    return from + Math.floor(this.uniform(position) * (to - from + 1));
  }
}

/** Two rounds of the finaliser of MurmurHash3 over a key and a word. */
function mix(key: number, word: number): number {
  let hash = (key ^ Math.imul(word, 0xcc9e2d51)) >>> 0;
  for (let round = 0; round < 2; round++) {
    hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b) >>> 0;
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35) >>> 0;
    hash = (hash ^ (hash >>> 16)) + 0x9e3779b9;
    hash >>>= 0;
  }
  return hash;
}
