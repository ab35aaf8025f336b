/** Every cross-section kernel. Adding one is its declaration and a line here. */
import type { Kernel } from "../kernel.js";
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

export const panelKernels: readonly Kernel[] = [
  ...[panelRank, panelQuantile, panelSelect, panelZscore, panelDemean, panelWinsorize, panelNeutralise],
  ...[panelUniverse, panelPivot, panelUnpivot, panelForwardReturns],
  ...[panelIc, panelIcSummary, panelIcDecay, panelQuantileReturns, panelTurnover, panelRankAutocorrelation],
];
