/** The kernels, for programs that run them in process. */
export type { AsofCarry, AsofStream } from "./asof/engine.js";
export { openAsofJoin, openPit } from "./asof/index.js";
export type { Callable, Callables, FeatureCall, FeatureCarryCall } from "./callable.js";
export { type Causality, causalityText, causalityWith } from "./catalog/causality.js";
export type { KernelDescription } from "./catalog/description.js";
export { shortName } from "./catalog/names.js";
export { allParametersOf, factsOf, type ParameterText } from "./declaration-text.js";
export { defineFeature, type Feature, type FeatureStream } from "./features/feature.js";
export { type FeatureName, type FeatureParameters, feature } from "./features/index.js";
export { defineKernel, type Kernel, type KernelDeclaration, tableArg } from "./kernel.js";
export { describeKernel, kernelNamed, newestKernels } from "./named.js";
export { findKernel, listKernels, requireKernel } from "./registry.js";
