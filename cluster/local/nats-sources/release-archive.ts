/** The official release archive, checked against the SHA-256 in pinned.ts before anything of it is run. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { downloadPinned } from "./download.js";
import { pinnedArchive, pinnedVersion } from "./pinned.js";
import { type NatsSource, runTool } from "./source.js";
import { provision } from "./user-cache.js";

const officialUrl = "https://github.com/nats-io/nats-server/releases/download";

export const releaseArchive: NatsSource = {
  name: "release archive",
  provisions: true,
  async find(context) {
    const archive = pinnedArchive();
    // A mirror needs no trust: the hash decides.
    const base = (context.env.VOLLEY_NATS_RELEASES || officialUrl).replace(/\/+$/, "");
    const url = `${base}/v${pinnedVersion}/${archive.name}.tar.gz`;
    return provision(context, this.name, async (folder) => {
      const file = join(folder, "archive.tar.gz");
      await writeFile(file, await downloadPinned(url, archive.sha256, context));
      await runTool("tar", ["-xzf", file, "-C", folder, `${archive.name}/nats-server`], {
        timeoutMs: 60_000,
        signal: context.signal,
      });
      return join(folder, archive.name, "nats-server");
    });
  },
};
