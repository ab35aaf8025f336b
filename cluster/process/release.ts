/** Volley's own version, as its package says, and the engine of this process. */
import { readFileSync } from "node:fs";
import type { EngineFacts } from "../../proto/engine.js";

export function packageVersion(): string {
  const manifest = JSON.parse(readFileSync(new URL("../../../package.json", import.meta.url), "utf8")) as {
    version: string;
  };
  return manifest.version;
}

export const ownEngine = (): EngineFacts => ({
  runtime: `node ${process.versions.node}`,
  v8: process.versions.v8,
  arch: process.arch,
});
