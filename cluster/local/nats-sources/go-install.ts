/**
 * `go install` of the pinned version, where Go is there: last, because it takes a minute or two and leaves 280 MB of
 * modules and objects in Go's caches. Go itself checks the module against the public checksum database.
 */
import { join } from "node:path";
import { pinnedVersion } from "./pinned.js";
import { type NatsSource, runTool } from "./source.js";
import { provision } from "./user-cache.js";

const buildTimeoutMs = 600_000;
const stillAliveMs = 10_000;

export const goInstall: NatsSource = {
  name: "go install",
  provisions: true,
  async find(context) {
    const env = { ...process.env, ...context.env };
    await runTool("go", ["version"], { timeoutMs: 10_000, env, signal: context.signal });
    return provision(context, this.name, async (folder) => {
      const module = `github.com/nats-io/nats-server/v2@v${pinnedVersion}`;
      context.onProgress(`go install ${module} (about a minute)`);
      const startedAtMs = performance.now();
      const alive = setInterval(
        () => context.onProgress(`still building (${Math.round((performance.now() - startedAtMs) / 1000)} s)`),
        stillAliveMs,
      );
      try {
        await runTool("go", ["install", "-trimpath", module], {
          timeoutMs: buildTimeoutMs,
          cwd: folder,
          env: { ...env, GOBIN: folder, GOFLAGS: "", GO111MODULE: "on", CGO_ENABLED: "0" },
          signal: context.signal,
        });
      } finally {
        clearInterval(alive);
      }
      return join(folder, "nats-server");
    });
  },
};
