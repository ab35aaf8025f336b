/**
 * Computes the digest of every kernel over fixed calls on the engine that runs it, in both forms, and prints them as
 * JSON.
 */

import { setEngine } from "../../kernels/features/engine.js";
import { listKernels } from "../../kernels/registry.js";
import { pinnedDigest } from "../../kernels/testing/calls/pinned.js";
import { openWasmEngine } from "../../kernels/wasm/engine.js";

const digests = (): Record<string, string> =>
  Object.fromEntries(listKernels().map((kernel) => [`${kernel.name} ${kernel.version}`, pinnedDigest(kernel)]));
const plain = digests();
setEngine(openWasmEngine());
const wasm = digests();
process.stdout.write(
  `${JSON.stringify({ node: process.versions.node, v8: process.versions.v8, arch: process.arch, plain, wasm })}\n`,
);
