/** Validation: splits, the paths over them, and what luck could have done. */
import { bootstrap, bootstrapInterval } from "./bootstrap.js";
import { validationChoices, validationPath, validationReport } from "./paths.js";
import { pbo } from "./pbo.js";
import { cpcv, purgedKfold } from "./purged.js";
import { sweepFold } from "./sweep-fold.js";
import { sweepReturns } from "./sweep-returns.js";
import { walkForward } from "./walk-forward.js";

export const validationKernels = [
  walkForward,
  purgedKfold,
  cpcv,
  sweepFold,
  sweepReturns,
  validationChoices,
  validationPath,
  validationReport,
  pbo,
  bootstrap,
  bootstrapInterval,
] as const;
