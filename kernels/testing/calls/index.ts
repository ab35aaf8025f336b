/** The drawn calls of every kernel, by its name. A kernel that is not here fails kernels/every-kernel.test.ts. */
import type { DrawnKernel } from "./call.js";
import { featureCalls } from "./features.js";
import { panelCalls } from "./panels.js";
import { statisticsCalls, validationCalls } from "./statistics.js";
import { backtestCalls, sweepCalls } from "./sweeps.js";
import { joinCalls, toolCalls } from "./tools.js";

export const drawnCalls: Readonly<Record<string, DrawnKernel>> = {
  ...toolCalls,
  ...joinCalls,
  ...featureCalls,
  ...panelCalls,
  ...sweepCalls,
  ...backtestCalls,
  ...statisticsCalls,
  ...validationCalls,
};
