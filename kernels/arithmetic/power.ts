/**
 * e^x and x^y, rounded correctly, by the same operations on every engine: the standard leaves Math.exp, Math.pow and
 * `**` to the engine, and V8 has changed its own more than once.
 *
 * x^y = e^(y · ln x), with ln x as a sum of two numbers. Both halves go by tables: ln m = ln(m · r) - ln r, for a short
 * r near 1/m, so that m · r - 1 is exact and small (P. T. P. Tang, "Table-driven implementation of the logarithm
 * function in IEEE floating-point arithmetic", ACM TOMS 16 (1990)), and e^E = 2^(n/128) · e^r (Tang, ACM TOMS 15
 * (1989)). That is good to 2^-66 + |E| · 2^-67 of the result. Where so much does not decide how the result rounds
 * (about once in four thousand), it is computed exactly (A. Ziv, ACM TOMS 17 (1991); exact.ts), and so are the tables,
 * at the first use.
 */
import { exactExponential, exactPower, logInTwo, rootInTwo } from "./exact.js";
import { highWord, powerOfTwo } from "./scale.js";

/** ln 2 in two parts; the first is so short that it times an exponent is exact. */
const ln2High = 0.6931471805598903;
const ln2Low = 5.497923018708371e-14;
const steps = 128;
/** ln 2 / 128 in three parts; the first two are so short that they times n are exact. */
const stepHigh = 0.005415212347998022;
const stepMiddle = 1.2655086083012853e-13;
const stepLow = 3.1258479278239995e-24;

/** High words of the root of 1/2, and from there to 1. */
const lowest = 0x3fe6a09e;
const rest = 0x3ff00000 - lowest;
/** m in steps of 1/256, from the root of 1/2 to that of 2. */
const firstCell = 181;
const cells = 182;

/** The quick form keeps within error + |E| · errorOfExponent of the result. */
const error = 1.4e-20;
const errorOfExponent = 0.7e-20;

/** e^E is infinite above, 0 below; E of the largest number is 709.78, of half the smallest -745.13. */
const exponentMax = 710;
const exponentMin = -746;
const smallestNormal = 2.2250738585072014e-308;

interface Tables {
  /** r of the cell, and -ln r in two parts. */
  readonly inverses: Float64Array;
  readonly logs: Float64Array;
  readonly logsLow: Float64Array;
  /** 2^(j/128) in two parts. */
  readonly roots: Float64Array;
  readonly rootsLow: Float64Array;
}

let made: Tables | undefined;

function tables(): Tables {
  if (made) return made;
  const inverses = Float64Array.from({ length: cells }, (_, i) => Math.round((1024 * 256) / (firstCell + i)) / 1024);
  const logs = Array.from(inverses, (r) => logInTwo(r));
  const roots = Array.from({ length: steps }, (_, j) => rootInTwo(j / steps));
  made = {
    inverses,
    logs: Float64Array.from(logs, ([high]) => -high),
    logsLow: Float64Array.from(logs, ([, low]) => -low),
    roots: Float64Array.from(roots, ([high]) => high),
    rootsLow: Float64Array.from(roots, ([, low]) => low),
  };
  return made;
}

// ------------------------------------------------------------------------------------------------ the quick form

/** 2^27 + 1: cuts a number into two of 26 bits. */
const splitter = 134_217_729;

/** a · b - high, exactly, for high = a · b rounded: T. J. Dekker, Numer. Math. 18 (1971), 224-242. */
function productRest(a: number, b: number, high: number): number {
  const p = splitter * a;
  const aHigh = p - (p - a);
  const aLow = a - aHigh;
  const q = splitter * b;
  const bHigh = q - (q - b);
  const bLow = b - bHigh;
  return aHigh * bHigh - high + aHigh * bLow + aLow * bHigh + aLow * bLow;
}

/** Where `quickLog` leaves the second part of its result. */
let logLow = 0;

