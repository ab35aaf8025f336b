/** Part of `npm run build`: writes the catalog from the declarations, into dist. */
import { writeFileSync } from "node:fs";
import { describeKernel, listKernels } from "../../dist/kernels/index.js";

writeFileSync(
  new URL("../../dist/kernels/catalog/catalog.json", import.meta.url),
  `${JSON.stringify(listKernels().map(describeKernel))}\n`,
);
