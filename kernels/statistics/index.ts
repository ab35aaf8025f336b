/** Statistics of series of returns. */
import { statsDrawdowns, statsReturns } from "./returns-kernels.js";
import { statsSharpeDeflated, statsSharpeProbabilistic } from "./sharpe-kernels.js";

export const statisticsKernels = [statsReturns, statsDrawdowns, statsSharpeProbabilistic, statsSharpeDeflated] as const;
