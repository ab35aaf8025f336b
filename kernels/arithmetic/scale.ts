/** Powers of two, and the exponent of a number, by its bits. */
const bits = new Float64Array(1);
const words = new Uint32Array(bits.buffer);
/** Where the high word of a float64 is. */
const high = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1 ? 1 : 0;

export function highWord(x: number): number {
  bits[0] = x;
  return words[high] as number;
}

/** 2^exponent, for -1022 to 1023. */
export function powerOfTwo(exponent: number): number {
  words[1 - high] = 0;
  words[high] = (exponent + 1023) << 20;
  return bits[0] as number;
}
