/**
 * Central moments of a stream of numbers, one number at a time and mergeable, without losing digits to a large mean.
 * Welford's update for the second moment, extended to the fourth: P. Pébay, "Formulas for robust, one-pass parallel
 * computation of covariances and arbitrary-order statistical moments", Sandia report SAND2008-6212 (2008).
 */
export interface Moments {
  readonly count: number;
  readonly mean: number;
  /** Sums of the second, third and fourth powers of the deviations from the mean. */
  readonly m2: number;
  readonly m3: number;
  readonly m4: number;
}

const noMoments: Moments = { count: 0, mean: 0, m2: 0, m3: 0, m4: 0 };

export function momentsOf(values: ArrayLike<number>): Moments {
  let count = 0;
  let mean = 0;
  let m2 = 0;
  let m3 = 0;
  let m4 = 0;
  for (let i = 0; i < values.length; i++) {
    const before = count++;
    const delta = (values[i] as number) - mean;
    const step = delta / count;
    const step2 = step * step;
    const term = delta * step * before;
    mean += step;
    m4 += term * step2 * (count * count - 3 * count + 3) + 6 * step2 * m2 - 4 * step * m3;
    m3 += term * step * (count - 2) - 3 * step * m2;
    m2 += term;
  }
  return { count, mean, m2, m3, m4 };
}

/**
 * Central moments from sums of powers about zero: cheap, and exact enough while the mean is not large beside the spread
 * (each factor of ten costs two digits). Where nothing is left of the second moment but rounding, it is 0: nothing
 * varies.
 */
export function momentsFromSums(count: number, s1: number, s2: number, s3: number, s4: number): Moments {
  if (count === 0) return noMoments;
  const mean = s1 / count;
  const m2 = s2 - mean * s1;
  if (!(m2 > s2 * 1e-12)) return { count, mean, m2: 0, m3: 0, m4: 0 };
  const m3 = s3 - 3 * mean * s2 + 2 * mean * mean * s1;
  const m4 = s4 - 4 * mean * s3 + 6 * mean * mean * s2 - 3 * mean * mean * mean * s1;
  return { count, mean, m2, m3, m4 };
}

/** Mean and second moment of two runs together (Chan, Golub, LeVeque). */
export function mergeVariance(
  a: Pick<Moments, "count" | "mean" | "m2">,
  b: Pick<Moments, "count" | "mean" | "m2">,
): Pick<Moments, "count" | "mean" | "m2"> {
  const count = a.count + b.count;
  if (count === 0) return { count: 0, mean: 0, m2: 0 };
  const delta = b.mean - a.mean;
  return {
    count,
    mean: a.mean + (delta * b.count) / count,
    m2: a.m2 + b.m2 + delta * delta * ((a.count * b.count) / count),
  };
}

/** Sample variance (ddof 1); NaN below two values. */
export const varianceOf = (m: Pick<Moments, "count" | "m2">): number =>
  m.count < 2 ? Number.NaN : m.m2 / (m.count - 1);

/** Population skewness m3 / m2^1.5, γ3 of the probabilistic Sharpe ratio; NaN where nothing varies. */
export const skewnessOf = (m: Moments): number =>
  m.m2 > 0 ? (Math.sqrt(m.count) * m.m3) / (m.m2 * Math.sqrt(m.m2)) : Number.NaN;

/** Population kurtosis m4 / m2², raw: 3 for a normal distribution. NaN where nothing varies. */
export const kurtosisOf = (m: Moments): number => (m.m2 > 0 ? (m.count * m.m4) / (m.m2 * m.m2) : Number.NaN);

/** All four moments of two runs together (Pébay 2008, the pairwise form). */
export function mergeMoments(a: Moments, b: Moments): Moments {
  if (a.count === 0) return b;
  if (b.count === 0) return a;
  const { count, mean, m2 } = mergeVariance(a, b);
  const [na, nb] = [a.count, b.count];
  const delta = b.mean - a.mean;
  const step = delta / count;
  const m3 = a.m3 + b.m3 + delta * step * step * na * nb * (na - nb) + 3 * step * (na * b.m2 - nb * a.m2);
  const m4 =
    a.m4 +
    b.m4 +
    delta * step * step * step * na * nb * (na * na - na * nb + nb * nb) +
    6 * step * step * (na * na * b.m2 + nb * nb * a.m2) +
    4 * step * (na * b.m3 - nb * a.m3);
  return { count, mean, m2, m3, m4 };
}
