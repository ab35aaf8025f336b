/** Every built-in kernel, by name and version. Adding one is a file with its declaration and a line here. */
import { VolleyError } from "../proto/errors.js";
import { asofJoin, asofPit } from "./asof/index.js";
import { auditCompare } from "./audit/compare.js";
import { auditCut, auditCuts } from "./audit/cut.js";
import { backtestSignals } from "./backtest/signals.js";
import { backtestWeights } from "./backtest/weights.js";
import { concat, echo, noop, sleep } from "./basics.js";
import { features } from "./features/index.js";
import type { Kernel } from "./kernel.js";
import { nearNames } from "./near-names.js";
import { panelKernels } from "./panel/index.js";
import { statsDrawdowns, statsReturns } from "./statistics/returns-kernels.js";
import { statsSharpeDeflated, statsSharpeProbabilistic } from "./statistics/sharpe-kernels.js";
import { sweepBenchmark, sweepEquity, sweepTrades } from "./sweep/equity.js";
import { sweepSelect, sweepSurface, sweepVerdict } from "./sweep/select.js";
import { sweepChannelBreakout, sweepMaCross, sweepRsiReversion } from "./sweep/sweep.js";
import { validation } from "./validation/index.js";

const kernels: readonly Kernel[] = [
  noop,
  echo,
  sleep,
  concat,
  sweepMaCross,
  sweepRsiReversion,
  sweepChannelBreakout,
  sweepSelect,
  sweepSurface,
  sweepBenchmark,
  sweepEquity,
  sweepTrades,
  sweepVerdict,
  backtestSignals,
  backtestWeights,
  asofJoin,
  asofPit,
  auditCut,
  auditCuts,
  auditCompare,
  statsReturns,
  statsDrawdowns,
  statsSharpeProbabilistic,
  statsSharpeDeflated,
  ...validation,
  ...features.map((feature) => feature.kernel),
  ...panelKernels,
];
const byKey = new Map(kernels.map((kernel) => [`${kernel.name}@${kernel.version}`, kernel]));

export const findKernel = (name: string, version: number): Kernel | undefined => byKey.get(`${name}@${version}`);

export const listKernels = (): readonly Kernel[] => kernels;

/** Throws FUNCTION_NOT_FOUND that names the versions there are, or the near names. */
export function requireKernel(name: string, version: number): Kernel {
  const kernel = findKernel(name, version);
  if (kernel) return kernel;
  const versions = kernels.filter((k) => k.name === name).map((k) => k.version);
  const near = nearNames(
    name,
    kernels.map((k) => k.name),
  );
  const meant = near.length > 0 ? `did you mean ${near.join(", ")}?` : "`volley kernels` and GET /v1/kernels list them";
  const hint = versions.length > 0 ? `it has version ${versions.join(", ")}` : meant;
  throw new VolleyError("FUNCTION_NOT_FOUND", `no kernel ${name} of version ${version}: ${hint}`);
}
