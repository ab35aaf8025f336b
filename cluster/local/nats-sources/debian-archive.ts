/**
 * A later Debian's package, for a distribution whose own is too old: checked against the SHA-256 in pinned.ts and
 * unpacked, not installed. It is the oldest version that will do, and there in a second.
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { downloadPinned } from "./download.js";
import { pinnedDebian } from "./pinned.js";
import { type NatsSource, runTool } from "./source.js";
import { provision } from "./user-cache.js";

const officialUrl = "http://deb.debian.org/debian";

export const debianArchive: NatsSource = {
  name: "Debian archive",
  provisions: true,
  async find(context) {
    if (process.platform !== "linux") throw new Error("its programs run on Linux only");
    const { path, sha256 } = pinnedDebian();
    const options = { timeoutMs: 20_000, env: { ...process.env, ...context.env }, signal: context.signal };
    await runTool("dpkg-deb", ["--version"], options);
    const base = (context.env.VOLLEY_DEBIAN_MIRROR || officialUrl).replace(/\/+$/, "");
    return provision(context, this.name, async (folder) => {
      const file = join(folder, "nats-server.deb");
      await writeFile(file, await downloadPinned(`${base}/${path}`, sha256, context));
      await runTool("dpkg-deb", ["-x", file, join(folder, "package")], options);
      return join(folder, "package", "usr", "sbin", "nats-server");
    });
  },
};
