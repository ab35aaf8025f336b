/** Sweeps over the parameters of strategies, and what is made of their tables. */
import { sweepBenchmark, sweepEquity, sweepTrades } from "./equity.js";
import { sweepSelect, sweepSurface, sweepVerdict } from "./select.js";
import { sweepChannelBreakout, sweepMaCross, sweepRsiReversion } from "./sweep.js";

export const sweepKernels = [
  ...([sweepMaCross, sweepRsiReversion, sweepChannelBreakout] as const),
  ...([sweepSelect, sweepSurface, sweepBenchmark, sweepEquity, sweepTrades, sweepVerdict] as const),
] as const;
