/** How many drawn cases every property of every kernel is tested with, at least. */
export const casesPerKernel = 1_000;
