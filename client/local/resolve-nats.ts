/** Finds a nats-server, or provisions one without root and without asking. */
import { VolleyError } from "../../proto/errors.js";
import { environmentBinary } from "./nats-sources/environment-binary.js";
import { searchPath } from "./nats-sources/search-path.js";
import type { NatsBinary, NatsSource, ResolveContext } from "./nats-sources/source.js";

const allSources: readonly NatsSource[] = [environmentBinary, searchPath];

export interface ResolveOptions {
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly onProgress?: (line: string) => void;
  /** For tests. */
  readonly sources?: readonly NatsSource[];
}

export async function resolveNatsServer(options: ResolveOptions = {}): Promise<NatsBinary> {
  const context: ResolveContext = { env: options.env ?? process.env, onProgress: options.onProgress ?? (() => {}) };
  const reasons: string[] = [];
  for (const source of options.sources ?? allSources) {
    try {
      return await source.find(context);
    } catch (error) {
      reasons.push(`${source.name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  throw new VolleyError("NATS_UNAVAILABLE", ["No nats-server could be found or provisioned.", ...reasons.map((reason) => `  - ${reason}`)].join("\n"), { details: { reasons } });
}
