/**
 * Finds a nats-server, or provisions one without root and without asking. The sources in their order are below; each
 * has a file in nats-sources/. A cluster that is there already (VOLLEY_URL) needs none: that is the caller's to know.
 */
import { VolleyError } from "../../proto/errors.js";
import { debianArchive } from "./nats-sources/debian-archive.js";
import { debianPackage } from "./nats-sources/debian-package.js";
import { environmentBinary } from "./nats-sources/environment-binary.js";
import { goInstall } from "./nats-sources/go-install.js";
import { releaseArchive } from "./nats-sources/release-archive.js";
import { searchPath } from "./nats-sources/search-path.js";
import { type NatsBinary, type NatsSource, natsVersionMin, type ResolveContext } from "./nats-sources/source.js";
import { userCache, withCacheLock } from "./nats-sources/user-cache.js";

/** Those that take seconds come before the one that compiles for minutes and leaves 280 MB behind. */
export const allSources: readonly NatsSource[] = [
  environmentBinary,
  searchPath,
  userCache,
  releaseArchive,
  debianPackage,
  debianArchive,
  goInstall,
];

export interface ResolveOptions {
  /** Default: process.env. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Lines for a person who waits: from the moment that something has to be fetched or built. */
  readonly onProgress?: (line: string) => void;
  readonly signal?: AbortSignal;
  /** Default: all, in their order. */
  readonly sources?: readonly NatsSource[];
}

/** Fails with NATS_UNAVAILABLE: every source and why it has none, and the ways out. */
export async function resolveNatsServer(options: ResolveOptions = {}): Promise<NatsBinary> {
  const context: ResolveContext = {
    env: options.env ?? process.env,
    onProgress: options.onProgress ?? (() => {}),
    ...(options.signal ? { signal: options.signal } : {}),
  };
  const sources = options.sources ?? allSources;
  const reasons: string[] = [];
  const tryEach = async (some: readonly NatsSource[]): Promise<NatsBinary | undefined> => {
    for (const source of some) {
      try {
        return await source.find(context);
      } catch (error) {
        context.signal?.throwIfAborted();
        // Whoever names one means that one: another version in its place would go unnoticed.
        if (source === environmentBinary && context.env.VOLLEY_NATS_SERVER) throw namedIsUnusable(context.env, error);
        reasons.push(`${source.name}: ${error instanceof Error ? error.message : String(error)}`);
        if (source.provisions) context.onProgress(reasons.at(-1) ?? "");
      }
    }
    return undefined;
  };
  const found = await tryEach(sources.filter((source) => !source.provisions));
  if (found) return found;
  for (const reason of reasons) context.onProgress(reason);
  const provisioned = await withCacheLock(context, async () => {
    // Whoever held the lock before may have done the work.
    const made = sources.includes(userCache) ? await userCache.find(context).catch(() => undefined) : undefined;
    return made ?? (await tryEach(sources.filter((source) => source.provisions)));
  }).catch((error) => {
    context.signal?.throwIfAborted();
    reasons.push(`cache: ${error instanceof Error ? error.message : String(error)}`);
    return undefined;
  });
  if (provisioned) return provisioned;
  throw new VolleyError(
    "NATS_UNAVAILABLE",
    [
      `No nats-server of at least ${natsVersionMin} could be found or provisioned:`,
      ...reasons.map((reason) => `  - ${reason}`),
      waysOut,
    ].join("\n"),
    {
      details: { reasons },
    },
  );
}

const waysOut = `Any one of these helps:
  - set VOLLEY_URL=nats://user:password@host:port to use a cluster that is running
  - set VOLLEY_NATS_SERVER to the path of a nats-server, or put one on the PATH (https://github.com/nats-io/nats-server/releases)
  - set VOLLEY_NATS_RELEASES to a mirror of the releases, in the same layout, or VOLLEY_DEBIAN_MIRROR to one of Debian
  - install Go (https://go.dev/dl), then run: volley nats install`;

const namedIsUnusable = ({ VOLLEY_NATS_SERVER: named }: ResolveContext["env"], cause: unknown): VolleyError =>
  new VolleyError(
    "NATS_UNAVAILABLE",
    `VOLLEY_NATS_SERVER is ${named}, which cannot be used: ${cause instanceof Error ? cause.message : String(cause)}; name another nats-server, or leave it unset to have one found`,
    { cause },
  );
