/**
 * Debian's and Ubuntu's package, downloaded by apt (which checks its signature) and unpacked: nothing is installed, no
 * root is needed.
 */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { compareVersions, type NatsSource, natsVersionMin, runTool } from "./source.js";
import { provision } from "./user-cache.js";

const downloadTimeoutMs = 120_000;

export const debianPackage: NatsSource = {
  name: "Debian package",
  provisions: true,
  async find(context) {
    const options = { timeoutMs: 20_000, env: { ...process.env, ...context.env, LC_ALL: "C" }, signal: context.signal };
    const policy = await runTool("apt-cache", ["policy", "nats-server"], options);
    const candidate = /^\s*Candidate:\s*(?:\d+:)?(\d+\.\d+\.\d+)/m.exec(policy)?.[1];
    if (!candidate)
      throw new Error("apt knows no package nats-server (its lists may be empty: apt-get update, as root)");
    if (compareVersions(candidate, natsVersionMin) < 0)
      throw new Error(`this distribution has version ${candidate}, older than ${natsVersionMin}`);
    return provision(context, this.name, async (folder) => {
      context.onProgress(`apt-get download nats-server (${candidate})`);
      await runTool("apt-get", ["download", "nats-server"], { ...options, timeoutMs: downloadTimeoutMs, cwd: folder });
      const file = (await readdir(folder)).find((name) => name.endsWith(".deb"));
      if (!file) throw new Error("apt-get download left no package behind");
      await runTool("dpkg-deb", ["-x", join(folder, file), join(folder, "package")], options);
      return join(folder, "package", "usr", "sbin", "nats-server");
    });
  },
};
