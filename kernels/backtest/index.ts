/** Backtests of signals and of target weights. */
import { backtestSignals } from "./signals.js";
import { backtestWeights } from "./weights.js";

export const backtestKernels = [backtestSignals, backtestWeights] as const;