/** ln x of a positive normal x, plus exponent · ln 2. */
function quickLog(x: number, exponent: number): number {
  const { inverses, logs, logsLow } = made ?? tables();
  const k0 = ((highWord(x) + rest) >>> 20) - 1023;
  const m = k0 > 1022 ? (x / 4) * powerOfTwo(2 - k0) : x * powerOfTwo(-k0);
  const k = k0 + exponent;
  const cell = Math.round(m * 256) - firstCell;
  const r = inverses[cell] as number;
  // m · r - 1, exactly, as f + fLow.
  const p = splitter * m;
  const mHigh = p - (p - m);
  const top = mHigh * r - 1;
  const bottom = (m - mHigh) * r;
  const f = top + bottom;
  const fLow = bottom - (f - top);
  // ln(1 + f) = f - f²/2 + f³ · (1/3 - f/4 + …)
  const square = f * f;
  const squareLow = productRest(f, f, square) + 2 * f * fLow;
  const tail = f * square * (1 / 3 + f * (-1 / 4 + f * (1 / 5 + f * (-1 / 6 + f * (1 / 7 + f * (-1 / 8 + f / 9))))));
  // k · ln 2 - ln r + f - f²/2, the largest first.
  const a = k * ln2High;
  const b = logs[cell] as number;
  const ab = a + b;
  const abRest = Math.abs(a) > Math.abs(b) ? b - (ab - a) : a - (ab - b);
  const abf = ab + f;
  const abfRest = Math.abs(ab) > Math.abs(f) ? f - (abf - ab) : ab - (abf - f);
  const sum = abf - square / 2;
  const sumRest = abf - sum - square / 2;
  const low = k * ln2Low + (logsLow[cell] as number) + abRest + abfRest + sumRest + fLow - squareLow / 2 + tail;
  const high = sum + low;
  logLow = low - (high - sum);
  return high;
}

/** e^(high + low); NaN where its error may decide how it rounds. */
function quickExp(high: number, low: number): number {
  const { roots, rootsLow } = made ?? tables();
  const n = Math.round(high * (steps / Math.LN2));
  const j = n & (steps - 1);
  const exponent = (n - j) / steps;
  if (exponent < -1020 || exponent > 1022) return Number.NaN;
  const first = high - n * stepHigh;
  const middle = n * stepMiddle;
  const most = first - middle;
  const least = first - most - middle - n * stepLow + low;
  const r = most + least;
  const rLow = least - (r - most);
  // e^r - 1 = r + p
  const p = rLow + r * r * (1 / 2 + r * (1 / 6 + r * (1 / 24 + r * (1 / 120 + r / 720))));
  const root = roots[j] as number;
  const product = root * r;
  const sum = root + product;
  const rest = product - (sum - root) + productRest(root, r, product) + (rootsLow[j] as number) * (1 + r) + root * p;
  const value = sum + rest;
  const valueRest = rest - (value - sum);
  const doubt = value * (error + Math.abs(high) * errorOfExponent);
  return value + (valueRest + doubt) === value && value + (valueRest - doubt) === value
    ? value * powerOfTwo(exponent)
    : Number.NaN;
}

// ------------------------------------------------------------------------------------------------ the functions

/** e^x, rounded correctly. */
export function exponential(x: number): number {
  if (Number.isNaN(x)) return x;
  if (x > exponentMax) return Number.POSITIVE_INFINITY;
  if (x < exponentMin) return 0;
  const quick = quickExp(x, 0);
  return Number.isNaN(quick) ? exactExponential(x) : quick;
}

/** x^y, rounded correctly, with the special values that ECMAScript gives `x ** y`. */
export function power(x: number, y: number): number {
  if (y === 0) return 1;
  if (Number.isNaN(x) || Number.isNaN(y)) return Number.NaN;
  const base = Math.abs(x);
  const isOdd = Number.isInteger(y) && Math.abs(y % 2) === 1;
  const sign = isOdd && (x < 0 || Object.is(x, -0)) ? -1 : 1;
  if (base === 0 || base === Number.POSITIVE_INFINITY)
    return sign * ((base === 0) === y > 0 ? 0 : Number.POSITIVE_INFINITY);
  if (!Number.isFinite(y)) return base === 1 ? Number.NaN : base > 1 === y > 0 ? Number.POSITIVE_INFINITY : 0;
  if (x < 0 && !Number.isInteger(y)) return Number.NaN;
  if (base === 1) return sign;
  // |ln x| is at least 2^-53 and at most 745.
  if (Math.abs(y) > 2e19) return base > 1 === y > 0 ? Number.POSITIVE_INFINITY : 0;
  if (Math.abs(y) < 1e-20) return 1;
  return sign * positivePower(base, y);
}

function positivePower(base: number, y: number): number {
  const isSmall = base < smallestNormal;
  const x = isSmall ? base * 18_014_398_509_481_984 : base;
  const shift = isSmall ? -54 : 0;
  const ln = quickLog(x, shift);
  const high = ln * y;
  if (high > exponentMax) return Number.POSITIVE_INFINITY;
  if (high < exponentMin) return 0;
  const quick = quickExp(high, productRest(ln, y, high) + logLow * y);
  return Number.isNaN(quick) ? exactPower(base, y) : quick;
}
