/** Every cross-section kernel. Adding one is its declaration and its place in this list. */
import { panelQuantile } from "./buckets.js";
import { panelIc, panelIcDecay, panelIcSummary } from "./factor.js";
import { panelForwardReturns } from "./forward.js";
import { panelNeutralise } from "./neutralise.js";
import { panelDemean, panelZscore } from "./normalise.js";
import { panelQuantileReturns, panelRankAutocorrelation, panelTurnover } from "./portfolio.js";
import { panelRank } from "./rank.js";
import { panelPivot, panelUnpivot } from "./reshape.js";
import { panelSelect } from "./select.js";
import { panelUniverse } from "./universe.js";
import { panelWinsorize } from "./winsorize.js";

export const panelKernels = [
  ...([panelRank, panelQuantile, panelSelect, panelZscore, panelDemean, panelWinsorize, panelNeutralise] as const),
  ...([panelUniverse, panelPivot, panelUnpivot, panelForwardReturns] as const),
  ...([panelIc, panelIcSummary, panelIcDecay, panelQuantileReturns, panelTurnover, panelRankAutocorrelation] as const),
] as const;
