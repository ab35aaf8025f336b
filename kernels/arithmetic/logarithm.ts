/**
 * Natural logarithm of plain arithmetic: the same bits on every engine and in WebAssembly, two lanes at a time
 * (Math.log is left to the engine by its standard). x = 2^k · m with m between the roots of 1/2 and 2; with f = m - 1
 * and s = f / (2 + f), ln m = 2 · atanh s = f - s · (f - R), where R is the rest of the series. Within a unit in the
 * last place.
 */
import { highWord, powerOfTwo } from "./scale.js";

/** Of the root of 1/2, and from there to 1. */
const lowest = 0x3fe6a09e;
const rest = 0x3ff00000 - lowest;
/** 2^-k for the biased exponent k + 1023; exact, and quicker than to put an exponent into a float64. */
const inverses = new Float64Array(2048);
inverses[0] = powerOfTwo(1023);
for (let biased = 1; biased < 2048; biased++) inverses[biased] = (inverses[biased - 1] as number) / 2;
/** 2^-1022, the smallest normal number. */
const smallest = 2.2250738585072014e-308;
/** ln 2 in two parts; the first ends with so many zeros that it times an exponent is exact. */
const ln2High = 0.6931471803691238;
const ln2Low = 1.9082149292705877e-10;

/**
 * R / z, 2/3 + 2/5 z + …, as the polynomial that meets it at seven Chebyshev nodes of the range of z = s²: R is within
 * 2^-56.
 */
const c0 = 0.666666666666667;
const c1 = 0.39999999999899505;
const c2 = 0.28571428625975487;
const c3 = 0.2222221113479508;
const c4 = 0.18182889125261723;
const c5 = 0.15331721600556042;
const c6 = 0.14616449685043406;

/** NaN unless x is positive and finite. */
export function logarithm(x: number): number {
  if (!(x > 0 && x < Number.POSITIVE_INFINITY)) return Number.NaN;
  if (x < smallest) return ofNormal(x * 18_014_398_509_481_984, -54);
  return ofNormal(x, 0);
}

function ofNormal(x: number, exponent: number): number {
  const word = highWord(x) + rest;
  const k = (word >>> 20) - 1023 + exponent;
  const f = x * (inverses[word >>> 20] as number) - 1;
  const s = f / (2 + f);
  const z = s * s;
  const w = z * z;
  // Even and odd terms apart, so that they need not wait for each other.
  const odd = c0 + w * (c2 + w * (c4 + w * c6));
  const even = c1 + w * (c3 + w * c5);
  const r = z * odd + w * even;
  return k * ln2High - (s * (f - r) - k * ln2Low - f);
}
