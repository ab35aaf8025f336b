/** The kernels, for programs that run them in process. */
export { defineKernel, type Kernel, type KernelDeclaration, tableArg } from "./kernel.js";
export { findKernel, listKernels, requireKernel } from "./registry.js";
