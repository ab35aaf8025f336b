/**
 * The standard normal distribution.
 * cdf: W. J. Cody, "Rational Chebyshev approximations for the error function", Math. Comp. 23 (1969), 631–637
 * (coefficients of his CALERF). quantile: M. J. Wichura, "Algorithm AS 241: The percentage points of the normal
 * distribution", Applied Statistics 37 (1988), 477–484 (PPND16). Both are good to about 16 digits.
 */
import { logarithm } from "../arithmetic/logarithm.js";
import { exponential } from "../arithmetic/power.js";

/** Numerator over denominator, Horner form, highest power first. */
function ratio(x: number, numerator: readonly number[], denominator: readonly number[]): number {
  let top = 0;
  for (const c of numerator) top = top * x + c;
  let bottom = 0;
  for (const c of denominator) bottom = bottom * x + c;
  return top / bottom;
}

const erfSmallTop = [0.18577770618460315, 3.1611237438705655, 113.86415415105016, 377.485237685302, 3209.3775891384694];
const erfSmallBottom = [1, 23.601290952344122, 244.02463793444417, 1282.6165260773723, 2844.236833439171];
const erfcMiddleTop = [
  2.1531153547440383e-8, 0.5641884969886701, 8.883149794388377, 66.11919063714163, 298.6351381974001, 881.952221241769,
  1712.0476126340707, 2051.0783778260716, 1230.3393547979972,
];
const erfcMiddleBottom = [
  1, 15.744926110709835, 117.6939508913125, 537.1811018620099, 1621.3895745666903, 3290.7992357334597,
  4362.619090143247, 3439.3676741437216, 1230.3393548037495,
];
const erfcLargeTop = [
  0.016315387137302097, 0.30532663496123236, 0.36034489994980445, 0.12578172611122926, 0.016083785148742275,
  0.0006587491615298378,
];
const erfcLargeBottom = [
  1, 2.568520192289822, 1.8729528499234673, 0.5279051029514285, 0.06051834131244132, 0.0023352049762686918,
];

/** erfc(y) for y > 0.46875; exp(-y²) is split so that no digits are lost in the square. */
function erfcUpper(y: number): number {
  const cut = Math.trunc(y * 16) / 16;
  const scale = exponential(-cut * cut) * exponential(-(y - cut) * (y + cut));
  if (y <= 4) return scale * ratio(y, erfcMiddleTop, erfcMiddleBottom);
  const z = 1 / (y * y);
  const tail = (1 / Math.sqrt(Math.PI) - z * ratio(z, erfcLargeTop, erfcLargeBottom)) / y;
  return scale * tail;
}

/** P(Z ≤ x). */
export function normalCdf(x: number): number {
  const y = Math.abs(x) / Math.SQRT2;
  if (Number.isNaN(y)) return Number.NaN;
  if (y <= 0.46875) {
    const z = y * y;
    const erf = y * ratio(z, erfSmallTop, erfSmallBottom);
    return 0.5 + (x < 0 ? -0.5 : 0.5) * erf;
  }
  const upper = y > 27 ? 0 : 0.5 * erfcUpper(y);
  return x < 0 ? upper : 1 - upper;
}

const centreTop = [
  2509.0809287301227, 33430.57558358813, 67265.7709270087, 45921.95393154987, 13731.69376550946, 1971.5909503065513,
  133.14166789178438, 3.3871328727963665,
];
const centreBottom = [
  5226.495278852546, 28729.085735721943, 39307.89580009271, 21213.794301586597, 5394.196021424751, 687.1870074920579,
  42.31333070160091, 1,
];
const middleTop = [
  0.0007745450142783414, 0.022723844989269184, 0.2417807251774506, 1.2704582524523684, 3.6478483247632045,
  5.769497221460691, 4.630337846156546, 1.4234371107496835,
];
const middleBottom = [
  1.0507500716444169e-9, 0.0005475938084995345, 0.015198666563616457, 0.14810397642748008, 0.6897673349851,
  1.6763848301838038, 2.053191626637759, 1,
];
const farTop = [
  2.0103343992922881e-7, 2.7115555687434876e-5, 0.0012426609473880784, 0.026532189526576124, 0.29656057182850487,
  1.7848265399172913, 5.463784911164114, 6.657904643501103,
];
const farBottom = [
  2.0442631033899397e-15, 1.421511758316446e-7, 1.8463183175100548e-5, 0.0007868691311456133, 0.014875361290850615,
  0.1369298809227358, 0.599832206555888, 1,
];

/** The x with P(Z ≤ x) = p. Infinite at 0 and 1, NaN outside. */
export function normalQuantile(p: number): number {
  if (!(p >= 0 && p <= 1)) return Number.NaN;
  if (p === 0) return Number.NEGATIVE_INFINITY;
  if (p === 1) return Number.POSITIVE_INFINITY;
  const q = p - 0.5;
  if (Math.abs(q) <= 0.425) return q * ratio(0.180625 - q * q, centreTop, centreBottom);
  const r = Math.sqrt(-logarithm(q < 0 ? p : 1 - p));
  const x = r <= 5 ? ratio(r - 1.6, middleTop, middleBottom) : ratio(r - 5, farTop, farBottom);
  return q < 0 ? -x : x;
}
