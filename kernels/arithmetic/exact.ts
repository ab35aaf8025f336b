/**
 * Logarithm, exponential and power in whole numbers of 320 bits: slow, and so exact that how a result rounds is never
 * in doubt. What comes out within 2^-200 of the middle between two numbers lies on it: only rational powers do (e^x
 * never), and those are there exactly.
 */
import { powerOfTwo } from "./scale.js";

const places = 320;
const wide = BigInt(places);
const one = 1n << wide;

const bits = new DataView(new ArrayBuffer(8));

/** A finite number as mantissa · 2^exponent. */
function partsOf(x: number): [mantissa: bigint, exponent: number] {
  bits.setFloat64(0, x);
  const word = bits.getBigUint64(0);
  const biased = Number((word >> 52n) & 0x7ffn);
  const fraction = word & 0xf_ffff_ffff_ffffn;
  const mantissa = biased === 0 ? fraction : fraction | (1n << 52n);
  return [word >> 63n === 1n ? -mantissa : mantissa, Math.max(biased, 1) - 1075];
}

const shifted = (value: bigint, by: number): bigint => (by >= 0 ? value << BigInt(by) : value >> BigInt(-by));
const sizeOf = (value: bigint): bigint => (value < 0n ? -value : value);
/** Binary digits of a positive whole number. */
function lengthOf(value: bigint): number {
  const digits = value.toString(16);
  return 4 * digits.length + 28 - Math.clz32(Number.parseInt(digits[0] as string, 16));
}

/** 2 · atanh(a / b) in units of 2^-320; |a / b| at most 1/3. */
function twiceAtanh(a: bigint, b: bigint): bigint {
  const s = (a << wide) / b;
  const z = (s * s) >> wide;
  let sum = 0n;
  let term = s;
  for (let n = 1n; term !== 0n && term !== -1n; n += 2n) {
    sum += term / n;
    term = (term * z) >> wide;
  }
  return 2n * sum;
}

const ln2 = twiceAtanh(1n, 3n);

/** ln x in units of 2^-320, of a positive number. */
export function exactLog(x: number): bigint {
  const [mantissa, exponent] = partsOf(x);
  const length = lengthOf(mantissa);
  const unit = 1n << BigInt(length - 1);
  return BigInt(exponent + length - 1) * ln2 + twiceAtanh(mantissa - unit, mantissa + unit);
}

/** e^(value / 2^320) as fraction · 2^exponent; the fraction, from 1 to 2, in units of 2^-320. */
function expOf(value: bigint): [fraction: bigint, exponent: number] {
  const n = value / ln2 - (value < 0n ? 1n : 0n);
  const r = (value - n * ln2) >> 16n;
  let sum = one;
  let term = one;
  for (let i = 1n; term !== 0n; i++) {
    term = ((term * r) >> wide) / i;
    sum += term;
  }
  for (let i = 0; i < 16; i++) sum = (sum * sum) >> wide;
  return [sum, Number(n)];
}

/** The number nearest to fraction / 2^320 · 2^exponent; of two as near, the even one. */
function nearest(fraction: bigint, exponent: number): number {
  const length = lengthOf(fraction);
  // Bits that are cut off: to 53, or to 2^-1074, the last place of the smallest numbers.
  const cut = Math.max(length - 53, places - exponent - 1074, 1);
  const down = fraction >> BigInt(cut);
  const past = fraction - (down << BigInt(cut)) - (1n << BigInt(cut - 1));
  const isMiddle = sizeOf(past) >> BigInt(Math.max(0, length - 200)) === 0n;
  const up = isMiddle ? (down & 1n) === 1n : past > 0n;
  const power = cut + exponent - places;
  if (power > 971) return Number.POSITIVE_INFINITY;
  const value = Number(up ? down + 1n : down);
  return power < -1022 ? value * powerOfTwo(-1022) * powerOfTwo(power + 1022) : value * powerOfTwo(power);
}

const fixed = (x: number): bigint => {
  const [mantissa, exponent] = partsOf(x);
  return shifted(mantissa, exponent + places);
};

/** x finite. */
export function exactExponential(x: number): number {
  if (Math.abs(x) < 1e-30) return 1;
  return x > 720 ? Number.POSITIVE_INFINITY : x < -800 ? 0 : nearest(...expOf(fixed(x)));
}

/** x and y finite, x positive. */
export function exactPower(x: number, y: number): number {
  const [mantissa, exponent] = partsOf(y);
  const value = shifted(exactLog(x) * mantissa, exponent);
  if (value > 720n * one) return Number.POSITIVE_INFINITY;
  return value < -800n * one ? 0 : nearest(...expOf(value));
}

/**
 * The number nearest to value / 2^320, and the one nearest to what is left; for values that are far from the smallest
 * numbers.
 */
function twoNumbers(value: bigint): [high: number, low: number] {
  const round = (part: bigint): number => (part === 0n ? 0 : part < 0n ? -nearest(-part, 0) : nearest(part, 0));
  const high = round(value);
  return [high, round(value - fixed(high))];
}

/** ln x as a sum of two numbers. */
export const logInTwo = (x: number): [high: number, low: number] => twoNumbers(exactLog(x));

/** 2^(share) as a sum of two numbers, 0 ≤ share < 1. */
export const rootInTwo = (share: number): [high: number, low: number] =>
  twoNumbers(expOf((ln2 * fixed(share)) >> wide)[0]);

/** How far `got` is from ln x, in units of the last place of ln x. */
export function logarithmError(x: number, got: number): number {
  const exact = exactLog(x);
  if (exact === 0n) return got === 0 ? 0 : Number.POSITIVE_INFINITY;
  const ulp = 1n << BigInt(lengthOf(sizeOf(exact)) - 53);
  return Number(((fixed(got) - exact) * 1_000_000n) / ulp) / 1_000_000;
}
