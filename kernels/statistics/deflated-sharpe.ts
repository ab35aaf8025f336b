/**
 * How much of a Sharpe ratio is luck.
 * D. H. Bailey, M. López de Prado, "The Sharpe ratio efficient frontier", Journal of Risk 15 (2012): the probabilistic
 * Sharpe ratio; the same, "The deflated Sharpe ratio", Journal of Portfolio Management 40 (2014): the benchmark that
 * the best of N trials must beat. Every Sharpe ratio here is per period (not annualised).
 */
import { normalCdf, normalQuantile } from "./normal.js";

export interface SharpeEstimate {
  /** Per period. */
  readonly sharpe: number;
  readonly observations: number;
  /** γ3. */
  readonly skewness: number;
  /** γ4, raw: 3 for a normal distribution. */
  readonly kurtosis: number;
}

/** P(true Sharpe > benchmark): Φ((SR - SR*) sqrt(T - 1) / sqrt(1 - γ3 SR + (γ4 - 1)/4 SR²)). */
export function probabilisticSharpe(estimate: SharpeEstimate, benchmark = 0): number {
  const { sharpe, observations, skewness, kurtosis } = estimate;
  const spread = Math.sqrt(1 - skewness * sharpe + ((kurtosis - 1) / 4) * sharpe * sharpe);
  return normalCdf(((sharpe - benchmark) * Math.sqrt(observations - 1)) / spread);
}

const eulerGamma = 0.5772156649015329;

/**
 * The Sharpe ratio expected of the best of N worthless trials whose Sharpe ratios have this variance. 0 for a single
 * trial.
 */
export function expectedMaxSharpe(trials: number, variance: number): number {
  if (trials <= 1) return 0;
  return (
    Math.sqrt(variance) *
    ((1 - eulerGamma) * normalQuantile(1 - 1 / trials) + eulerGamma * normalQuantile(1 - 1 / (trials * Math.E)))
  );
}

/** P(true Sharpe > what luck alone gives the best of `trials`). */
export const deflatedSharpe = (estimate: SharpeEstimate, trials: number, variance: number): number =>
  probabilisticSharpe(estimate, expectedMaxSharpe(trials, variance));

/**
 * Minimum track record length (Bailey and López de Prado 2012): the observations T at which the probabilistic Sharpe
 * ratio reaches `confidence`, 1 + (1 - γ3 SR + (γ4 - 1)/4 SR²) (Z⁻¹(confidence) / (SR - SR*))². NaN unless the Sharpe
 * ratio is above the benchmark.
 */
export function minimumTrackRecord(
  { sharpe, skewness, kurtosis }: SharpeEstimate,
  benchmark: number,
  confidence: number,
): number {
  if (!(sharpe > benchmark)) return Number.NaN;
  const spread = 1 - skewness * sharpe + ((kurtosis - 1) / 4) * sharpe * sharpe;
  const deviations = normalQuantile(confidence) / (sharpe - benchmark);
  return 1 + spread * (deviations * deviations);
}
